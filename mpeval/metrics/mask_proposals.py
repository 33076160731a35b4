"""Masks of several objects as one prediction: each pixel is of one object, and predicted objects are paired with true
ones so that J&F is largest.

DAVIS's task without a first frame's masks (Caelles et al., arXiv 1905.00737; davisvideochallenge/davis2017-evaluation
at ac7c43f, davis2017/evaluation.py, `_evaluate_unsupervised`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mpeval.metrics.mask_quality import MaskQuality, boundaries_f, boundary, jaccard
from mpeval.types import RLE

Masks = Mapping[int, RLE]
"""Frame -> an object's mask, frames in which it is not seen left out."""


def paired_quality(
    predicted: Sequence[Masks], true: Sequence[Masks], frames: Sequence[int], size: tuple[int, int]
) -> list[MaskQuality]:
    """J and F over the frames of each predicted object and the true one that it is paired with.

    As many are predicted as there are; masks may be empty. frames: those that count, at least one. size: height, width.
    """
    from scipy.optimize import linear_sum_assignment

    values = np.zeros((2, len(frames), len(predicted), len(true)))
    for place, number in enumerate(frames):
        ours, theirs = ([_mask(each, number, size) for each in side] for side in (predicted, true))
        ours = without_overlap(ours)
        edges, true_edges = [boundary(mask) for mask in ours], [boundary(mask) for mask in theirs]
        for i, mask in enumerate(ours):
            for k, other in enumerate(theirs):
                values[:, place, i, k] = jaccard(mask, other), boundaries_f(edges[i], true_edges[k], size)
    quality = values.mean(1)
    pairs = zip(*linear_sum_assignment(-quality.mean(0)), strict=True)
    return [MaskQuality(float(quality[0, i, k]), float(quality[1, i, k])) for i, k in pairs]


def without_overlap(masks: Sequence[RLE]) -> list[RLE]:
    """The masks of one frame; a pixel of several is the first one's."""
    from mpeval.masks import area, decode, encode, union

    found: list[RLE] = []
    for mask in masks:
        taken = union(found) if found else None
        if taken is not None and area(mask) and area(union([taken, mask])) < area(taken) + area(mask):
            mask = encode(decode(mask) & ~decode(taken))
        found.append(mask)
    return found


def _mask(masks: Masks, number: int, size: tuple[int, int]) -> RLE:
    from mpeval.masks import encode

    return masks[number] if number in masks else encode(np.zeros(size, bool))
