"""Merging: what is taken, what is refused, what is said to be missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mpeval.errors import UserError
from mpeval.manifest import SCHEMA, Manifest, Session, Shard, read_manifest, run_folder
from mpeval.merging import merge
from mpeval.store import DATABASE, Row, Run, find_runs
from mpeval.types import CountTarget, Point, Prediction

IDENTITY: dict[str, Any] = {
    "model": {"name": "m", "weights": "abc"},
    "benchmark": {"name": "bench", "revision": "r1"},
    "elicitation": {"name": "plain"},
    "seed": 0,
}


def row(position: int, text: str = "there", error: str | None = None, seconds: float = 1.0) -> Row:
    answer = Prediction(text, (Point(1, 2),), seconds=seconds) if error is None else Prediction(error=error)
    return Row(f"s{position}", position, "00ff", (8, 6), "Point", CountTarget(1), {"kind": "a"}, answer)


def store(
    folder: Path,
    rows: list[Row],
    expected: int,
    shard: Shard | None = None,
    started: str = "2026-01-01T00:00:00+00:00",
    **identity: Any,
) -> Path:
    """One session of a run."""
    command = f"mpeval run --shard {shard}" if shard else "mpeval run"
    session = Session(started, command, {}, "cpu", "float32", 2)
    manifest = Manifest(SCHEMA, "m", "bench", "strict", {**IDENTITY, **identity}, expected, (session,), shard)
    with Run.write(folder, manifest) as run:
        run.put(rows)
        run.end_session(started, len(rows))
    return folder


def halves(tmp_path: Path) -> list[Path]:
    """Two shards of six samples."""
    return [
        store(tmp_path / f"half{index}", [row(i) for i in range(index - 1, 6, 2)], 3, Shard(index, 2, 6))
        for index in (1, 2)
    ]


def merged_rows(out: Path) -> list[Row]:
    with Run.read(run_folder(out, IDENTITY)) as run:
        return list(run.rows())


def test_shards_become_the_whole_run(tmp_path: Path) -> None:
    merged = merge(halves(tmp_path), tmp_path / "out")
    assert merged.whole
    assert (merged.samples, merged.expected, merged.failed, merged.runs, merged.missing) == (6, 6, 0, 2, [])
    assert merged_rows(tmp_path / "out") == [row(i) for i in range(6)]
    manifest = read_manifest(Path(merged.path))
    assert (manifest.identity, manifest.expected, manifest.shard) == (IDENTITY, 6, None)
    assert [each.command for each in manifest.sessions] == ["mpeval run --shard 1/2", "mpeval run --shard 2/2"]
    assert sorted(each.name for each in Path(merged.path).iterdir()) == ["run.json", "run.sqlite"]


def test_a_second_merge_takes_up_the_rest(tmp_path: Path) -> None:
    store(tmp_path / "in" / "half1", [row(i) for i in (0, 2, 4)], 3, Shard(1, 2, 6))
    half = store(tmp_path / "in" / "half2", [row(1)], 3, Shard(2, 2, 6))
    merged = merge([tmp_path / "in"], tmp_path / "out")
    assert not merged.whole
    (missing,) = merged.missing
    assert (missing.shard, missing.path, missing.samples, missing.expected) == ("2/2", str(half), 1, 3)
    assert missing.command == "mpeval run --shard 2/2"
    assert read_manifest(Path(merged.path)).expected == 6

    store(half, [row(3), row(5)], 3, Shard(2, 2, 6), started="2026-01-02T00:00:00+00:00")
    for _ in range(2):  # the third merge finds nothing new, and adds nothing
        merged = merge([tmp_path / "in"], tmp_path / "out")
        assert merged.whole
        assert [each.started[:10] for each in read_manifest(Path(merged.path)).sessions] == [
            "2026-01-01",
            "2026-01-01",
            "2026-01-02",
        ]
    assert merged_rows(tmp_path / "out") == [row(i) for i in range(6)]


def test_shards_without_a_folder_or_a_file_are_named(tmp_path: Path) -> None:
    begun = store(tmp_path / "shard2", [], 2, Shard(2, 4, 6))
    (begun / DATABASE).unlink()
    merged = merge([store(tmp_path / "shard3", [row(2)], 1, Shard(3, 4, 6)), begun], tmp_path / "out")
    assert (merged.samples, merged.expected) == (1, 6)
    assert [(each.shard, each.path, each.samples, each.expected) for each in merged.missing] == [
        ("2/4", str(begun), 0, 2),
        ("1/4", None, 0, 0),
        ("4/4", None, 0, 0),
    ]


@pytest.mark.parametrize("target", [False, True])
def test_a_process_that_was_stopped_before_it_made_tables_left_nothing(tmp_path: Path, target: bool) -> None:
    """A shard that was killed at that moment, and an earlier merge (or a full disk)."""
    first, second = halves(tmp_path)
    stopped = store(run_folder(tmp_path / "out", IDENTITY), [], 6) if target else second
    for each in stopped.glob(f"{DATABASE}*"):
        each.unlink()
    (stopped / DATABASE).touch()
    with pytest.raises(UserError, match="holds no answers: the run has not begun; give its command again"):
        Run.read(stopped)
    merged = merge([first, second], tmp_path / "out")
    assert (merged.samples, [each.shard for each in merged.missing]) == ((6, []) if target else (3, ["2/2"]))


def test_a_shard_of_another_limit_says_of_how_many_samples(tmp_path: Path) -> None:
    """Both halves were given, and yet the first one of the larger draw is missing."""
    fewer = store(tmp_path / "fewer", [row(0)], 1, Shard(1, 2, 2))
    half = store(tmp_path / "half", [row(i) for i in (1, 3, 5)], 3, Shard(2, 2, 6))
    merged = merge([fewer, half], tmp_path / "out")
    assert (merged.samples, merged.expected) == (4, 6)
    assert [(each.shard, each.of, each.path) for each in merged.missing] == [("1/2", 6, None)]


def test_a_folder_that_two_ways_lead_to_counts_once(tmp_path: Path) -> None:
    halves(tmp_path / "in")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert merge([tmp_path / "in", tmp_path / "link", tmp_path / "in" / ".." / "in"], tmp_path / "out").runs == 2


def test_an_empty_shard_is_not_missing(tmp_path: Path) -> None:
    shards = [store(tmp_path / f"s{i}", [row(0)] if i == 1 else [], i % 2, Shard(i, 2, 1)) for i in (1, 2)]
    assert merge(shards, tmp_path / "out").whole


@pytest.mark.parametrize(
    ("identity", "named"),
    [
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"model": {"name": "m", "weights": "abd"}}, "model.weights: abc there, abd here"),
        ({"elicitation": {"name": "plain", "max_crops": 3}}, "elicitation.max_crops: None there, 3 here"),
    ],
)
def test_mixed_identities_are_refused(tmp_path: Path, identity: dict[str, Any], named: str) -> None:
    one = store(tmp_path / "a", [row(0)], 1, Shard(1, 2, 2))
    other = store(tmp_path / "b", [row(1)], 1, Shard(2, 2, 2), **identity)
    with pytest.raises(UserError, match="is of another run than") as error:
        merge([one, other], tmp_path / "out")
    assert named in str(error.value)
    assert not (tmp_path / "out").exists()


def test_other_answers_to_a_sample_are_refused(tmp_path: Path) -> None:
    paths = [*halves(tmp_path), store(tmp_path / "more", [row(2, "elsewhere")], 6)]
    with pytest.raises(UserError, match=r"sample 's2' .*half1.*more.*prediction\.text: there there, elsewhere here"):
        merge(paths, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_answer_twice_is_fine_however_long_it_took(tmp_path: Path) -> None:
    paths = [*halves(tmp_path), store(tmp_path / "more", [row(2, seconds=9.0)], 6)]
    assert merge(paths, tmp_path / "out").whole


@pytest.mark.parametrize("failed_first", [True, False])
def test_an_answer_takes_a_failed_row_s_place(tmp_path: Path, failed_first: bool) -> None:
    bad, good = row(0, error="no memory"), row(0)
    a = store(tmp_path / "a", [bad if failed_first else good], 1)
    b = store(tmp_path / "b", [good if failed_first else bad], 1)
    assert merge([a, b], tmp_path / "out").whole
    assert merged_rows(tmp_path / "out") == [good]


def test_a_failed_sample_leaves_the_merge_unfinished_until_it_is_answered(tmp_path: Path) -> None:
    a = store(tmp_path / "a", [row(0), row(1, error="no memory")], 2)
    merged = merge([a], tmp_path / "out")
    assert (merged.whole, merged.samples, merged.failed, merged.missing) == (False, 2, 1, [])
    store(a, [row(1)], 2)
    assert merge([a], tmp_path / "out").whole


def test_an_earlier_merge_among_the_inputs_is_added_to(tmp_path: Path) -> None:
    first, second = halves(tmp_path / "in")
    merge([first], tmp_path / "in")
    merged = merge([tmp_path / "in"], tmp_path / "in")
    assert merged.whole
    assert merged.runs == 2
    assert len(find_runs([tmp_path / "in"])) == 3
    with pytest.raises(UserError, match="is all there is to merge"):
        merge([Path(merged.path)], tmp_path / "in")
    assert second.exists()


def test_an_earlier_merge_of_other_answers_gives_way_to_fresh_alone(tmp_path: Path) -> None:
    merge([store(tmp_path / "a", [row(0)], 1)], tmp_path / "out")
    again = store(tmp_path / "b", [row(0, "elsewhere")], 1)
    with pytest.raises(UserError, match="an earlier merge: with --fresh"):
        merge([again], tmp_path / "out")
    assert merge([again], tmp_path / "out", fresh=True).whole
    assert merged_rows(tmp_path / "out") == [row(0, "elsewhere")]


def test_other_targets_of_one_sample_are_refused(tmp_path: Path) -> None:
    other = msgspec.structs.replace(row(0), target=CountTarget(7))
    paths = [store(tmp_path / "a", [row(0)], 1), store(tmp_path / "b", [other], 1)]
    with pytest.raises(UserError, match=r"target\.count: 1 there, 7 here"):
        merge(paths, tmp_path / "out")


def test_on_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpeval.store.on_network", lambda path: True)
    first, second = halves(tmp_path)
    assert not merge([first], tmp_path / "out").whole
    assert merge([first, second], tmp_path / "out").whole
    assert merged_rows(tmp_path / "out") == [row(i) for i in range(6)]
