"""Prefill and samples a second for each kind of media, and what sharing them saves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpeval.bench.clock import ONCE, Clock
from mpeval.bench.limits import peak_bytes, prefill_operations, reset_peak, seconds
from mpeval.bench.pictures import FRAME_SIZE, IMAGE_SIZE, SCREEN_24_SIZE, SCREEN_64_SIZE, clip, picture
from mpeval.bench.results import Limits, MediaCase, Sharing
from mpeval.bench.subject import QUESTION, Subject, generate_all, sample_of, time_waves, unshared

if TYPE_CHECKING:
    from mpeval.engine.generate import GenerationInput

ANSWER = 16
"""Tokens of an answer: a point with what is written around it takes about as many."""
MOST_AT_ONCE = 32
KINDS = {"image": (IMAGE_SIZE, 8), "screen-24": (SCREEN_24_SIZE, 24), "screen-64": (SCREEN_64_SIZE, 64)}
"""Width and height, and crops at most."""


def media_case(subject: Subject, name: str, frames: int, clock: Clock, limits: Limits) -> MediaCase:
    """One of `KINDS`, or `video` of so many frames: the first token, prefill against the limit, samples a second."""
    model, device = subject.model, subject.model.device
    reset_peak(device)
    size, crops = KINDS.get(name, (FRAME_SIZE, None))
    media = clip(frames) if name == "video" else picture(size)
    sample = unshared(sample_of(subject, media, crops, ANSWER))
    known = MediaCase(
        name=name,
        size=size,
        crops=len(sample.pixels),
        prompt_tokens=len(sample.ids),
        answer_tokens=ANSWER,
        prefill_operations=prefill_operations(model, sample),
    )
    budget = clock.case_seconds
    first = time_waves(subject, sample, 1, 1, 0.15 * budget)
    one = time_waves(subject, sample, 1, ANSWER, 0.15 * budget)
    batch = _batch(subject, sample, one.seconds, 0.7 * budget)
    prefill = time_waves(subject, sample, batch, 1, 0.3 * budget)
    answered = time_waves(subject, sample, batch, ANSWER, 0.4 * budget)
    assert known.prefill_operations is not None
    rate = batch * known.prefill_operations / prefill.seconds
    return MediaCase(
        name=name,
        size=size,
        crops=known.crops,
        prompt_tokens=known.prompt_tokens,
        answer_tokens=ANSWER,
        batch=batch,
        first_token_seconds=first.seconds,
        prefill_operations=known.prefill_operations,
        peak_share=None if limits.matmul_rate is None else rate / limits.matmul_rate,
        samples_a_second=batch / answered.seconds,
        peak_bytes=peak_bytes(device),
        repeats=answered.repeats,
        note="" if answered.repeats else ONCE,
    )


def sharing_case(subject: Subject, questions: int, clock: Clock) -> Sharing:
    """Questions on one 24-crop screen, with its media shared and with each computing them anew.

    questions: as many as the time allows.
    """
    from mpeval.engine.memory import slots_that_fit

    device = subject.model.device
    size, crops = KINDS["screen-24"]
    screen = picture(size)
    first = sample_of(subject, screen, crops, ANSWER)
    generate_all(subject, [first], 1, 1)
    one = seconds(lambda: generate_all(subject, [unshared(first)], 1, ANSWER), device)
    questions = max(2, min(questions, int(0.4 * clock.case_seconds / one)))
    asked = [sample_of(subject, screen, crops, ANSWER, f"{QUESTION} {number}") for number in range(questions)]
    slots = min(questions, slots_that_fit(subject.model, first, ANSWER))
    apart = [unshared(each) for each in asked]
    together_time, apart_time = clock.time_in_turn(
        [lambda: generate_all(subject, asked, slots, ANSWER), lambda: generate_all(subject, apart, slots, ANSWER)],
        device,
        0.9,
    )
    return Sharing(
        questions=questions, shared_seconds=together_time.seconds, apart_seconds=apart_time.seconds,
        note="" if apart_time.repeats else ONCE,
    )  # fmt: skip


def _batch(subject: Subject, sample: GenerationInput, seconds_a_sample: float, budget: float) -> int:
    """Samples to answer together: what memory holds, and of what there is time for a few batches."""
    from mpeval.engine.memory import slots_that_fit

    most = slots_that_fit(subject.model, sample, ANSWER)
    return max(1, min(most, MOST_AT_ONCE, int(budget / (5 * seconds_a_sample))))
