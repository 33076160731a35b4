"""The run store: what is written, refused and survived."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mpeval.errors import UserError
from mpeval.manifest import MANIFEST, SCHEMA, Manifest, Session, read_manifest
from mpeval.store import DATABASE, Row, Run, find_runs
from mpeval.types import (
    RLE,
    BoxTarget,
    CountTarget,
    MaskTarget,
    Point,
    PointsTarget,
    PolygonTarget,
    Prediction,
    RefusalTarget,
    Target,
    TrackedObject,
    TrackTarget,
)

TWO = CountTarget(2)


def manifest(seed: int = 0, expected: int = 3) -> Manifest:
    identity: dict[str, Any] = {
        "model": {"name": "m/odel:1", "weights": "abc"},
        "benchmark": {"name": "bench", "revision": "r1"},
        "elicitation": {"name": "plain"},
        "seed": seed,
    }
    session = Session("2026-01-01T00:00:00+00:00", "mpeval run", {}, "cpu", "float32", 2)
    return Manifest(SCHEMA, "m/odel:1", "bench", "strict", identity, expected, (session,))


def row(position: int, error: str | None = None, text: str = "there", target: Target = TWO) -> Row:
    prediction = Prediction(text, (Point(1.5, 2.25, time=0.5),), "form", generated_tokens=7, error=error)
    return Row(f"s{position}", position, "00ff", (8, 6), "Point", target, {"kind": "a"}, prediction)


TARGETS: list[Target] = [
    BoxTarget((1, 2, 3.5, 4)),
    PolygonTarget(((0, 0), (1, 0.5), (1, 1))),
    MaskTarget(RLE((4, 5), "03d0"), 2),
    PointsTarget((Point(1, 2, image=1, object_id="7"),), (RLE((4, 5), "03d0"),)),
    PointsTarget((), ()),
    CountTarget(0),
    TrackTarget((TrackedObject("1", {0: (1, 2), 12: (3, 4)}, {0: RLE((4, 5), "03d0")}),), 6.0),
    RefusalTarget(),
]


def test_rows_come_back_as_they_were_in_published_order(tmp_path: Path) -> None:
    rows = [row(position, target=target) for position, target in enumerate(TARGETS)]
    unread = msgspec.structs.replace(row(len(rows), error="no picture"), media_sha256=None, size=None)
    with Run.write(tmp_path / "run", manifest()) as run:
        run.put([unread, *rows[4:]])
        run.put(rows[:4])
    with Run.read(tmp_path / "run") as run:
        assert list(run.rows()) == [*rows, unread]
        assert run.counts() == (len(rows) + 1, 1)


HALF = "a\ud800b"
"""Half a surrogate pair, which JSON may spell and UTF-8 cannot hold."""


def test_half_a_surrogate_pair_is_a_question_mark_and_nothing_else_is_lost(tmp_path: Path) -> None:
    target = TrackTarget((TrackedObject(HALF, {0: (1, 2)}, {0: RLE((4, 5), "03d0")}),), 6.0)
    prediction = Prediction(HALF, (Point(1.5, 2.0, object_id=HALF),), HALF, note=HALF)
    changed = {"prompt": HALF, "slices": {HALF: HALF}, "prediction": prediction, "target": target}
    with Run.write(tmp_path / "run", manifest()) as run:
        run.put([row(0), msgspec.structs.replace(row(1), **changed)])
        first, stored = run.rows()
    assert first == row(0)
    assert stored.prompt == "a?b" and stored.slices == {"a?b": "a?b"}
    assert stored.prediction == Prediction("a?b", (Point(1.5, 2.0, object_id="a?b"),), "a?b", note="a?b")
    assert stored.target == TrackTarget((TrackedObject("a?b", {0: (1, 2)}, {0: RLE((4, 5), "03d0")}),), 6.0)


def test_half_a_surrogate_pair_in_an_id_is_told(tmp_path: Path) -> None:
    with Run.write(tmp_path / "run", manifest()) as run:
        with pytest.raises(UserError, match=r"'a\\ud800b' is not Unicode"):
            run.put([row(0), msgspec.structs.replace(row(1), sample_id=HALF)])
        assert run.counts() == (0, 0)


def test_a_closed_run_is_two_files(tmp_path: Path) -> None:
    with Run.write(tmp_path / "run", manifest()) as run:
        run.put([row(0)])
        assert (tmp_path / "run" / f"{DATABASE}-wal").exists()
    assert sorted(each.name for each in (tmp_path / "run").iterdir()) == [MANIFEST, DATABASE]
    # The file format's write and read version, 1 for a rollback journal: WAL could not be read from a
    # read-only folder.
    assert (tmp_path / "run" / DATABASE).read_bytes()[18:20] == b"\1\1"


def test_a_network_file_system_gets_a_rollback_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpeval.store.on_network", lambda path: True)
    with Run.write(tmp_path / "run", manifest()) as run:
        run.put([row(0)])
        assert not (tmp_path / "run" / f"{DATABASE}-wal").exists()
        assert run._database.execute("pragma journal_mode").fetchone() == ("delete",)


def test_an_answer_is_never_replaced_but_a_failure_is(tmp_path: Path) -> None:
    with Run.write(tmp_path / "run", manifest()) as run:
        run.put([row(0, text="first"), row(1, error="out of memory")])
        assert run.done() == {"s0"}
        run.put([row(0, text="second"), row(1, text="at last")])
        assert [each.prediction.text for each in run.rows()] == ["first", "at last"]
        assert run.counts() == (2, 0)


def test_the_same_identity_goes_on(tmp_path: Path) -> None:
    with Run.write(tmp_path / "run", manifest(expected=3)) as run:
        run.put([row(0)])
    with Run.write(tmp_path / "run", manifest(expected=2)) as run:
        assert run.done() == {"s0"}
        assert run.manifest.expected == 3
        assert len(run.manifest.sessions) == 2


def test_another_identity_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    with Run.write(tmp_path / "run", manifest(seed=0)) as run:
        run.put([row(0)])
    before = {each.name: each.read_bytes() for each in (tmp_path / "run").iterdir()}
    with pytest.raises(UserError, match=r"another identity \(seed: 0 there, 1 here\)"):
        Run.write(tmp_path / "run", manifest(seed=1))
    assert {each.name: each.read_bytes() for each in (tmp_path / "run").iterdir()} == before


def test_fresh_begins_again(tmp_path: Path) -> None:
    with Run.write(tmp_path / "run", manifest(seed=0)) as run:
        run.put([row(0)])
    with Run.write(tmp_path / "run", manifest(seed=1), fresh=True) as run:
        assert run.counts() == (0, 0)
        assert len(run.manifest.sessions) == 1


def test_one_writer(tmp_path: Path) -> None:
    with (
        Run.write(tmp_path / "run", manifest()),
        pytest.raises(UserError, match="being written by another process"),
    ):
        Run.write(tmp_path / "run", manifest(), fresh=True)
    Run.write(tmp_path / "run", manifest()).close()


def test_a_run_is_readable_while_it_is_written(tmp_path: Path) -> None:
    with Run.write(tmp_path / "run", manifest()) as run:
        run.put([row(0)])
        with Run.read(tmp_path / "run") as reader:
            assert reader.counts() == (1, 0)


def _schema_of_database(path: Path) -> None:
    with sqlite3.connect(path / DATABASE) as database:
        database.execute("pragma user_version = 99")


def _schema_of_manifest(path: Path) -> None:
    content = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**content, "schema": 99, "new_field": 1}))


def _half_a_database(path: Path) -> None:
    content = (path / DATABASE).read_bytes()
    (path / DATABASE).write_bytes(content[: len(content) // 2])


def _another_database(path: Path) -> None:
    with Run.write(path.parent / "other", manifest(seed=5)):
        pass
    (path / DATABASE).write_bytes((path.parent / "other" / DATABASE).read_bytes())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: (path / DATABASE).write_bytes(b"this is no database" * 1000), "is damaged"),
        (_half_a_database, "is damaged"),
        (_another_database, "are of two runs"),
        (_schema_of_database, "run.sqlite has schema 99, this mpeval reads 1"),
        (_schema_of_manifest, "run.json has schema 99, this mpeval reads 1"),
        (lambda path: (path / MANIFEST).write_text('{"schema": 1, "mod'), "run.json is damaged"),
        (lambda path: (path / MANIFEST).write_text('{"schema": 1}'), "run.json is damaged"),
    ],
)
def test_a_damaged_or_newer_run_is_refused_in_one_line(tmp_path: Path, spoil, message: str) -> None:
    path = tmp_path / "run"
    with Run.write(path, manifest()) as run:
        run.put([row(position, text="x" * 500) for position in range(100)])
    spoil(path)
    for use in (lambda: Run.write(path, manifest()), lambda: Run.read(path)):
        with pytest.raises(UserError, match=message) as error:
            use()
        assert "\n" not in str(error.value)


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        Run.read(tmp_path)
    with pytest.raises(UserError, match="no run in"):
        find_runs([tmp_path])
    (tmp_path / DATABASE).touch()
    with pytest.raises(UserError, match=r"has run\.sqlite but no run\.json"):
        Run.write(tmp_path, manifest())


def test_runs_are_found_below_a_folder(tmp_path: Path) -> None:
    for name in ("b", "a/deep"):
        Run.write(tmp_path / name, manifest()).close()
    assert find_runs([tmp_path]) == [tmp_path / "a" / "deep", tmp_path / "b"]
    assert find_runs([tmp_path / "b", tmp_path / "b"]) == [tmp_path / "b"]


def test_a_manifest_that_finds_no_room_leaves_the_old_one_alone(tmp_path: Path, monkeypatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with Run.write(tmp_path / "run", manifest()) as run:
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(UserError, match=r"cannot write .*: No space left on device"):
            run.end_session("now", 2)
    assert sorted(each.name for each in (tmp_path / "run").iterdir()) == [MANIFEST, DATABASE]
    assert read_manifest(tmp_path / "run").sessions[0].ended is None


# Each line kills the process by SIGKILL at one moment of the store's work.
MOMENTS = {
    "before the manifest": "Path.replace = die",
    "before the database": "store._open_for_writing = die",
    "between the tables": "store._TABLES = store._TABLES.replace('create table run', 'select die(); create table run')",
    "inside a batch": "TRIGGER = 'create temp trigger t after insert on samples when new.position = 1 "
    "begin select die(); end'",
    "after a batch": "store.Run.end_session = die",
    "at closing": "store.Run.close = die",
}

CHILD = """
import os, signal, sqlite3, sys
from pathlib import Path
from mpeval import store
from mpeval.store import Run
from tests.test_store import manifest, row

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

connect = sqlite3.connect
def connect_with_die(*arguments, **options):
    database = connect(*arguments, **options)
    database.create_function("die", 0, die)
    return database
sqlite3.connect = connect_with_die

TRIGGER = "select 1"
MOMENT
with Run.write(Path(sys.argv[1]), manifest()) as run:
    run._database.execute(TRIGGER)
    run.put([row(0), row(1)])
    run.end_session("now", 2)
"""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_process_killed_at_any_moment_leaves_whole_batches(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-c", CHILD.replace("MOMENT", MOMENTS[moment]), str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL

    stored = moment in ("after a batch", "at closing")
    with Run.write(path, manifest()) as run:
        assert run.done() == ({"s0", "s1"} if stored else set())
        run.put([row(0), row(1), row(2)])
        assert [each.sample_id for each in run.rows()] == ["s0", "s1", "s2"]
    assert sorted(each.name for each in path.iterdir()) == [MANIFEST, DATABASE]
    assert read_manifest(path).expected == 3


def test_a_killed_run_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-c", CHILD.replace("MOMENT", MOMENTS["at closing"]), str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run(command, env=environment, check=False)
    assert (path / f"{DATABASE}-wal").exists()
    with Run.read(path) as run:
        assert run.counts() == (2, 0)
