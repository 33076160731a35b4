"""The model that is measured, and samples for it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise, repeat
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

from mpeval.bench.clock import MOST_REPEATS, Timing
from mpeval.errors import UserError
from mpeval.types import Elicitation, ModelAdapter, Query, StreamingAdapter

if TYPE_CHECKING:
    from mpeval.engine.generate import GenerationInput
    from mpeval.engine.model import VisionLanguageModel
    from mpeval.media import Media

QUESTION = "Point to the save button."


class Subject(StreamingAdapter, Protocol):
    """A model on the built-in engine."""

    @property
    def model(self) -> VisionLanguageModel: ...

    def engine_input(self, prepared: Any) -> GenerationInput:
        """What the engine takes of a prepared query; its pixels on the device."""


def checked(adapter: ModelAdapter) -> Subject:
    """Raises `UserError` for a model that runs elsewhere."""
    if not (hasattr(adapter, "model") and hasattr(adapter, "engine_input") and isinstance(adapter, StreamingAdapter)):
        raise UserError(f"{adapter.name} does not run on the built-in engine: there is nothing of it to measure here")
    return adapter  # type: ignore[return-value]


def sample_of(
    subject: Subject, media: Media, max_crops: int | None = None, tokens: int = 16, question: str = QUESTION
) -> GenerationInput:
    """A question on some media as the engine takes it; samples on the same media share them."""
    asked = Elicitation("bench", max_new_tokens=tokens, max_crops=max_crops)
    return subject.engine_input(subject.prepare(Query("bench", media, question, asked)))


def unshared(sample: GenerationInput) -> GenerationInput:
    """The same, whose media are computed for it alone."""
    return replace(sample, media=None)


def time_waves(subject: Subject, sample: GenerationInput, batch: int, tokens: int, budget: float) -> Timing:
    """Seconds from the end of one batch of answers to the end of the next, in one stream, each of `tokens` tokens.

    All answers of a batch end together, and the next batch begins at once: so that a batch's time is that of a run that
    has been going on for a while. The first batch warms up (memory is taken, steps are captured); then come as many as
    the budget in seconds holds, `MOST_REPEATS` at most.
    """
    from mpeval.engine.generate import Rules, generate_stream

    ends = [time.perf_counter()]

    def samples() -> Iterator[GenerationInput]:
        for wave in range(1 + MOST_REPEATS):
            if wave and ends[-1] - ends[0] + ends[-1] - ends[-2] > budget:
                return
            yield from repeat(sample, batch)

    for number, _ in enumerate(generate_stream(subject.model, samples(), batch, Rules(tokens, ())), start=1):
        if number % batch == 0:
            ends.append(time.perf_counter())
    first, *others = [end - begun for begun, end in pairwise(ends)]
    return Timing(median(others), len(others)) if others else Timing(first, 0)


def generate_all(subject: Subject, samples: Iterable[GenerationInput], slots: int, tokens: int) -> None:
    """Answers of exactly so many tokens to all samples, `slots` at a time: nothing ends one early."""
    from mpeval.engine.generate import Rules, generate_stream

    for _ in generate_stream(subject.model, iter(samples), slots, Rules(tokens, ())):
        pass
