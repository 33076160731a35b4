"""Every case on a tiny model; one that fails says so and the others go on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import pytest
import torch

import mpeval.bench.measure as measure_module
from mpeval.bench import media as media_module
from mpeval.bench.clock import Clock, Timing
from mpeval.bench.decoding import SHORT, measure_decoding
from mpeval.bench.environment import environment
from mpeval.bench.goals import goals_of
from mpeval.bench.measure import CASES, CPU, GPU, TOO_LONG, Plan, measure
from mpeval.bench.report import markdown, sheets
from mpeval.bench.results import Decoding, Environment, Limits, MediaCase, Report, ScreenRun
from mpeval.errors import SampleError

from .subjects import tiny

QUICK = Plan(
    batches=(1, 2),
    tokens=12,
    frames=2,
    screens=4,
    questions=3,
    case_seconds=0.2,
    run_share=4.0,
    most_share=10_000.0,
    goals=True,
)


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"image": ((60, 40), 2), "screen-24": ((90, 60), 6), "screen-64": ((90, 90), 9)}
    monkeypatch.setattr(media_module, "KINDS", kinds)
    monkeypatch.setattr(measure_module, "KINDS", kinds)
    monkeypatch.setattr("mpeval.bench.run.SCREEN_24_SIZE", (90, 60))
    monkeypatch.setattr("mpeval.bench.decoding.IMAGE_SIZE", (60, 40))
    monkeypatch.setattr("mpeval.bench.clock.PATIENCE", 1000)  # a busy machine must not fail a test
    monkeypatch.setattr(
        measure_module, "_limits", lambda subject: measure_module.Limits(copy_rate=1e9, matmul_rate=1e9)
    )


@cache
def here() -> Environment:
    return environment(torch.device("cpu"), torch.float32)


def run(plan: Plan) -> tuple[Report, int]:
    """The figures, and how many steps were told of."""
    done: list[int] = []
    return measure(tiny(), plan, here(), done.append), sum(done)


def test_every_case_gives_every_figure() -> None:
    report, done = run(QUICK)
    assert done == QUICK.steps == 8 + 4
    for each in (*report.decoding, *report.media, report.sharing, report.run):
        found = msgspec.structs.asdict(each)  # type: ignore[arg-type]
        if report.decoding[0].note == SHORT:  # on a busy machine: then there is nothing to compare with
            found.pop("gain", None)
        if found["note"] != SHORT:
            assert None not in found.values(), found
    assert [each.crops for each in report.media][1:] == [7, 10, 2]
    assert report.run is not None and report.run.screens == 4
    assert [each.wanted for each in report.goals] and len(report.goals) == 4


def test_memory_that_ends_in_one_case_is_said_there(monkeypatch: pytest.MonkeyPatch) -> None:
    original = measure_module.measure_decoding

    def measure_decoding(subject: Any, batch: int, *rest: Any) -> Decoding:
        if batch == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(subject, batch, *rest)

    monkeypatch.setattr(measure_module, "measure_decoding", measure_decoding)
    report, done = run(replace(QUICK, cases=("decoding", "image"), batches=(1, 2, 3)))
    assert [each.note == "out of memory" for each in report.decoding] == [False, True, False]
    assert report.decoding[1].tokens_a_second is None and report.decoding[2].step_seconds != 0
    assert done == 4 and report.media[0].samples_a_second


@pytest.mark.parametrize(("few", "many", "step"), [(0.1, 1.05, 0.1), (0.1, 0.05, None), (0.8, 1.0, None)])
def test_a_step_is_the_difference_of_two_lengths_unless_that_is_little(
    monkeypatch: pytest.MonkeyPatch, few: float, many: float, step: float | None
) -> None:
    def time_waves(subject: Any, sample: Any, batch: int, tokens: int, budget: float) -> Timing:
        return Timing(few + (many - few) * (tokens - 5) / (12 - 5), 3)  # 5 tokens take `few`, 12 take `many`

    monkeypatch.setattr("mpeval.bench.decoding.time_waves", time_waves)
    limits = Limits(copy_rate=1e9)
    found = measure_decoding(tiny(), 4, 10, Clock(1000.0, 1000.0), limits)
    if step is None:
        assert found.note == SHORT and found.tokens_a_second is None
        return
    expected = (many - few) / 7
    assert found.tokens == 10 and found.step_seconds == pytest.approx(expected)
    assert found.tokens_a_second == pytest.approx(4 / expected)
    assert found.bytes_a_step is not None
    assert found.bandwidth_share == pytest.approx(found.bytes_a_step / expected / 1e9)


def test_a_batch_that_the_engine_halved_is_no_figure_of_that_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = iter([0, 0, 0, 1])  # before and after: limits, decoding
    monkeypatch.setattr(measure_module, "memory_errors", lambda device: next(errors))
    report, _ = run(replace(QUICK, cases=("decoding",), batches=(2,)))
    assert report.decoding[0].note.startswith("out of memory") and report.decoding[0].tokens_a_second is None


def test_a_case_that_takes_too_long_or_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    original = measure_module.media_case

    def media_case(subject: Any, name: str, *rest: Any) -> MediaCase:
        if name == "screen-64":
            while True:
                pass
        if name == "screen-24":
            raise SampleError("prompt and answer take too many tokens")
        return original(subject, name, *rest)

    monkeypatch.setattr(measure_module, "media_case", media_case)
    monkeypatch.setattr("mpeval.bench.clock.PATIENCE", 10)
    report, _ = run(replace(QUICK, cases=("screen-24", "screen-64", "video"), case_seconds=0.5))
    notes = {each.name: each.note for each in report.media}
    assert notes["screen-24"] == "SampleError: prompt and answer take too many tokens"
    assert notes["screen-64"] == TOO_LONG
    assert report.media[2].samples_a_second
    assert "| 64-crop screen (90 x 90) | - |" in markdown(report)


def test_an_error_of_many_lines_is_one_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a GPU's are: a line break would end the table's row."""

    def media_case(*_: Any) -> MediaCase:
        raise RuntimeError("CUDA error: misaligned address\nCUDA kernel errors might be reported later" + "\n..." * 99)

    monkeypatch.setattr(measure_module, "media_case", media_case)
    report, _ = run(replace(QUICK, cases=("image",)))
    (row,) = [line for line in markdown(report).splitlines() if line.startswith("| image")]
    assert "misaligned address CUDA kernel errors" in row and row.endswith("... |") and len(row) < 400


