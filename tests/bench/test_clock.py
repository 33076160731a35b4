"""Repeats fit into the time; what takes far too long ends."""

from __future__ import annotations

import contextlib
import time

import pytest
import torch

from mpeval.bench.clock import MOST_REPEATS, PATIENCE, Clock, TimeIsUp

CPU = torch.device("cpu")


def test_a_case_is_repeated_as_far_as_the_time_reaches() -> None:
    calls: list[float] = []

    def work(seconds: float) -> None:
        calls.append(seconds)
        time.sleep(seconds)

    (quick,) = Clock(5.0, 1000.0).time_in_turn([lambda: work(0.01)], CPU)
    assert quick.repeats == MOST_REPEATS and len(calls) == MOST_REPEATS + 1 and quick.seconds >= 0.01
    calls.clear()
    (slow,) = Clock(0.1, 1000.0).time_in_turn([lambda: work(0.08)], CPU)
    assert slow.repeats == 0 and len(calls) == 1 and slow.seconds >= 0.08, "the first call is what there is time for"


def test_several_are_timed_in_turn() -> None:
    order: list[str] = []
    Clock(0.3, 1000.0).time_in_turn([lambda: order.append("a"), lambda: order.append("b")], CPU)
    assert "".join(order) == "ab" * (MOST_REPEATS + 1)


def test_what_takes_far_too_long_is_broken_off() -> None:
    clock = Clock(0.02, 1000.0)
    begun = time.monotonic()

    def forever() -> None:
        while True:
            with contextlib.suppress(Exception):  # as an engine that tries again
                time.sleep(0.001)

    with pytest.raises(TimeIsUp), clock.limit():
        forever()
    assert time.monotonic() - begun >= PATIENCE * 0.02 * 0.9
    time.sleep(0.1)  # the alarm is off


def test_nothing_begins_behind_the_end() -> None:
    clock = Clock(1.0, 0.0)
    with pytest.raises(TimeIsUp), clock.limit():
        pytest.fail("there is no time left")
