"""Intervals of a score and of a paired difference."""

from __future__ import annotations

from math import lgamma

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpeval.metrics.intervals import (
    _quantile,
    difference_interval,
    mean_interval,
    plus_two,
    rate_interval,
    student,
    tango,
    wilson,
)


def columns(values, clusters=None):
    """Sums, squares, magnitudes and counts of one stratum; each value its own cluster if none are named."""
    values = np.asarray(values, float)
    index = np.unique(np.arange(len(values)) if clusters is None else clusters, return_inverse=True)[1]
    of = [np.bincount(index, each)[:, None] for each in (values, values**2, np.abs(values), np.ones(len(values)))]
    return of


def rate(values, clusters=None):
    sums, squares, _, counts = columns(values, clusters)
    return tuple(float(each) for each in rate_interval(sums, squares, counts))


def change(values, clusters=None):
    return tuple(float(each) for each in difference_interval(*columns(values, clusters)))


def width(interval):
    return interval[1] - interval[0]


@pytest.mark.parametrize("interval", [wilson, plus_two])
@given(st.integers(1, 5000), st.floats(0, 1))
def test_intervals_of_a_rate_hold_it(interval, count, rate):
    low, high = interval(rate, count)
    assert 0 <= low <= rate + 1e-12
    assert rate - 1e-12 <= high <= 1
    assert low < high


def test_wilson_known_value():
    # Newcombe, Statistics in Medicine 17 (1998), Table I, method 3: 81 of 263.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_plus_two_known_values():
    # 11 of 102: 0.10784 and 1.95996 * sqrt(0.10784 * 0.89216 / 102) = 0.06020.
    assert plus_two(0.1, 100) == pytest.approx((0.04765, 0.16804), abs=5e-5)
    assert plus_two(0.0, 1000) == pytest.approx((0.0, 3 / 1000), rel=0.03)  # the rule of three


@pytest.mark.parametrize("trials", [100, 500, 1500])
@pytest.mark.parametrize("truth", [0.05, 0.5, 0.95])
def test_plus_two_holds_the_rate_in_95_of_100_draws(trials, truth):
    """Exactly: the probability of all numbers of hits whose interval holds the rate."""
    low, high = plus_two(np.arange(trials + 1) / trials, trials)
    hits = np.flatnonzero((low <= truth) & (truth <= high))
    logs = [lgamma(trials + 1) - lgamma(hit + 1) - lgamma(trials - hit + 1) for hit in hits]
    held = np.exp(logs + hits * np.log(truth) + (trials - hits) * np.log(1 - truth)).sum()
    assert 0.94 < held < 0.96


def test_tango_solves_its_own_equation():
    """At both ends the standardized distance is the quantile, with the variance of the likeliest table by search."""
    wins, losses, n = 12, 3, 40
    for end in tango(np.array((wins - losses) / n), np.array((wins + losses) / n), np.array(float(n))):
        grid = np.linspace(1e-9, 1 - 1e-9, 200_001)  # probability of a loss; that of a win is higher by `end`
        grid = grid[(grid + end > 0) & (2 * grid + end < 1)]
        likelihood = (
            wins * np.log(grid + end) + losses * np.log(grid) + (n - wins - losses) * np.log(1 - 2 * grid - end)
        )
        loss = grid[likelihood.argmax()]
        variance = (2 * loss + end - end**2) / n
        assert abs((wins - losses) / n - end) / np.sqrt(variance) == pytest.approx(1.96, abs=0.001)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=2, max_size=40))
def test_both_stay_in_range_and_hold_the_mean(rows):
    values, clusters = np.array(rows).T
    if len(set(clusters)) == 1:
        clusters = np.arange(len(values))
    low, high = rate(values, clusters)
    assert -1e-9 <= low <= values.mean() + 1e-9
    assert values.mean() - 1e-9 <= high <= 1 + 1e-9
    turned = 2 * values - 1
    low, high = change(turned, clusters)
    assert -1 - 1e-9 <= low <= turned.mean() + 1e-9
    assert turned.mean() - 1e-9 <= high <= 1 + 1e-9


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), st.integers(0, 5)), min_size=2, max_size=40))
def test_turning_the_values_around_turns_the_intervals_around(rows):
    values, clusters = np.array(rows).T
    if len(set(clusters)) == 1:
        clusters = np.arange(len(values))
    assert change(-values, clusters) == pytest.approx([-end for end in change(values, clusters)][::-1], abs=1e-6)
    score = np.abs(values)
    assert rate(1 - score, clusters) == pytest.approx([1 - end for end in rate(score, clusters)][::-1], abs=1e-9)


