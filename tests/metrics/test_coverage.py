"""Whether 95 % intervals hold the truth in about 95 % of draws; the whole table is in docs/compare.md."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from mpeval.metrics import coverage
from mpeval.metrics.coverage import (
    ARRANGEMENTS,
    INDEPENDENT,
    PAIRS,
    Arrangement,
    cluster_rates,
    cluster_sizes,
    difference_coverage,
    one_direction,
    percentile_bootstrap,
    score_coverage,
)

CLUSTERED = ARRANGEMENTS[1]
DRAWS = 800


@pytest.mark.parametrize("arrangement", [INDEPENDENT, CLUSTERED])
@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_a_scores_interval_holds_its_rate(rate, arrangement):
    assert score_coverage(100, rate, arrangement, DRAWS) == pytest.approx(0.955, abs=0.025)


@pytest.mark.parametrize("score", ["graded", "macro"])
def test_so_do_those_of_graded_values_and_macro_averages(score):
    assert score_coverage(500, 0.5, CLUSTERED, DRAWS, score=score) == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize(("samples", "arrangement"), [(100, INDEPENDENT), (500, CLUSTERED)])
def test_a_differences_interval_holds_the_difference(samples, arrangement):
    assert difference_coverage(samples, (0.5, 0.6), arrangement, PAIRS[1], DRAWS) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("rate", [0.05, 0.95])
def test_it_does_so_where_few_clusters_differ(rate):
    """Student's quantile among seven clusters holds zero in 99.5 % of draws."""
    assert difference_coverage(100, (rate, rate), CLUSTERED, PAIRS[0], 2 * DRAWS) == pytest.approx(0.957, abs=0.017)


def test_an_interval_may_be_bolder():
    sums = np.array([[8.0, 4, 2, 0], [-8, -4, -2, 0], [8, 4, 0, 0], [8, 4, -2, 0]])[..., None]
    low, high = one_direction(sums, np.abs(sums), np.abs(sums), np.full((4, 1), 16))
    assert ((low <= 0) & (high >= 0)).tolist() == [False, False, True, True]


def test_few_clusters_are_too_few_for_the_bootstrap():
    """The reason for another interval; should this fail, the simulation has lost its clusters."""
    held = difference_coverage(100, (0.5, 0.5), CLUSTERED, PAIRS[0], DRAWS, method=percentile_bootstrap)
    assert held < 0.9


@pytest.mark.parametrize("kind", ["beta", "normal", "copies"])
def test_answers_are_drawn_with_the_rate_and_correlation_asked_for(kind):
    draws = np.random.default_rng(0)
    rates = cluster_rates(draws, (1, 400_000), 0.2, Arrangement("", kind=kind))
    assert rates.mean() == pytest.approx(0.2, abs=0.003)
    assert rates.var() / (0.2 * 0.8) == pytest.approx(0.3, abs=0.01)  # the correlation within clusters


def test_clusters_are_filled_up():
    assert cluster_sizes(100, 16).tolist() == [16] * 6 + [4]
    assert cluster_sizes(3, 1).tolist() == [1, 1, 1]


def test_the_command_prints_tables(monkeypatch):
    monkeypatch.setattr(coverage, "SIZES", (100,))
    shown = CliRunner().invoke(coverage.command, ["--draws", "20"])
    assert shown.exit_code == 0
    assert "\n| 100 | 16, 0.3, copies | " in shown.output
    assert "\n| 100 | independent | macro | " in shown.output
    assert shown.output.count("\n| 100 | independent | half copied | ") == 2
    assert shown.output == CliRunner().invoke(coverage.command, ["--draws", "20"]).output
