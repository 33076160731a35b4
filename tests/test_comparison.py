"""Comparing two stored runs: what is paired, refused and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mpeval.comparison import compare_runs, match_runs
from mpeval.errors import UserError
from mpeval.store import Row, Run
from mpeval.types import Point, Prediction

from .test_scoring import TARGET
from .test_store import manifest, row

HIT, MISS = (3.0, 2.0), (7.0, 5.0)


def answered(position: int, point: tuple[float, float] | None, picture: str = "", **prediction: Any) -> Row:
    """A row of demo-points; no point is an answer that cannot be read."""
    points = (Point(*point),) if point else ()
    form = "grounding-tokens" if point else None
    stored = Prediction(f"answer {position}", points, form, generated_tokens=4, seconds=0.5)
    return msgspec.structs.replace(
        row(position, target=TARGET),
        media_sha256=picture or f"{position:04x}",
        slices={"kind": "a" if position < 4 else "b"},
        prediction=msgspec.structs.replace(stored, **prediction),
    )


def stored(
    folder: Path, rows: list[Row], benchmark: str = "demo-points", revision: str = "r1", **elicitation: Any
) -> Path:
    made = manifest(expected=len(rows))
    identity = {
        **made.identity,
        "model": {"name": folder.name},
        "benchmark": {"name": benchmark, "revision": revision},
        "elicitation": {"name": "short", "template": "point to {query}", "max_new_tokens": 192, **elicitation},
    }
    made = msgspec.structs.replace(made, model=folder.name, benchmark=benchmark, identity=identity)
    with Run.write(folder, made) as run:
        run.put(rows)
    return folder


def test_wins_losses_ties_and_what_they_cost(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", [answered(i, HIT if i in (0, 1) else MISS) for i in range(6)])
    b = stored(tmp_path / "b", [answered(i, HIT if i in (1, 2, 3, 4) else None, seconds=0.25) for i in range(6)])
    found = compare_runs(a, b)
    assert (found.benchmark, found.protocol, found.metric) == ("demo-points", "strict", "f1")
    assert (found.samples, found.clusters, found.wins, found.losses, found.ties) == (6, 6, 3, 1, 2)
    assert found.difference == pytest.approx(2 / 6)
    assert (found.p_value, found.sign_patterns, found.exact) == (0.625, 16, True)
    assert found.interval is not None
    assert found.interval[0] < 0 < found.interval[1]
    assert [flip.sample_id for flip in found.flips] == ["s0", "s2", "s3", "s4"]
    assert (found.flips[0].values, found.flips[0].outcomes) == ((1, 0), ("hit", "format"))
    assert found.flips[0].texts == ("answer 0", "answer 0")
    assert (found.a.tokens_per_point, found.a.seconds_per_sample, found.a.points_per_second) == (4, 0.5, 2)
    assert (found.b.tokens_per_point, found.b.seconds_per_sample) == (6, 0.25)
    assert found.b.points_per_second == pytest.approx(4 / 1.5)
    assert (found.a.value, found.b.value) == pytest.approx((2 / 6, 4 / 6))
    assert found.a.interval is not None
    assert compare_runs(a, b) == found


def test_an_interval_that_says_more_than_the_test_is_remarked_on(tmp_path: Path) -> None:
    """Of seven pictures with eight samples each, three differ, all in favour of the second run."""
    rows = range(56)
    a = stored(tmp_path / "a", [answered(i, MISS, f"{i // 8:04x}") for i in rows])
    b = stored(tmp_path / "b", [answered(i, HIT if i < 24 and i % 2 else MISS, f"{i // 8:04x}") for i in rows])
    found = compare_runs(a, b)
    assert found.p_value == 0.25
    assert found.interval is not None
    assert found.interval[0] > 0
    assert "the interval leaves out zero, but p = 0.25: clusters may have agreed by chance" in found.remarks
    clear = stored(tmp_path / "c", [answered(i, HIT, f"{i // 8:04x}") for i in rows])
    assert not any("leaves out zero" in remark for remark in compare_runs(a, clear).remarks)


def test_samples_of_one_side_alone_are_counted_and_left_out(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", [answered(i, HIT) for i in range(5)])
    b = stored(tmp_path / "b", [answered(i, MISS) for i in range(2, 8)])
    found = compare_runs(a, b)
    assert (found.samples, found.only_a, found.only_b, found.difference) == (3, 2, 3, -1)


def test_samples_of_one_picture_are_one_cluster(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", [answered(i, MISS, "cafe") for i in range(4)])
    b = stored(tmp_path / "b", [answered(i, HIT, "cafe") for i in range(4)])
    found = compare_runs(a, b)
    assert (found.clusters, found.interval, found.p_value) == (1, None, 1.0)
    # A picture that one run could not read is known from the other.
    unread = [msgspec.structs.replace(answered(i, None, error="no picture"), media_sha256=None) for i in range(4)]
    found = compare_runs(stored(tmp_path / "c", unread), b)
    assert (found.clusters, found.a.failed) == (1, 4)
    assert found.flips[0].texts == ("no picture", "answer 0")
    assert "A: 4 samples FAILED and count as missing answers" in found.remarks


def test_macro_averages_and_other_metrics(tmp_path: Path) -> None:
    """Four samples of kind a, two of kind b; B finds those of b alone."""
    a = stored(tmp_path / "a", [answered(i, MISS) for i in range(6)])
    b = stored(tmp_path / "b", [answered(i, HIT if i >= 4 else MISS) for i in range(6)])
    assert compare_runs(a, b, metric="recall").difference == pytest.approx(2 / 6)
    macro = compare_runs(a, b, metric="macro_f1_by_kind")
    assert (macro.metric, macro.difference, macro.b.value) == ("macro_f1_by_kind", 0.5, 0.5)
    with pytest.raises(UserError, match=r"no sample has the metric 'hota': there is precision, recall, f1"):
        compare_runs(a, b, metric="hota")
    with pytest.raises(UserError, match="macro_f1_by_colour applies to no sample"):
        compare_runs(a, b, metric="macro_f1_by_colour")


def test_another_protocol(tmp_path: Path) -> None:
    a, b = (stored(tmp_path / name, [answered(0, HIT), answered(1, HIT)]) for name in "ab")
    assert compare_runs(a, b, protocol="paper").protocol == "paper"
    with pytest.raises(UserError, match="official"):
        compare_runs(a, b, protocol="official")


def test_runs_on_different_data_are_refused(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", [answered(0, HIT)])
    with pytest.raises(UserError, match=r"different data \(revision: r1 there, r2 here\)"):
        compare_runs(a, stored(tmp_path / "b", [answered(0, HIT)], revision="r2"))
    with pytest.raises(UserError, match=r"different data \(name: demo-points there, demo-count here\)"):
        compare_runs(a, stored(tmp_path / "c", [answered(0, HIT)], benchmark="demo-count"))
    with pytest.raises(UserError, match="sample 's0' has another picture"):
        compare_runs(a, stored(tmp_path / "d", [answered(0, HIT, "beef")]))
    with pytest.raises(UserError, match="no sample in common"):
        compare_runs(a, stored(tmp_path / "e", [answered(1, HIT)]))
    for empty in (stored(tmp_path / "f", []), stored(tmp_path / "g", [])):
        with pytest.raises(UserError, match="has no sample yet"):
            compare_runs(a, empty)


def test_of_one_cluster_there_is_no_interval_and_none_is_called_wide(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", [answered(i, HIT, "one") for i in range(3)])
    b = stored(tmp_path / "b", [answered(i, MISS, "one") for i in range(3)])
    found = compare_runs(a, b)
    assert (found.clusters, found.interval, found.p_value) == (1, None, 1.0)
    assert not any("wide" in line for line in found.remarks)


def test_another_way_of_asking_is_said(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", [answered(i, HIT) for i in range(3)])
    b = stored(tmp_path / "b", [answered(i, HIT) for i in range(3)], max_crops=4)
    found = compare_runs(a, b)
    assert found.b.scorer_only and not found.a.scorer_only
    assert any("asked in different ways (max_crops: None there, 4 here)" in line for line in found.remarks)
    assert any(line.startswith("B: scorer only") for line in found.remarks)


def test_runs_are_matched_by_benchmark(tmp_path: Path) -> None:
    rows = [answered(0, HIT)]
    for side, names in {"a": ("demo-points", "demo-count"), "b": ("demo-points", "demo-screens")}.items():
        for name in names:
            stored(tmp_path / side / name, rows, benchmark=name)
    pairs, lacking = match_runs(tmp_path / "a", tmp_path / "b")
    assert pairs == [(tmp_path / "a" / "demo-points", tmp_path / "b" / "demo-points")]
    assert lacking == [f"demo-count: only in {tmp_path / 'a'}", f"demo-screens: only in {tmp_path / 'b'}"]
    with pytest.raises(UserError, match="nothing to compare"):
        match_runs(tmp_path / "a" / "demo-count", tmp_path / "b")
    with pytest.raises(UserError, match="both are the run"):
        match_runs(tmp_path / "a" / "demo-points", tmp_path / "a")
    stored(tmp_path / "a" / "again", rows)
    with pytest.raises(UserError, match=r"holds 2 runs on demo-points: name one"):
        match_runs(tmp_path / "a", tmp_path / "b")
