"""Center: one point in the middle, whatever is asked. Shows how far a benchmark's targets crowd there."""

from __future__ import annotations

from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import Prediction, Query

from .sanity import SanityModel, one_point


def answer(query: Query) -> Prediction:
    """The middle of the first picture, and a count of one."""
    width, height = query.media.size
    return one_point(query, width / 2, height / 2)


def _load(argument: str | None, options: ModelOptions) -> SanityModel:
    return SanityModel("center", answer)


entry = ModelEntry("center", "Sanity model: one point in the middle of the picture", load=_load)
