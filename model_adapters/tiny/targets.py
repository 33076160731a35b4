"""What a model is taught to answer: a scene's query as token ids, in either way of writing a point.

Points stand in the order of the image tokens (then of the patches within one) in both formats, so that the two
miniatures see the same answers in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mpeval.engine.config import TokenIds
from mpeval.engine.model import NO_MORE_POINTS
from mpeval.engine.tiling import Tiles
from mpeval.grounding.coordinates import locate, pooled_at

Format = Literal["grounding", "text"]
Encode = Callable[[str], list[int]]

NONE = "There are none."


@dataclass(frozen=True)
class Answer:
    """Token ids, and beside each what it selects: an image token, a patch within it, a ninth, or -1."""

    ids: list[int]
    points: list[int]

    def __add__(self, other: Answer) -> Answer:
        return Answer(self.ids + other.ids, self.points + other.points)


class PointLocator:
    """Pixels to (image token, patch within it, ninth of the patch): the inverse of how a point is decoded."""

    def __init__(self, tiles: Tiles) -> None:
        self.mapping, self.place = tiles.mapping, pooled_at(tiles.token_pooling)

    def triple(self, x: float, y: float, size: tuple[int, int]) -> tuple[int, int, int]:
        """Where a pixel of a picture of `size` (width, height) lies. Only high-resolution tokens are in the mapping."""
        patch, ninth = locate(x, y, self.mapping, size)
        return (*self.place[patch], ninth)


def sorted_points(
    points: Sequence[tuple[float, float]], size: tuple[int, int], locator: PointLocator
) -> list[tuple[tuple[float, float], tuple[int, int, int]]]:
    """Each point with its triple, in the order in which it is written."""
    return sorted(((p, locator.triple(*p, size)) for p in points), key=lambda pair: pair[1])


def answer(
    points: Sequence[tuple[float, float]],
    label: str,
    counting: bool,
    size: tuple[int, int],
    written: Format,
    locator: PointLocator,
    encode: Encode,
    tokens: TokenIds,
) -> Answer:
    """The answer to one query, without the end of the turn. Points in pixels of a picture of `size` (width, height)."""
    if not points:
        return _text(NONE, encode)
    ordered = sorted_points(points, size, locator)
    if written == "text":
        listed = _text(text_points(ordered, label, size), encode)
    else:
        listed = grounding_points([triple for _, triple in ordered], label, encode, tokens)
    if not counting:
        return listed
    return _text("Counting the ", encode) + listed + _text(f" shows a total of {len(points)}.", encode)


def text_points(
    ordered: Sequence[tuple[tuple[float, float], tuple[int, int, int]]], label: str, size: tuple[int, int]
) -> str:
    """Molmo2's form: the image's number, then number, x and y of each point in thousandths of the picture."""
    listed = [
        f"{number} {_thousandths(x, size[0])} {_thousandths(y, size[1])}"
        for number, ((x, y), _) in enumerate(ordered, start=1)
    ]
    return f'<points coords="1 {" ".join(listed)}">{label}</points>'


def grounding_points(
    triples: Sequence[tuple[int, int, int]], label: str, encode: Encode, tokens: TokenIds
) -> Answer:
    """MolmoPoint's form: a triple and its number for each point, then PATCH with no-more-points."""
    out = _text('<points coords="', encode)
    for number, triple in enumerate(triples, start=1):
        out += Answer([tokens.patch, tokens.subpatch, tokens.location], list(triple))
        out += _text(str(number), encode)
    return out + Answer([tokens.patch], [NO_MORE_POINTS]) + _text(f'">{label}</point>', encode)


def _thousandths(value: float, side: int) -> str:
    return f"{round(1000 * value / side):03d}"


def _text(text: str, encode: Encode) -> Answer:
    ids = encode(text)
    return Answer(ids, [-1] * len(ids))
