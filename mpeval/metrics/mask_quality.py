"""J, F and J&F: region and boundary quality of a sequence of masks (Perazzi et al., CVPR 2016; DAVIS
toolkit)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, hypot
from typing import NamedTuple

import numpy as np

from mpeval.masks import area, bounding_box, decode
from mpeval.types import RLE

TOLERANCE = 0.008
"""How far boundaries may lie apart, as a share of the frame's diagonal."""


class MaskQuality(NamedTuple):
    """Means over the frames, in 0..1."""

    J: float
    F: float

    @property
    def mean(self) -> float:
        """J&F."""
        return (self.J + self.F) / 2


def mask_quality(predicted: Sequence[RLE], true: Sequence[RLE]) -> MaskQuality:
    """J and F of one object (or union of objects) over its frames: one predicted and one true mask a
    frame."""
    pairs = list(zip(predicted, true, strict=True))
    return MaskQuality(
        float(np.mean([jaccard(*pair) for pair in pairs])),
        float(np.mean([boundary_f(*pair) for pair in pairs])),
    )


def jaccard(predicted: RLE, true: RLE) -> float:
    """Intersection over union; 1 for two empty masks (DAVIS toolkit, `db_eval_iou`). Nothing is decoded."""
    from pycocotools import mask as coco

    if area(predicted) == area(true) == 0:
        return 1.0
    sides = [{"size": list(rle.size), "counts": rle.counts.encode("ascii")} for rle in (predicted, true)]
    return float(coco.iou(sides[:1], sides[1:], [0])[0, 0])


def boundary_f(predicted: RLE, true: RLE) -> float:
    """F measure of the boundaries, matched where they lie within ceil(0.008 * diagonal) pixels of each other.

    DAVIS toolkit, `db_eval_boundary`: two empty boundaries agree; one alone scores 0. Distances between
    boundary pixels stand in for its dilation with a disk: a pixel lies in the dilated boundary if some
    boundary pixel is no farther.
    """
    return boundaries_f(boundary(predicted), boundary(true), true.size)


def boundaries_f(ours: np.ndarray, theirs: np.ndarray, size: tuple[int, int]) -> float:
    """`boundary_f` of boundaries that are known: pixels [n, 2] of masks of a height and width."""
    from scipy.spatial import cKDTree

    if len(ours) == 0 or len(theirs) == 0:
        return float(len(ours) == len(theirs))
    reach = ceil(TOLERANCE * hypot(*size)) + 1e-6  # squared distances are whole numbers
    near_theirs = np.isfinite(cKDTree(theirs).query(ours, distance_upper_bound=reach)[0]).mean()
    near_ours = np.isfinite(cKDTree(ours).query(theirs, distance_upper_bound=reach)[0]).mean()
    total = near_theirs + near_ours
    return float(2 * near_theirs * near_ours / total) if total > 0 else 0.0


def boundary(rle: RLE) -> np.ndarray:
    """Boundary pixels, row and column [n, 2]: those that differ from the pixel to the right, below, or
    diagonally so."""
    x1, y1, x2, y2 = bounding_box(rle)
    if x1 == x2:
        return np.zeros((0, 2), int)
    top, left = max(y1 - 1, 0), max(x1 - 1, 0)
    # The frame's last row and column compare with themselves there, as in the toolkit.
    crop = np.pad(decode(rle)[top : y2 + 1, left : x2 + 1], ((0, 1), (0, 1)), mode="edge")
    here = crop[:-1, :-1]
    differs = (here != crop[:-1, 1:]) | (here != crop[1:, :-1]) | (here != crop[1:, 1:])
    return np.add(np.argwhere(differs), (top, left))
