"""A query made ready for the engine, and its answer read back into points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpeval.types import Elicitation, Point

if TYPE_CHECKING:
    from mpeval.engine.generate import Generation
    from mpeval.engine.shapes import TokenIds

    from .molmo_media import ShownMedia

Answer = tuple[str, str | None, list[Point]]
"""Text, the form that was read (None where none was), points in pixels."""


@dataclass(frozen=True)
class PreparedQuery:
    """A query as ids and media; the media may be other queries' too."""

    ids: list[int]
    shown: ShownMedia
    elicitation: Elicitation

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        return self.shown.nbytes + 8 * len(self.ids)


def read_grounding(
    prepared: PreparedQuery, generation: Generation, tokens: TokenIds, decode: Callable[[list[int]], str]
) -> Answer:
    """The answer of a model with grounding tokens; its text is written as the Hub port does."""
    from mpeval.grounding.coordinates import answer_text, generated_points, image_places, video_places
    from mpeval.parsing.counts import states_none

    shown, pooling = prepared.shown, prepared.shown.pooling
    if shown.kind == "video":
        places = video_places(shown.tiles[0].mapping, shown.tiles[0].size, shown.times)
    else:
        places = image_places([each.mapping for each in shown.tiles], [each.size for each in shown.tiles])
    points = generated_points(generation.ids, generation.choices, tokens, pooling, places, decode)
    shape = (pooling.shape[0], pooling.shape[1])
    text = answer_text(generation.ids, generation.choices, tokens, shape, decode)
    form = "grounding-tokens" if points else "none" if states_none(text) else None
    return text, form, points


def read_text(prepared: PreparedQuery, generation: Generation, decode: Callable[[list[int]], str]) -> Answer:
    """The answer of a model that writes coordinates."""
    from mpeval.parsing.molmo2 import parse_points

    text = decode(generation.ids)
    form, points = parse_points(text, [tiles.size for tiles in prepared.shown.tiles], prepared.shown.kind)
    return text, form, points