def test_a_rate_of_single_samples_gets_a_hit_and_a_miss():
    assert rate([1.0] * 81 + [0.0] * 182) == pytest.approx(plus_two(81 / 263, 263))
    assert rate([1.0] * 12) == pytest.approx(plus_two(1, 12))


def test_differences_of_single_samples_get_tangos_interval():
    values = np.array([1.0] * 12 + [-1.0] * 3 + [0.0] * 25)
    expected = tango(np.array(9 / 40), np.array(15 / 40), np.array(40.0), 2.0226909)
    assert change(values) == pytest.approx([float(end) for end in expected])


def test_answers_that_go_together_tell_less():
    values = [1.0] * 40 + [0.0] * 40
    pictures = np.arange(80) // 10
    assert width(rate(values, pictures)) > 2 * width(rate(values))
    apart = np.array(values) * 2 - 1
    assert width(change(apart, pictures)) > 2 * width(change(apart))
    assert width(rate(values, np.arange(80) % 8)) < 1.2 * width(rate(values))  # every cluster half right


def of_clusters(differing, clusters=7):
    """Interval of a difference of as many clusters of 16, of which some differ, each in 8 samples."""
    sums = np.zeros((clusters, 1))
    sums[: len(differing), 0] = 8.0 * np.array(differing)
    magnitudes = np.abs(sums)
    return difference_interval(sums, magnitudes, magnitudes, np.full((clusters, 1), 16))


@pytest.mark.parametrize("sign", [1, -1])
def test_three_clusters_of_seven_may_leave_out_zero_but_not_two(sign):
    for differing in ([1], [1, 1], [1, 1, -1], [1, 1, 1, -1]):
        low, high = of_clusters(sign * np.array(differing))
        assert low < 0 < high
    low, high = of_clusters(sign * np.array([1, 1, 1]))
    assert not low <= 0 <= high


def test_the_quantile_of_a_difference_is_students_unless_few_clusters_differ():
    seven = _quantile(np.arange(8), 7, assumed=4.0)
    assert seven[[0, 1, 2, 7]] == pytest.approx(student(6))
    assert (np.diff(seven[3:]) > 0).all()
    assert 1.6 < seven[3] < 1.9
    assert _quantile(np.arange(4), 3, assumed=4.0) == pytest.approx(student(2))
    assert _quantile(np.array([40]), 94, assumed=4.0) == pytest.approx(student(93), rel=0.002)
    alone = _quantile(np.arange(8), 7, assumed=1.0)  # of what does not go together
    assert alone == pytest.approx(student(6))


def test_graded_values_tell_more_than_rates():
    graded = np.random.default_rng(2).random(400)
    half = 1.96 * graded.std() / np.sqrt(400)
    assert rate(graded) == pytest.approx((graded.mean() - half, graded.mean() + half), abs=0.05 * half)
    assert width(change(graded - 0.5)) == pytest.approx(2 * half, rel=0.05)


@pytest.mark.parametrize("values", [[1.0] * 20, [0.0] * 20, [0.3] * 20])
def test_equal_values_are_not_certain(values):
    clusters = np.arange(20) // 2
    assert width(rate(values, clusters)) > width(rate(values)) > 0.1
    assert width(change(values, clusters)) > 0.1


def test_clusters_that_agree_by_chance_keep_some_width():
    """One right and one wrong answer in each picture: nothing varies between pictures."""
    values, pictures = [1.0, 0.0] * 20, np.arange(40) // 2
    assert width(rate(values, pictures)) > 0.4 * width(rate(values))
    assert width(change(np.array(values) * 2 - 1, pictures)) > 0.4 * width(change(np.array(values) * 2 - 1))


def test_strata_are_averaged_and_only_vary_within():
    """Two slices, one at 0.9 and one at 0.1, of 200 samples and of 50: the macro average varies as its parts do."""
    first, second = np.arange(200) < 180, np.arange(50) < 5
    values, stratum = np.concatenate([first, second]).astype(float), np.repeat([0, 1], [200, 50])
    sums, counts = (np.zeros((250, 2)) for _ in range(2))
    sums[np.arange(250), stratum], counts[np.arange(250), stratum] = values, 1
    low, high = rate_interval(sums, sums, counts)
    spread = np.sqrt(0.09 / 200 + 0.09 / 50) / 2
    assert (low + high) / 2 == pytest.approx(0.5, abs=0.005)
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.06)


def test_values_without_bounds():
    values = np.random.default_rng(3).normal(5, 2, size=100)
    sums, squares, _, counts = columns(values)
    low, high = mean_interval(sums, squares, counts)
    half = 1.984 * values.std(ddof=1) / 10  # Student, 99 degrees of freedom
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-3)
