"""Masks in COCO's compressed run-length encoding: made, measured, and asked about points without being
decoded.

A COCO mask is column-major: its runs go down the first column, then the second, alternately outside and
inside, and `counts` spells the run lengths five bits a character (pycocotools, common/maskApi.c,
`rleToString`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import floor, isfinite, trunc
from typing import TYPE_CHECKING, Literal

from mpeval.errors import SampleError
from mpeval.metrics.regions import polygon_interior_point
from mpeval.types import RLE, BoxTarget, PolygonTarget

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

Rounding = Literal["floor", "truncate", "nearest"]
"""Which pixel a point lies in. `floor`: the one that covers it (pixel i covers i <= x < i + 1). `truncate`:
towards zero, so that -0.5 is in pixel 0. `nearest`: the nearest integer, halves to even."""


def encode(mask: ArrayLike) -> RLE:
    """The encoding of a mask, [height, width], true inside."""
    import numpy as np
    from pycocotools import mask as coco

    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    height, width = encoded["size"]
    return RLE((height, width), encoded["counts"].decode("ascii"))


def decode(rle: RLE) -> np.ndarray:
    """The mask itself, bool [height, width]. Raises `SampleError` where the runs do not fill the size."""
    import numpy as np

    height, width = rle.size
    ends = _run_ends(rle)
    inside = np.arange(len(ends)) % 2 == 1
    return np.repeat(inside, np.diff(ends, prepend=0)).reshape(width, height).T


def area(rle: RLE) -> int:
    """Pixels inside."""
    ends = _run_ends(rle)
    return int((ends[1::2] - ends[: len(ends) - 1 : 2]).sum())


def bounding_box(rle: RLE) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 around the pixels inside (x2, y2 just past the last one); zeros for an empty mask."""
    from pycocotools import mask as coco

    _run_ends(rle)  # pycocotools reads past the end of a corrupt mask
    encoded = {"size": list(rle.size), "counts": rle.counts.encode("ascii")}
    x, y, width, height = (int(value) for value in coco.toBbox(encoded))
    return x, y, x + width, y + height


def from_polygon(polygon: Sequence[tuple[float, float]], size: tuple[int, int]) -> RLE:
    """The mask of a polygon as pycocotools fills it.

    polygon: vertices x, y in pixels. size: height, width. Raises `SampleError` for fewer than three vertices.
    """
    from pycocotools import mask as coco

    if len(polygon) < 3:
        raise SampleError(f"a polygon needs three vertices, this one has {len(polygon)}")
    height, width = size
    flat = [float(value) for vertex in polygon for value in vertex]
    encoded = coco.merge(coco.frPyObjects([flat], height, width))
    return RLE((height, width), encoded["counts"].decode("ascii"))


def point_in_mask(rle: RLE, x: float, y: float, rounding: Rounding = "floor") -> bool:
    """Whether the pixel at x, y lies inside; a point off the mask does not. The mask is not decoded."""
    if not (isfinite(x) and isfinite(y)):
        return False
    height, width = rle.size
    column, row = _PIXEL[rounding](x), _PIXEL[rounding](y)
    if not (0 <= column < width and 0 <= row < height):
        return False
    return int(_run_ends(rle).searchsorted(column * height + row, side="right")) % 2 == 1


def points_in_mask(rle: RLE, points: ArrayLike, rounding: Rounding = "floor") -> np.ndarray:
    """Whether each point lies inside, bool [n], without decoding the mask.

    points: [n, 2], x and y in pixels of the mask; what is not finite lies outside.
    """
    import numpy as np

    xy = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    pixels = {"floor": np.floor, "truncate": np.trunc, "nearest": np.rint}[rounding](xy)
    height, width = rle.size
    inside = (pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    column, row = np.where(inside[:, None], pixels, 0.0).astype(np.int64).T
    run = np.searchsorted(_run_ends(rle), column * height + row, side="right")
    return inside & (run % 2 == 1)


def interior_point(shape: RLE | BoxTarget | PolygonTarget) -> tuple[float, float]:
    """x, y of a point that is truly inside.

    A mask: a quarter of a pixel into the pixel farthest from the mask's edge, so that flooring, truncating
    and rounding all find that pixel. A box: its centre. A polygon: the middle of a widest chord. Raises
    `SampleError` for an empty mask.
    """
    if isinstance(shape, BoxTarget):
        x1, y1, x2, y2 = shape.box
        return (x1 + x2) / 2, (y1 + y2) / 2
    if isinstance(shape, PolygonTarget):
        return polygon_interior_point(shape.polygon)
    return _deepest_pixel(shape)


def _deepest_pixel(rle: RLE) -> tuple[float, float]:
    import numpy as np
    from scipy.ndimage import distance_transform_edt

    x1, y1, x2, y2 = bounding_box(rle)
    if x1 == x2:
        raise SampleError("an empty mask has no point inside")
    crop = np.pad(decode(rle)[y1:y2, x1:x2], 1)
    row, column = np.unravel_index(distance_transform_edt(crop).argmax(), crop.shape)
    return x1 + float(column) - 1 + 0.25, y1 + float(row) - 1 + 0.25


_PIXEL: dict[Rounding, Callable[[float], int]] = {"floor": floor, "truncate": trunc, "nearest": round}


@lru_cache(maxsize=4096)
def _run_ends(rle: RLE) -> np.ndarray:
    """Where each run ends, int64 [runs]; runs at odd indices are inside.

    Six bits a character from '0' on: five of value, low ones first, and one that says that the number goes
    on; the last character's fifth bit is the sign. From the fourth run on, what is spelled is the difference
    to the run before last.
    """
    import numpy as np

    height, width = rle.size
    bits = np.frombuffer(rle.counts.encode("ascii", "replace"), dtype=np.uint8).astype(np.int64) - 48
    if not len(bits) or bits.min() < 0 or bits.max() > 63 or bits[-1] & 32:
        raise SampleError(f"a mask's run lengths cannot be read: {rle.counts[:40]!r}")
    last = np.flatnonzero(~bits & 32)
    first = np.concatenate([[0], last[:-1] + 1])
    length = last - first + 1
    if length.max() > 12:
        raise SampleError(f"a mask's run lengths cannot be read: {rle.counts[:40]!r}")
    place = np.arange(len(bits)) - np.repeat(first, length)
    runs = np.add.reduceat((bits & 31) << (5 * place), first)
    runs -= np.where(bits[last] & 16, np.left_shift(1, 5 * length), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    if runs.min() < 0 or runs.sum() != height * width:
        raise SampleError(f"a mask's runs cover {runs.sum()} pixels, its size {width}x{height} has {height * width}")
    return np.cumsum(runs)
