from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpeval.metrics.averages import summarize
from mpeval.metrics.intervals import plus_two
from mpeval.types import SampleScore


def scores(values, name="f1"):
    return [SampleScore({name: value}) for value in values]


def named(metrics):
    return {(metric.name, metric.slice): metric for metric in metrics}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abc"), st.sampled_from("pqrs")), min_size=1, max_size=20))
def test_intervals_hold_their_estimates(rows):
    metrics = summarize(scores([r[0] for r in rows]), [{"kind": r[1]} for r in rows], [r[2] for r in rows])
    for metric in metrics:
        if metric.interval is not None:
            assert metric.interval[0] <= metric.value <= metric.interval[1]
    assert named(metrics)["f1", None].value == pytest.approx(np.mean([r[0] for r in rows]))


def test_micro_macro_and_slices():
    metrics = named(
        summarize(
            scores([1, 1, 1, 0, 0.5]), [{"kind": "a"}] * 3 + [{"kind": "b"}] * 2, ["p", "q", "r", "s", "t"], ["kind"]
        )
    )
    assert metrics["f1", None].value == pytest.approx(0.7)
    assert metrics["f1", "kind=a"].value == 1
    assert metrics["f1", "kind=b"].value == 0.25
    assert metrics["f1", "kind=b"].count == 2
    assert metrics["macro_f1_by_kind", None].value == pytest.approx(0.625)
    assert metrics["format_failures", None].value == 0


def test_single_samples_get_a_hit_and_a_miss():
    metric = named(summarize(scores([1.0] * 9 + [0.0] * 3), [{}] * 12, [str(i) for i in range(12)]))["f1", None]
    assert metric.interval == pytest.approx(plus_two(0.75, 12))


def test_clustered_rates_are_wider_than_independent_ones():
    values = [1.0] * 40 + [0.0] * 40
    alone = named(summarize(scores(values), [{}] * 80, [str(i) for i in range(80)]))["f1", None].interval
    shared = named(summarize(scores(values), [{}] * 80, [str(i // 10) for i in range(80)]))["f1", None].interval
    assert shared[1] - shared[0] > 1.5 * (alone[1] - alone[0])


def test_one_cluster_has_no_interval_unless_it_is_one_sample():
    metrics = named(
        summarize(scores([1, 0, 1]), [{"s": "x"}, {"s": "x"}, {"s": "y"}], ["video", "video", "another"], ["s"])
    )
    assert metrics["f1", None].interval is not None
    assert metrics["f1", "s=x"].interval is None
    assert metrics["f1", "s=y"].interval == pytest.approx(plus_two(1, 1))


def test_a_macro_average_has_the_interval_of_strata():
    """Slices that differ widely: the spread between them is none of the macro average's uncertainty."""
    values, kinds = [1.0] * 95 + [0.0] * 5 + [1.0] * 5 + [0.0] * 95, [{"kind": "a"}] * 100 + [{"kind": "b"}] * 100
    metrics = named(summarize(scores(values), kinds, [str(i) for i in range(200)], ["kind"]))
    low, high = metrics["macro_f1_by_kind", None].interval
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(2 * 0.95 * 0.05 / 100) / 2, rel=0.1)
    plain = metrics["f1", None].interval
    assert high - low < 0.6 * (plain[1] - plain[0])


def test_values_beyond_one_are_averaged_too():
    metric = named(summarize(scores([3.0, 5.0, 7.0, 5.0]), [{}] * 4, list("abcd")))["f1", None]
    assert metric.value == 5
    assert metric.interval == pytest.approx((5 - 3.182 * np.sqrt(8 / 3) / 2, 5 + 3.182 * np.sqrt(8 / 3) / 2), abs=1e-3)


def test_ten_thousand_samples_are_summarised_at_once():
    import time

    draws = np.random.default_rng(0)
    many = scores(draws.random(10_000))
    slices = [{"category": str(i % 5), "application": str(i % 26)} for i in range(10_000)]
    started = time.process_time()
    summarize(many, slices, [str(i // 16) for i in range(10_000)], ["category"])
    assert time.process_time() - started < 1


def test_the_same_every_time_and_whatever_the_order():
    values, clusters = [0.1, 0.9, 0.4, 0.7], ["a", "b", "b", "c"]
    first = summarize(scores(values), [{}] * 4, clusters)
    assert first == summarize(scores(values), [{}] * 4, clusters)
    turned = summarize(scores(values[::-1]), [{}] * 4, clusters[::-1])
    assert named(turned)["f1", None].interval == pytest.approx(named(first)["f1", None].interval)


def test_a_metric_that_does_not_apply_is_left_out():
    mixed = [SampleScore({"a": 1.0}), SampleScore({"a": 0.0, "b": 1.0}, "format")]
    metrics = named(summarize(mixed, [{"s": "x"}, {"s": "y"}], ["1", "2"]))
    assert metrics["b", None].count == 1
    assert ("b", "s=x") not in metrics
    assert metrics["format_failures", None].value == 0.5
    assert summarize([], [], []) == []
