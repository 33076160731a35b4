from __future__ import annotations

from math import ceil, hypot

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation

from mpeval.masks import encode
from mpeval.metrics.mask_quality import boundary, boundary_f, jaccard, mask_quality


def outline(mask):
    """The definition pixel by pixel."""
    height, width = mask.shape
    found = np.zeros_like(mask)
    for row in range(height):
        for column in range(width):
            below, right = min(row + 1, height - 1), min(column + 1, width - 1)
            others = [mask[row, right], mask[below, column], mask[below, right]]
            found[row, column] = any(other != mask[row, column] for other in others)
    return found


def dilated_f(predicted, true):
    """The definition with a dilation by a disk."""
    reach = ceil(0.008 * hypot(*true.shape))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = x * x + y * y <= reach * reach
    ours, theirs = outline(predicted), outline(true)
    if not (ours.any() and theirs.any()):
        return float(ours.any() == theirs.any())
    precision = (ours & binary_dilation(theirs, disk)).sum() / ours.sum()
    recall = (theirs & binary_dilation(ours, disk)).sum() / theirs.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


SIDES = st.tuples(st.integers(1, 25), st.integers(1, 25))
PAIRS = SIDES.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))


@settings(deadline=None, max_examples=40)
@given(PAIRS)
def test_j_and_f_agree_with_their_definitions(pair):
    predicted, true = pair
    union = (predicted | true).sum()
    expected = (predicted & true).sum() / union if union else 1
    assert jaccard(encode(predicted), encode(true)) == pytest.approx(expected, abs=1e-12)
    assert boundary_f(encode(predicted), encode(true)) == pytest.approx(dilated_f(predicted, true), abs=1e-12)
    assert sorted(map(tuple, boundary(encode(true)))) == sorted(map(tuple, np.argwhere(outline(true))))


@pytest.mark.parametrize(("x", "y", "radius"), [(70, 60, 30), (74, 60, 30), (70, 57, 34), (130, 20, 25), (0, 0, 12)])
def test_f_agrees_where_the_disk_is_larger_than_a_pixel(x, y, radius):
    rows, columns = np.mgrid[:150, :220]
    true = (columns - 70) ** 2 + (rows - 60) ** 2 < 30**2
    predicted = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
    assert boundary_f(encode(predicted), encode(true)) == pytest.approx(dilated_f(predicted, true), abs=1e-12)


def test_perfect_and_empty():
    mask = encode(np.eye(9, dtype=bool))
    empty = encode(np.zeros((9, 9), bool))
    assert mask_quality([mask, empty], [mask, empty]) == (1, 1)
    assert mask_quality([empty, mask], [mask, empty]).mean == 0
