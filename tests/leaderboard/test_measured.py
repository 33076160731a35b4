"""Runs on disk beside the paper's rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mpeval.errors import UserError
from mpeval.leaderboard.build import Row, Table, build_table
from mpeval.leaderboard.measured import measure
from mpeval.leaderboard.published import load_published
from mpeval.leaderboard.specs import find_spec, load_specs
from mpeval.manifest import Manifest
from mpeval.store import Row as StoredRow
from mpeval.store import Run
from mpeval.types import BoxTarget, Elicitation, Point, Prediction, SampleScore

ASKED = Elicitation("bare-forced", max_new_tokens=128, force_single_point=True, max_crops=24)


def store(
    folder: Path,
    hits: int,
    samples: int,
    model: str = "molmopoint-8b",
    asked: Elicitation = ASKED,
    weights: dict[str, str] | None = None,
    revision: str = "5efbb1f1b5463a575f2eb7bc30fe29e49c15f93c",
) -> None:
    """A run on ScreenSpot-V2, of pictures that differ, in which so many clicks hit."""
    identity = {
        "model": {"name": model, **(weights or {"repository": "allenai/MolmoPoint-8B", "revision": "0" * 40})},
        "benchmark": {"name": "screenspot-v2", "revision": revision},
        "elicitation": {"name": asked.name, "max_new_tokens": asked.max_new_tokens, "max_crops": asked.max_crops}
        | ({"force_single_point": True} if asked.force_single_point else {}),
        "seed": 0,
    }
    manifest = Manifest(1, model, "screenspot-v2", "paper", identity, samples)
    target = BoxTarget((0.0, 0.0, 10.0, 10.0))
    rows = []
    for i in range(samples):
        point = Point(5.0, 5.0) if i < hits else Point(50.0, 50.0)
        answer = Prediction(text="<points>", points=(point,), form="grounding-tokens")
        slices = {"platform": "web", "data_type": "text"}
        rows.append(StoredRow(f"web/{i}", i, f"{i:064x}", (100, 100), "click", target, slices, answer))
    with Run.write(folder, manifest) as run:
        run.put(rows)


def gui_table(folder: Path) -> Table:
    spec = find_spec("gui", load_specs())
    return build_table(spec, load_published(), measure([folder], [spec]).runs)


def measured(table: Table) -> Row:
    (row,) = [row for row in table.rows() if row.measured]
    return row


def test_the_full_split_with_the_published_rate_reproduces_it(tmp_path: Path) -> None:
    free = Elicitation("bare", max_new_tokens=128, max_crops=64)
    store(tmp_path / "run", hits=1194, samples=1272, model="molmopoint-gui-8b", asked=free)
    table = gui_table(tmp_path)
    cell = measured(table).cells[0]
    assert (cell.text, cell.status, cell.count) == ("93.9", "reproduced", 1272)
    assert cell.source == str(tmp_path / "run")
    notes = dict(table.footnotes)
    letters = [sign for sign in cell.footnotes if sign.isalpha()]
    assert [notes[letter] for letter in letters] == [
        "screenspot-v2, against the protocol of MolmoPoint-GUI-8B (64crops): not declared: prompt, average"
    ]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"weights": {"weights_sha256": "0" * 64}}, "its weights come from a folder"),
        ({"weights": {"sha256": "0" * 64}}, "does not say where its weights come from"),
        ({"weights": {"base_url": "http://localhost:8000/v1"}}, "a server answered"),
        ({"revision": "local-0123456789abcdef"}, "its data are not as they were fetched"),
    ],
)
def test_other_weights_or_data_under_the_same_name_reproduce_nothing(
    changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    free = Elicitation("bare", max_new_tokens=128, max_crops=64)
    store(tmp_path / "run", hits=1194, samples=1272, model="molmopoint-gui-8b", asked=free, **changes)
    cell = measured(gui_table(tmp_path)).cells[0]
    assert cell.status == "measured"
    assert why in cell.why


def test_a_manifest_that_borrows_another_model_s_name_is_refused(tmp_path: Path) -> None:
    store(tmp_path / "run", hits=1194, samples=1272, model="molmo2-8b")
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**manifest, "model": "molmopoint-gui-8b"}))
    with pytest.raises(UserError, match="its model is molmopoint-gui-8b, in its identity molmo2-8b"):
        gui_table(tmp_path)


def test_far_from_the_published_rate_it_differs(tmp_path: Path) -> None:
    store(tmp_path / "run", hits=1000, samples=1272)
    assert measured(gui_table(tmp_path)).cells[0].status == "differs"


def test_a_part_of_the_split_is_measured_and_says_so(tmp_path: Path) -> None:
    store(tmp_path / "run", hits=90, samples=100)
    table = gui_table(tmp_path)
    assert measured(table).cells[0].status == "measured"
    assert "screenspot-v2: 100 of 1272 samples" in dict(table.footnotes).values()


def test_another_elicitation_is_measured_and_says_in_what(tmp_path: Path) -> None:
    free = Elicitation("bare", max_new_tokens=128, max_crops=24)
    store(tmp_path / "run", hits=1142, samples=1272, asked=free)
    table = gui_table(tmp_path)
    assert measured(table).cells[0].status == "measured"
    assert any("differs in forced single point: here no, there yes" in text for _, text in table.footnotes)


def test_runs_on_other_benchmarks_are_left_out_unscored(tmp_path: Path) -> None:
    store(tmp_path / "run", hits=9, samples=10)
    found = measure([tmp_path], [find_spec("1", load_specs())])
    assert found.runs == []
    assert [manifest.benchmark for manifest in found.left_out] == ["screenspot-v2"]


@pytest.mark.parametrize(
    ("table", "benchmark", "values", "slices"),
    [
        (
            "1",
            "pointbench",
            {"accuracy": 1.0},
            [{"category": name} for name in ("affordable", "counting", "reasoning", "spatial", "steerable")],
        ),
        ("2", "pixmo-points", {"precision": 1.0, "recall": 1.0, "f1": 1.0}, [{}]),
        ("3", "screenspot-v2", {"accuracy": 1.0}, [{"platform": "web"}]),
        ("3", "screenspot-pro", {"accuracy": 1.0}, [{"group": "CAD"}]),
        ("3", "osworld-g", {"accuracy": 1.0}, [{}]),
        ("demo", "demo-points", {"precision": 1.0, "recall": 1.0, "f1": 1.0}, [{}]),
    ],
)
def test_columns_name_metrics_that_the_benchmarks_report(
    table: str, benchmark: str, values: dict[str, float], slices: list[dict[str, str]]
) -> None:
    from mpeval import registry

    scorer = registry.benchmark(benchmark).scorers["paper"]
    scores = [SampleScore(values, "hit")] * (2 * len(slices))
    clusters = [str(i) for i in range(len(scores))]
    reported = {(each.name, each.slice) for each in scorer.summarize(scores, slices * 2, clusters)}
    columns = [column.run for column in find_spec(table, load_specs()).columns if column.run]
    wanted = {(each.metric, each.slice) for each in columns if each.benchmark == benchmark}
    assert wanted
    assert wanted <= reported
