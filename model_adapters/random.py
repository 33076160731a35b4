"""Random: one point anywhere, with equal chances. Shows what guessing reaches."""

from __future__ import annotations

from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import Prediction, Query

from .sanity import SanityModel, count_text, is_count_question, one_point

_LARGEST_COUNT = 9


def answer(query: Query) -> Prediction:
    """A point drawn from the query's own seed; for a counting question a number from 0 to 9."""
    from random import Random

    draw = Random(query.seed)
    if is_count_question(query):
        return Prediction(text=count_text(draw.randint(0, _LARGEST_COUNT)), form="count")
    width, height = query.media.size
    return one_point(query, draw.random() * width, draw.random() * height)


def _load(argument: str | None, options: ModelOptions) -> SanityModel:
    return SanityModel("random", answer)


entry = ModelEntry("random", "Sanity model: one point anywhere, seeded by the run's --seed", load=_load)
