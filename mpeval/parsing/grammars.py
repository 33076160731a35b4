"""Grammars: how a model writes points, declared, and the one function that reads them.

A grammar is a name for forms in the order in which they are tried; the first that finds a point is taken, and its name
is kept with the prediction, so that an answer in no known form can be told from a miss. The coordinate space is
declared beside it, never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from mpeval.parsing import molmo2, pairs
from mpeval.parsing.counts import states_none
from mpeval.parsing.molmo2 import MediaKind, Size
from mpeval.parsing.pairs import Pair, Parser
from mpeval.types import CoordinateSpace, Point

_JSON: dict[str, Parser] = {"json-point": pairs.json_point, "json-box": pairs.json_box}
_TAGS: dict[str, Parser] = {"box-tag": pairs.box_tag, "point-tag": pairs.point_tag}
_CALLS: dict[str, Parser] = {"click-call": pairs.click_call, "box-argument": pairs.box_argument}
_LISTS: dict[str, Parser] = {"pair": pairs.bracketed, "box-list": pairs.box_list, "bare-pair": pairs.bare}

GRAMMARS: dict[str, dict[str, Parser]] = {
    "json": {**_JSON, "named": pairs.named, **_LISTS},
    "json-yx": {"json-point-yx": pairs.json_point_yx, "json-box-yx": pairs.json_box_yx},
    "pairs": _LISTS,
    "boxes": {"box-tag": pairs.box_tag, "json-box": pairs.json_box, "box-list": pairs.box_list},
    "tags": {"point-tag": pairs.point_tag, "named": pairs.named},
    "clicks": {**_CALLS, **_TAGS, **_JSON},
    "any": {**_JSON, **_TAGS, **_CALLS, "named": pairs.named, **_LISTS},
    molmo2.FORM: {},
}
"""Name -> form -> parser. `molmo2-coords` is read by `molmo2.parse_points`, always in thousandths."""

SCALES: dict[CoordinateSpace, float] = {"thousandths": 1000, "percent": 100, "unit": 1}
"""The coordinate at the right and the lower edge."""

_THOUGHTS = (("<think>", "</think>"), ("◁think▷", "◁/think▷"))


def read(
    text: str,
    grammar: str,
    coordinates: CoordinateSpace,
    sizes: Sequence[Size],
    kind: MediaKind = "image",
    seen_size: Size | None = None,
) -> tuple[str | None, list[Point]]:
    """The form that matched and its points in pixels of the original picture.

    The form is `none` where there is no point and the text says so ("There are none.", an empty list), and None where
    nothing was read. Thoughts before the answer are passed over. Only `molmo2-coords` says in which of several
    pictures a point lies, or when; in another grammar it lies in the first picture.

    sizes: width, height of each original picture. seen_size: width, height of the picture that pixels refer to, where
    it is not the original. Raises `KeyError` for an unknown grammar.
    """
    answer = _answer(text)
    if grammar == molmo2.FORM:
        return molmo2.parse_points(answer, sizes, kind)
    if coordinates == "percent":
        answer = answer.replace("%", "")
    size, image = sizes[0], 0 if kind == "images" else None
    edges = (seen_size or size) if coordinates == "pixels" else (SCALES[coordinates],) * 2
    for form, parse in GRAMMARS[grammar].items():
        pixels = [_scaled(pair, edges, size) for pair in parse(answer)]
        if points := [Point(x, y, image=image) for x, y in pixels if isfinite(x) and isfinite(y)]:
            return form, points
    return (molmo2.NONE_FORM if _declines(answer) else None), []


def _scaled(pair: Pair, edges: tuple[float, float], size: Size) -> Pair:
    """A pair whose coordinates at the right and the lower edge are `edges`, in pixels of a picture of `size`."""
    x, y = (at if edge == length else at / edge * length for at, edge, length in zip(pair, edges, size, strict=True))
    return x, y


def _answer(text: str) -> str:
    """What follows the model's thoughts, where it wrote any; nothing where they were cut off before their end."""
    for begin, end in _THOUGHTS:
        text = text.rpartition(end)[2]
        if text.lstrip().startswith(begin):
            return ""
    return text


def _declines(answer: str) -> bool:
    return states_none(answer) or "".join(answer.split()).removeprefix("```json").strip("`") == "[]"
