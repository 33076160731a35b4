from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpeval.masks import encode
from mpeval.metrics.points import all_in_mask, point_set_scores

SIZE = 24
PIXELS = st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1))
POINTS = st.lists(PIXELS, max_size=6, unique=True)


def square(x, y, reach=2):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = True
    return encode(mask)


@settings(deadline=None, max_examples=60)
@given(POINTS)
def test_the_true_points_score_one(true):
    assert point_set_scores(true, true, [square(*point) for point in true]) == (1, 1, 1)


@settings(deadline=None, max_examples=60)
@given(POINTS, POINTS)
def test_bounds_and_harmonic_mean(predicted, true):
    precision, recall, f1 = point_set_scores(predicted, true, [square(*point) for point in true])
    tiny = 1e-12
    assert 0 <= min(precision, recall) <= f1 + tiny <= max(precision, recall) + 2 * tiny <= 1 + 2 * tiny
    assert precision * len(predicted) == pytest.approx(recall * len(true)) or not (predicted and true)


@settings(deadline=None, max_examples=60)
@given(POINTS, POINTS, st.randoms(use_true_random=False))
def test_order_does_not_matter(predicted, true, random):
    # Distinct irrational-looking offsets: the least total distance is then reached by one assignment only.
    predicted = [(x + 0.137 * i**0.5, y + 0.0731 * i**0.7) for i, (x, y) in enumerate(predicted)]
    masks = [square(*point) for point in true]
    shuffled, order = random.sample(predicted, len(predicted)), random.sample(range(len(true)), len(true))
    again = point_set_scores(shuffled, [true[i] for i in order], [masks[i] for i in order])
    assert again == point_set_scores(predicted, true, masks)


def test_a_pair_is_made_by_distance_and_not_by_masks():
    wide = encode(np.ones((SIZE, SIZE), bool))
    none = encode(np.zeros((SIZE, SIZE), bool))
    # The prediction lies in the first mask but nearer to the second's point.
    assert point_set_scores([(10, 10)], [(0, 0), (11, 11)], [wide, none]).f1 == 0


@pytest.mark.parametrize(("predicted", "expected"), [([], 1), ([(3, 3)], 0)])
def test_nothing_to_point_at(predicted, expected):
    assert point_set_scores(predicted, [], []) == (expected, expected, expected)


def test_silence_where_there_is_something():
    assert point_set_scores([], [(3, 3)], [square(3, 3)]) == (0, 0, 0)


def test_rounding_and_epsilon():
    mask = square(5, 5, reach=0)
    assert point_set_scores([(5.9, 5.9)], [(5, 5)], [mask]).f1 == 1
    assert point_set_scores([(5.9, 5.9)], [(5, 5)], [mask], "nearest").f1 == 0
    assert point_set_scores([(5, 5)], [(5, 5)], [mask], "nearest", 1e-10).f1 == 0.99999999995


def test_all_in_mask():
    mask = square(5, 5)
    assert all_in_mask([(4, 4), (7.9, 5)], mask, (SIZE, SIZE))
    assert not all_in_mask([(4, 4), (8, 5)], mask, (SIZE, SIZE))
    assert not all_in_mask([], mask, (SIZE, SIZE))
    assert not all_in_mask([(7, 5)], mask, (6, SIZE)), "in the mask, but off its smaller image"
    assert all_in_mask([(-0.5, 0)], square(0, 0), (SIZE, SIZE), "truncate")
    assert not all_in_mask([(-0.5, 0)], square(0, 0), (SIZE, SIZE), "floor")


@pytest.mark.parametrize("wild", [float("nan"), float("inf"), -1e308])
def test_a_point_that_is_nowhere_is_a_miss_and_takes_nothing_from_the_others(wild):
    mask = encode(np.ones((10, 10), bool))
    result = point_set_scores([(wild, 3.0), (5.0, 5.0)], [(5.0, 5.0)], [mask])
    assert result == (0.5, 1.0, 2 / 3)
