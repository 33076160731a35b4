"""Tokens a second while so many samples are decoded together."""

from __future__ import annotations

from mpeval.bench.clock import ONCE, Clock
from mpeval.bench.limits import bytes_a_step, peak_bytes, reset_peak
from mpeval.bench.pictures import IMAGE_SIZE, picture
from mpeval.bench.results import Decoding, Limits
from mpeval.bench.subject import Subject, sample_of, time_waves

SHORT = "answers that fit into the time are too short to tell (--seconds)"
LEAST = 0.3
"""Of the longer answers' time: a difference that is less is as likely the machine's other load."""
CROPS = 8
FEW = 9
"""Tokens of the short answers: with a step for each but the first, a multiple of the engine's steps between looks."""


def measure_decoding(subject: Subject, batch: int, tokens: int, clock: Clock, limits: Limits) -> Decoding:
    """A step's time from answers of two lengths, which share everything else.

    All samples have the same media and a short question, so that the prefill takes little of the time; each has a cache
    of its own. tokens: of the longer answers, as far as the time allows.
    """
    model, device, budget = subject.model, subject.model.device, clock.case_seconds
    reset_peak(device)
    sample = sample_of(subject, picture(IMAGE_SIZE), CROPS, tokens, question="?")
    short = min(FEW, max(tokens // 2, 1))
    few = time_waves(subject, sample, batch, short, 0.15 * budget)
    longer = min(2 * short, tokens)
    more = time_waves(subject, sample, batch, longer, 0.15 * budget)
    step = max((more.seconds - few.seconds) / (longer - short), more.seconds / 100 / longer)
    # two batches at least: one to warm up, one to measure
    tokens = min(tokens, max(longer, short + int((0.6 * budget / 2 - few.seconds) / step)))
    many = time_waves(subject, sample, batch, tokens, 0.6 * budget) if tokens > longer else more
    step = (many.seconds - few.seconds) / (tokens - short)
    context = len(sample.ids) + (short + tokens) // 2
    asked = bytes_a_step(model, batch, context)
    if many.seconds - few.seconds < LEAST * many.seconds:
        return Decoding(batch=batch, context=context, tokens=tokens, note=SHORT)
    return Decoding(
        batch=batch,
        context=context,
        tokens=tokens,
        step_seconds=step,
        tokens_a_second=batch / step,
        bytes_a_step=asked,
        bandwidth_share=None if limits.copy_rate is None else asked / step / limits.copy_rate,
        peak_bytes=peak_bytes(device),
        repeats=many.repeats,
        note="" if many.repeats else ONCE,
    )