def test_nothing_is_measured_behind_the_end_of_all_time() -> None:
    report, done = run(replace(QUICK, most_share=0.0))
    assert done == QUICK.steps, "the progress is complete all the same"
    assert {each.note for each in (*report.decoding, *report.media, report.sharing, report.run)} == {TOO_LONG}  # type: ignore[union-attr]
    assert report.limits.note == TOO_LONG
    assert [each.held for each in report.goals] == [None] * 4
    assert sheets(report) and markdown(report)


def test_failed_screens_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = tiny()
    original = subject.prepare

    def prepare(query: Any) -> Any:
        if query.sample_id in ("10000", "10002"):
            raise SampleError("the disk is full")
        return original(query)

    monkeypatch.setattr(subject, "prepare", prepare)
    report, _ = run(replace(QUICK, cases=("run",), screens=6))
    assert report.run is not None and report.run.note.endswith("2 screens failed: the disk is full")


# --- goals ----------------------------------------------------------------------------------------


def decoding(batch: int, **figures: Any) -> Decoding:
    return Decoding(batch=batch, **figures)


@pytest.mark.parametrize(("better", "held"), [(1.0, True), (0.99, False)])
def test_goals_hold_from_their_bound_on(better: float, held: bool) -> None:
    steps = [decoding(1, bandwidth_share=0.7 * better), decoding(32, gain=15 * better, tokens=200)]
    screens = [MediaCase(name="screen-24", size=(1, 1), peak_share=0.5 * better)]
    goals = goals_of(steps, screens, ScreenRun(screens=500, ratio=1.1 / better))
    assert [goal.held for goal in goals] == [held] * 4


def test_a_goal_is_not_judged_on_less_than_it_asks_for() -> None:
    steps = [decoding(1), decoding(32, gain=16.0, tokens=64)]
    goals = goals_of(steps, [], ScreenRun(screens=100, ratio=1.0))
    assert [goal.held for goal in goals] == [None] * 4
    assert goals[1].measured == "16.0 times, on 64 tokens" and goals[3].measured == "1.00 times, on 100 screens"


def test_the_preset_asks_for_what_the_goals_judge_within_ten_minutes() -> None:
    assert GPU.cases == CASES and {1, 8, 32} <= set(GPU.batches)
    assert (GPU.tokens, GPU.screens, GPU.questions) == (200, 500, 64)
    assert GPU.most_share * GPU.case_seconds < 600 and CPU.most_share * CPU.case_seconds < 120
    for plan in (CPU, GPU):
        assert plan.steps - plan.screens - 1 + plan.run_share < plan.most_share, "there is room for what is planned"
