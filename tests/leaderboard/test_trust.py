"""Our runs beside published numbers: rows, marks of trust, footnotes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from mpeval.leaderboard.build import Cell, Row, Table, build_table
from mpeval.leaderboard.measured import MeasuredRun
from mpeval.leaderboard.published import load_published
from mpeval.leaderboard.specs import find_spec, load_specs
from mpeval.types import Elicitation, Metric

PUBLISHED = load_published()
DECLARED = Elicitation("paper", max_new_tokens=256, max_crops=24)
"""As the published number of MolmoPoint-8B on PointBench declares."""


def run(
    value: float = 0.707,
    half: float = 0.01,
    model: str = "molmopoint-8b",
    elicitation: Elicitation = DECLARED,
    **changes: Any,
) -> MeasuredRun:
    """A run on PointBench whose average has a 95 % interval of this half width."""
    average = Metric("macro_accuracy_by_category", value, 982, (value - half, value + half))
    counting = Metric("accuracy", 0.745, 196, (0.68, 0.80), slice="category=counting")
    result: dict[str, Any] = {
        "model": model,
        "benchmark": "pointbench",
        "protocol": "paper",
        "metrics": [average, counting],
        "samples": 982,
        "expected": 982,
        "failed": 0,
        "scorer_only": False,
        "differs": "",
        "path": "runs/x",
    }
    doubts, served = changes.pop("doubts", ()), changes.pop("served", False)
    stored = SimpleNamespace(**{**result, **changes})
    return MeasuredRun(stored, elicitation, 982, doubts=doubts, served=served)  # type: ignore[arg-type]


def table_of(*runs: MeasuredRun, name: str = "1") -> Table:
    return build_table(find_spec(name, load_specs()), PUBLISHED, runs)


def row_of(*runs: MeasuredRun) -> Row:
    (row,) = [row for row in table_of(*runs).rows() if row.measured]
    return row


def average(*runs: MeasuredRun) -> Cell:
    return row_of(*runs).cells[-1]


def test_a_published_cell() -> None:
    cell = table_of().rows()[-1].cells[-1]
    assert (cell.text, cell.value, cell.status, cell.source) == ("70.7", 70.7, "published", "Table 1, section 5.1")


def test_a_run_is_a_row_of_its_own() -> None:
    table = table_of(run())
    assert table.groups[-1].heading == "Measured here"
    row = row_of(run())
    assert row.label == "molmopoint-8b, protocol paper"
    assert row.model is not None and row.model.title == "MolmoPoint-8B"
    assert [cell.text for cell in row.cells] == ["-", "-", "-", "-", "74.5", "70.7"]
    cell = row.cells[-1]
    assert (cell.count, cell.protocol, cell.source) == (982, "paper", "runs/x")
    assert cell.interval == pytest.approx((69.7, 71.7))


def test_runs_neither_get_marks_nor_take_them_away() -> None:
    cells = [row.cells[-1] for row in table_of(run(0.999)).rows()]
    assert [cell.text for cell in cells if cell.best] == ["70.7"]
    assert [cell.text for cell in cells if cell.second] == ["68.7"]


def test_people_are_not_ranked() -> None:
    assert not table_of().rows()[0].cells[0].best


@pytest.mark.parametrize(
    ("value", "half", "status"),
    [
        # 90 %: the half width times 0.839; the printed 70.7 stands for 70.65 to 70.75.
        (0.707, 0.01, "reproduced"),
        (0.715, 0.007, "reproduced"),
        (0.707, 0.017, "reproduced"),
        (0.707, 0.018, "measured"),
        (0.720, 0.01, "measured"),
        (0.750, 0.01, "differs"),
        (0.660, 0.01, "differs"),
    ],
)
def test_the_interval_of_the_difference_decides(value: float, half: float, status: str) -> None:
    assert average(run(value, half)).status == status


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (run(samples=900), "not the full split (900 of 982 samples)"),
        (run(expected=900, samples=900), "not the full split"),
        (run(failed=1), "1 of them failed"),
        (run(protocol="strict"), "scorer: here strict, there paper"),
        (run(elicitation=msgspec.structs.replace(DECLARED, max_crops=8)), "crops: here 8, there 24"),
        (run(elicitation=msgspec.structs.replace(DECLARED, max_crops=None)), "crops: here as the model is configured"),
        (run(elicitation=msgspec.structs.replace(DECLARED, template="Find {query}")), "prompt: here Find {query}"),
        (run(elicitation=msgspec.structs.replace(DECLARED, force_single_point=True)), "forced single point: here yes"),
        (run(model="molmo2-2b"), "no number of this model is published"),
        (run(doubts=("its weights come from a folder",)), "not compared with 70.7: its weights come from a folder"),
        (run(served=True), "a server answered"),
    ],
)
def test_what_rules_a_comparison_out(changed: MeasuredRun, why: str) -> None:
    cell = average(changed)
    assert cell.status == "measured"
    assert why in cell.why


def test_a_metric_without_an_interval_is_only_measured() -> None:
    bare = run()
    metrics = [msgspec.structs.replace(bare.result.metrics[0], interval=None)]
    assert average(run(metrics=metrics)).why.endswith("it has no interval")


def test_a_field_that_nobody_declares_is_named_and_rules_nothing_out() -> None:
    """GPT-5 on Molmo2-VC: nothing is known but who measured it."""
    metric = Metric("accuracy", 0.358, 5000, (0.352, 0.364))
    blind = MeasuredRun(
        run(model="gpt-5", benchmark="molmo2-vc", metrics=[metric], samples=5000, expected=5000).result,
        Elicitation("paper"),
        5000,
        video=True,
    )
    table = table_of(blind, name="4")
    (row,) = [row for row in table.rows() if row.measured]
    cell = next(cell for cell in row.cells if cell.value)
    assert cell.status == "reproduced"
    notes = dict(table.footnotes)
    assert notes["="].startswith("measured here; reproduces")
    (letter,) = [sign for sign in cell.footnotes if sign != "="]
    assert notes[letter] == (
        "molmo2-vc, against the protocol of GPT-5: "
        "not declared: prompt, token limit, frames, forced single point, scorer, average"
    )


def test_an_api_model_is_known_by_its_server_alone() -> None:
    metric = Metric("accuracy", 0.358, 5000, (0.352, 0.364))
    result = run(model="gpt-5", benchmark="molmo2-vc", metrics=[metric], samples=5000, expected=5000).result
    served = MeasuredRun(result, Elicitation("paper"), 5000, video=True, served=True)
    assert [row.cells[2].status for row in table_of(served, name="4").rows() if row.measured] == ["reproduced"]


@pytest.mark.parametrize(
    ("masks_by", "segmented", "status", "why"),
    [
        ("sam2.1-hiera-large", 793, "reproduced", "interval of the difference"),
        ("sam2.1-hiera-large", 10, "measured", "masks of 10 of 793 samples"),
        ("classical", 793, "measured", "its masks are by classical, the published ones by SAM 2"),
        (None, 793, "measured", "its masks are by the model itself, the published ones by SAM 2"),
    ],
)
def test_numbers_of_masks_need_the_papers_segmenter(masks_by: Any, segmented: int, status: str, why: str) -> None:
    metric = Metric("J&F", 0.265, 793, (0.255, 0.275))
    result = run(
        model="gpt-5",
        benchmark="mevis-valid-u",
        metrics=[metric],
        samples=793,
        expected=793,
        masks_by=masks_by,
        segmented=segmented,
    ).result
    table = table_of(MeasuredRun(result, Elicitation("paper"), 793, video=True), name="5")
    (cell,) = [row.cells[1] for row in table.rows() if row.measured]
    assert cell.status == status and why in cell.why


def test_a_model_without_a_row_is_held_against_the_tables_own_protocol() -> None:
    tiny = run(model="molmopoint-tiny", elicitation=msgspec.structs.replace(DECLARED, max_crops=8))
    table = table_of(tiny)
    assert any(
        text.startswith("pointbench, against the protocol of MolmoPoint-8B: differs in crops: here 8, there 24")
        for _, text in table.footnotes
    )


def test_64_crops_are_held_against_the_row_with_64_crops() -> None:
    metric = Metric("accuracy", 0.394, 1581, (0.37, 0.42))
    elicitation = Elicitation("bare-forced", max_new_tokens=128, max_crops=64, force_single_point=True)
    run_64 = MeasuredRun(
        run(benchmark="screenspot-pro", metrics=[metric], samples=1581, expected=1581).result, elicitation, 1581
    )
    (row,) = [row for row in table_of(run_64, name="3").rows() if row.measured]
    assert "to 39.4" in row.cells[1].why


def test_two_runs_of_a_model_on_one_benchmark_get_a_row_each() -> None:
    table = table_of(run(path="out/a-1"), run(path="out/b-2"))
    labels = [row.label for row in table.rows() if row.measured]
    assert labels == ["molmopoint-8b (a-1), protocol paper", "molmopoint-8b (b-2), protocol paper"]


def test_in_a_transposed_table_runs_are_columns() -> None:
    metric = Metric("f1", 0.85, 100, (0.8, 0.9))
    points = MeasuredRun(run(benchmark="pixmo-points", metrics=[metric]).result, Elicitation("paper"), 982)
    table = table_of(points, name="2")
    assert [column.measured for column in table.columns] == [False] * 11 + [True]
    assert (table.columns[-1].over, table.rows()[2].cells[-1].text) == ("Measured here", "85.0")


def test_a_models_name_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in row_of(run(model="\x1b[31mred")).label
