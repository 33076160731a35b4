"""Selected image tokens, patches and ninths to pixels of the original media, and back.

Location l lies in column l // 3 and row l % 3 of the patch, a third is written 0.33, and the point is the middle
of the third (allenai/molmo2, olmo/models/molmo_point/molmo_point_example_preprocessor.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mpeval.engine.config import TokenIds
from mpeval.engine.model import NO_MORE_POINTS
from mpeval.types import Point

THIRD = 0.33
OBJECT_ID = re.compile(r"\s*(\d+)")


@dataclass(frozen=True)
class PatchPlace:
    """Where a ViT patch lies in the original media."""

    row: int
    column: int
    rows: int
    columns: int
    size: tuple[int, int]
    """Width, height of the original picture."""
    image: int | None = None
    time: float | None = None

    def point(self, location: int, object_id: str | None = None) -> Point:
        """The pixel of one of the patch's nine places."""
        x = self.column + (location // 3 + 0.5) * THIRD
        y = self.row + (location % 3 + 0.5) * THIRD
        width, height = self.size
        return Point(x / self.columns * width, y / self.rows * height, self.time, self.image, object_id)


def image_places(mappings: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> dict[int, PatchPlace]:
    """Patch id -> place. mappings: int [rows, columns] of patch ids, one an image; sizes: width, height of each.

    With several images the places carry the image's index. A patch id that stands twice points nowhere, as released.
    """
    places: dict[int, PatchPlace] = {}
    several = len(mappings) > 1
    for index, (mapping, size) in enumerate(zip(mappings, sizes, strict=True)):
        ids, first, counts = np.unique(mapping, return_index=True, return_counts=True)
        for patch, at, count in zip(ids.tolist(), first.tolist(), counts.tolist(), strict=True):
            if count == 1 and patch >= 0 and patch not in places:
                row, column = divmod(at, mapping.shape[1])
                places[patch] = PatchPlace(
                    row, column, mapping.shape[0], mapping.shape[1], size, index if several else None
                )
    return places


def video_places(mapping: np.ndarray, size: tuple[int, int], times: Sequence[float]) -> dict[int, PatchPlace]:
    """Patch id -> place. mapping: int [frames, rows, columns]; size: width, height; times: seconds, one a frame."""
    places: dict[int, PatchPlace] = {}
    for frame, time in zip(mapping, times, strict=True):
        for patch, place in image_places([frame], [size]).items():
            places[patch] = PatchPlace(place.row, place.column, place.rows, place.columns, size, time=float(time))
    return places


def generated_points(
    ids: Sequence[int],
    choices: Sequence[int],
    tokens: TokenIds,
    pooling: np.ndarray,
    places: dict[int, PatchPlace],
    decode: Callable[[list[int]], str],
) -> list[Point]:
    """Points of a generated answer.

    ids and choices as in `engine.generate.Generation`; pooling [image tokens, S]: patch ids behind each image
    token; decode: ids to text. The number written right after a point is its object id.
    """
    points = []
    for end in range(2, len(ids)):
        if ids[end] != tokens.location:
            continue
        image_token, patch, location = choices[end - 2 : end + 1]
        place = places.get(int(pooling[image_token, patch]))
        if place is not None:
            match = OBJECT_ID.match(decode(_text_after(ids, end, tokens)))
            points.append(place.point(location, match[1] if match else None))
    return points


def answer_text(
    ids: Sequence[int],
    choices: Sequence[int],
    tokens: TokenIds,
    shape: tuple[int, int],
    decode: Callable[[list[int]], str],
) -> str:
    """The answer as the Hub port writes it: `<POINT_p><POINT_P+1+s><POINT_P+1+S+l>`, `<POINT_P>` for no more.

    shape: (P, S), the image tokens of the sample and the patches behind one at most.
    """
    image_tokens, pool = shape
    offsets = {tokens.patch: 0, tokens.subpatch: image_tokens + 1, tokens.location: image_tokens + 1 + pool}
    parts, plain = [], list[int]()
    for token, choice in zip(ids, choices, strict=True):
        if choice < 0:
            plain.append(token)
            continue
        parts += [
            decode(plain),
            f"<POINT_{image_tokens if choice == NO_MORE_POINTS else choice + offsets[token]}>",
        ]
        plain = []
    return "".join([*parts, decode(plain)])


def locate(x: float, y: float, mapping: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """The patch id and the ninth that hold a pixel: what a training target names.

    mapping int [rows, columns], size (width, height). Pixels outside are moved to the edge.
    """
    rows, columns = mapping.shape
    u = min(max(x / size[0] * columns, 0.0), columns - 1e-6)
    v = min(max(y / size[1] * rows, 0.0), rows - 1e-6)
    ninth = int((u % 1) * 3) * 3 + int((v % 1) * 3)
    return int(mapping[int(v), int(u)]), ninth


def pooled_at(pooling: np.ndarray) -> dict[int, tuple[int, int]]:
    """Patch id -> (image token, place within it), from pooling [image tokens, S] with -1 for padding."""
    return {int(pooling[t, s]): (int(t), int(s)) for t, s in np.argwhere(pooling >= 0)}


def _text_after(ids: Sequence[int], position: int, tokens: TokenIds) -> list[int]:
    after: list[int] = []
    for token in ids[position + 1 :]:
        if token in (tokens.patch, tokens.subpatch, tokens.location) or len(after) == 8:
            break
        after.append(token)
    return after
