"""Masks of several objects as one prediction."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mpeval.masks import decode, encode
from mpeval.metrics.mask_proposals import paired_quality, without_overlap
from mpeval.metrics.mask_quality import mask_quality
from mpeval.types import RLE

SIZE = (5, 7)
MASKS = arrays(bool, SIZE)
VIDEOS = st.integers(1, 3).flatmap(lambda count: arrays(bool, (2, count, 3, *SIZE)))
"""Predicted and true, [2, objects, frames, height, width]."""


@given(st.lists(MASKS, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_each_pixel_is_the_first_mask_s(masks) -> None:
    found = [decode(mask) for mask in without_overlap([encode(mask) for mask in masks])]
    for i, mask in enumerate(masks):
        before = np.any(masks[:i], axis=0) if i else np.zeros(SIZE, bool)
        assert np.array_equal(found[i], mask & ~before)


def by_frame(video: np.ndarray) -> dict[int, RLE]:
    return {number: encode(mask) for number, mask in enumerate(video) if mask.any()}


@given(VIDEOS)
@settings(max_examples=60, deadline=None)
def test_the_best_pairs_are_found(videos) -> None:
    ours, theirs = videos
    labels = np.stack([ours[i] & ~ours[:i].any(0) for i in range(len(ours))])
    rles = [[[encode(mask) for mask in video] for video in side] for side in (labels, theirs)]
    quality = [[mask_quality(one, other) for other in rles[1]] for one in rles[0]]
    best = max(sum(quality[i][k].mean for i, k in enumerate(order)) for order in permutations(range(len(ours))))
    found = paired_quality([by_frame(each) for each in ours], [by_frame(each) for each in theirs], range(3), SIZE)
    assert sum(each.mean for each in found) == pytest.approx(best)


def test_masks_under_the_wrong_expression_are_right() -> None:
    masks = np.zeros((2, 1, *SIZE), bool)
    masks[0, 0, :2, :2] = masks[1, 0, 3:, 4:] = True
    videos = [by_frame(each) for each in masks]
    assert paired_quality(videos[::-1], videos, [0], SIZE) == [(1.0, 1.0), (1.0, 1.0)]
