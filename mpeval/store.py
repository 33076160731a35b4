"""The run store: one model on one benchmark, asked in one way.

A run is a folder with two files. `run.json`, the manifest, says what the run is (its identity) and what is
known of how it came about. `run.sqlite` holds one row a sample: all that scoring needs, so that a run is
scored again under any protocol without the dataset and without the model.

Identity: model (weights, revision), data revision, elicitation and seed. Recorded, but no identity: versions,
device, batch size, command, times. A batch is one transaction, so a process killed at any moment leaves whole
batches, and the same command goes on from there.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mpeval.disk import lock_folder, on_network
from mpeval.errors import UserError
from mpeval.manifest import (
    MANIFEST,
    SCHEMA,
    Manifest,
    Session,
    check_schema,
    difference,
    identity_hash,
    read_manifest,
    write_manifest,
)
from mpeval.text import unicode
from mpeval.types import Prediction, Target

DATABASE = "run.sqlite"

_TABLES = f"""
begin;
create table samples (
    sample_id text primary key,
    position integer not null,
    media_sha256 text,
    width integer,
    height integer,
    prompt text not null,
    target text not null,
    slices text not null,
    prediction text not null,
    failed integer not null
) strict;
create table run (identity_hash text not null) strict;
pragma user_version = {SCHEMA};
"""

_PUT = """
insert into samples values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (sample_id) do update set
    media_sha256 = excluded.media_sha256, width = excluded.width, height = excluded.height,
    prompt = excluded.prompt, prediction = excluded.prediction, failed = excluded.failed
where samples.failed
"""


class Row(msgspec.Struct, frozen=True):
    """One sample of a run as it is stored."""

    sample_id: str
    position: int
    """Zero-based index in the benchmark's published order."""
    media_sha256: str | None
    """None, like `size`, where the media could not be read."""
    size: tuple[int, int] | None
    """Width, height of the original media in pixels."""
    prompt: str
    target: Target
    slices: dict[str, str]
    prediction: Prediction


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Run folders at or below the given ones, in order, each once, whatever ways lead to it.

    Raises `UserError` for a path that holds none.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        runs = sorted(each.parent for each in path.rglob(MANIFEST)) if path.is_dir() else []
        if not runs:
            raise UserError(f"no run in {path}: give a folder that holds {MANIFEST}, or one above it")
        for run in runs:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def has_begun(path: Path) -> bool:
    """Whether a run's folder has its tables: not so where its process was stopped before it had made them."""
    if not (path / DATABASE).exists():
        return False
    with _readable_errors(path), contextlib.closing(_open_for_reading(path)) as database:
        return _has_tables(database)


def find_run(path: Path) -> Path:
    """The one run at or below a path. Raises `UserError` where there is none, or several."""
    runs = find_runs([path])
    if len(runs) > 1:
        raise UserError(f"{path} holds {len(runs)} runs: name one, {runs[0]} for instance")
    return runs[0]


class Run:
    """An open run. Make one with `Run.write` or `Run.read`; close it, or use it in a `with` statement."""

    def __init__(self, path: Path, manifest: Manifest, database: sqlite3.Connection, lock: int | None) -> None:
        self.path = path
        self.manifest = manifest
        self._database = database
        self._lock = lock

    @classmethod
    def write(cls, path: Path, manifest: Manifest, fresh: bool = False) -> Run:
        """Begin a run, or go on with the one of the same identity that the folder holds.

        fresh: throw away the run that is there, whatever it is. Raises `UserError` for a folder that cannot
        be written, holds another identity or a damaged run, or is being written by another process.
        """
        with _readable_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            lock = lock_folder(path)
            try:
                if fresh:
                    _remove(path)
                manifest = _continued(path, manifest)
                write_manifest(path, manifest)
                database = _open_for_writing(path, identity_hash(manifest.identity))
            except BaseException:
                os.close(lock)
                raise
        return cls(path, manifest, database, lock)

    @classmethod
    def read(cls, path: Path) -> Run:
        """Open a run for reading, also while it is being written on a local disk."""
        manifest = read_manifest(path)
        with _readable_errors(path):
            if not has_begun(path):
                raise UserError(f"{path} holds no answers: the run has not begun; give its command again")
            database = _open_for_reading(path)
            _check_database(database, path, identity_hash(manifest.identity))
        return cls(path, manifest, database, lock=None)

    def done(self) -> set[str]:
        """Ids of the samples that have an answer. Failed ones are not among them: they are asked again."""
        with _readable_errors(self.path):
            return {row[0] for row in self._database.execute("select sample_id from samples where not failed")}

    def put(self, rows: Sequence[Row]) -> None:
        """Store a batch in one transaction. A row that has an answer is never replaced.

        Half a surrogate pair in a text becomes a question mark. Raises `UserError` for one in an id: by its id a sample
        is known again.
        """
        if strange := [row.sample_id for row in rows if unicode(row.sample_id) != row.sample_id]:
            raise UserError(f"the sample id {strange[0]!a} is not Unicode (half a surrogate pair): give it another")
        values = [
            (
                row.sample_id,
                row.position,
                row.media_sha256,
                *(row.size or (None, None)),
                unicode(row.prompt),
                _encode(row.target),
                _encode(row.slices),
                _encode(row.prediction),
                int(row.prediction.error is not None),
            )
            for row in rows
        ]
        with _readable_errors(self.path), self._database:
            self._database.execute("begin immediate")
            self._database.executemany(_PUT, values)

    def rows(self) -> Iterator[Row]:
        """All rows in the benchmark's published order, whatever order they were generated in."""
        with _readable_errors(self.path):
            yield from map(_row, self._database.execute("select * from samples order by position, sample_id"))

    def counts(self) -> tuple[int, int]:
        """Rows, and rows that failed."""
        with _readable_errors(self.path):
            return self._database.execute("select count(*), coalesce(sum(failed), 0) from samples").fetchone()

    def end_session(self, ended: str, generated: int) -> None:
        """Note in the manifest how the running session ended."""
        session = self.manifest.sessions[-1]
        session.ended, session.generated = ended, generated
        with _readable_errors(self.path):
            write_manifest(self.path, self.manifest)

    def set_sessions(self, sessions: tuple[Session, ...]) -> None:
        """Put these in place of the manifest's sessions: those of all runs that were merged into this one."""
        self.manifest = msgspec.structs.replace(self.manifest, sessions=sessions)
        with _readable_errors(self.path):
            write_manifest(self.path, self.manifest)

    def close(self) -> None:
        """Leave one file without a journal."""
        if self._lock is not None:
            with contextlib.suppress(sqlite3.OperationalError):  # a reader has it open: the journal stays
                self._database.execute("pragma journal_mode = delete")
        self._database.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# --- files ----------------------------------------------------------------------------------------


def _continued(path: Path, manifest: Manifest) -> Manifest:
    """The manifest, added to the one that the folder holds; checks that both are of the same run."""
    if not (path / MANIFEST).exists():
        if (path / DATABASE).exists():
            raise UserError(f"{path} has {DATABASE} but no {MANIFEST}: restore it, or start over with --fresh")
        return manifest
    earlier = read_manifest(path)
    differs = difference(earlier.identity, manifest.identity)
    if differs:
        raise UserError(
            f"{path} holds a run of another identity ({differs}): choose another --out, or replace it with --fresh"
        )
    if earlier.shard and manifest.shard and earlier.shard != manifest.shard:
        # The split depends on what is split: the samples of this part could be in another one by now.
        raise UserError(
            f"{path} is shard {earlier.shard} of {earlier.shard.samples} samples, not of {manifest.shard.samples}: "
            "give the same --limit, choose another --out, or replace it with --fresh"
        )
    return msgspec.structs.replace(
        manifest,
        expected=max(earlier.expected, manifest.expected),
        sessions=earlier.sessions + manifest.sessions,
    )


def _remove(path: Path) -> None:
    # The manifest first: a folder left half removed is refused, not taken for an older state of the run.
    for name in (MANIFEST, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal"):
        (path / name).unlink(missing_ok=True)


# --- database -------------------------------------------------------------------------------------


def _open_for_reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{(path / DATABASE).absolute().as_uri()}?mode=ro", uri=True)


def _has_tables(database: sqlite3.Connection) -> bool:
    return database.execute("select count(*) from sqlite_schema").fetchone()[0] > 0


def _open_for_writing(path: Path, run_hash: str) -> sqlite3.Connection:
    database = sqlite3.connect(path / DATABASE, isolation_level=None)
    if on_network(path):
        # WAL needs shared memory between processes, which network file systems do not give.
        database.execute("pragma locking_mode = exclusive")
        database.execute("pragma journal_mode = delete")
    else:
        database.execute("pragma journal_mode = wal")
    database.execute("pragma synchronous = full")
    if not _has_tables(database):
        database.executescript(f"{_TABLES} insert into run values ('{run_hash}'); commit;")
    _check_database(database, path, run_hash)
    return database


def _check_database(database: sqlite3.Connection, path: Path, run_hash: str) -> None:
    check_schema(path / DATABASE, database.execute("pragma user_version").fetchone()[0])
    fault = database.execute("pragma quick_check(1)").fetchone()[0]
    if fault != "ok":
        raise sqlite3.DatabaseError(fault)
    if database.execute("select identity_hash from run").fetchone()[0] != run_hash:
        raise UserError(f"{path}: {DATABASE} and {MANIFEST} are of two runs: restore them, or start over with --fresh")


@contextlib.contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    """Turn what disks and damaged files raise into one line that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise UserError(f"cannot use {path / DATABASE}: {error}") from error
    except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
        raise UserError(f"{path / DATABASE} is damaged ({error}): restore it, or start over with --fresh") from error
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; choose another --out") from error


def _encode(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(_in_unicode(msgspec.to_builtins(value, str_keys=True))).decode()


def _in_unicode(value: Any) -> Any:
    """JSON values with texts that UTF-8 can hold."""
    if isinstance(value, dict):
        return {unicode(key): _in_unicode(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_unicode(each) for each in value]
    return unicode(value) if isinstance(value, str) else value


# Made once: msgspec looks at a union's types anew in every call of its `decode` function.
_TARGET = msgspec.json.Decoder(Target)
_SLICES = msgspec.json.Decoder(dict[str, str])
_PREDICTION = msgspec.json.Decoder(Prediction)


def _row(values: tuple[Any, ...]) -> Row:
    sample_id, position, sha256, width, height, prompt, target, slices, prediction, _ = values
    return Row(
        sample_id,
        position,
        sha256,
        (width, height) if width is not None else None,
        prompt,
        _TARGET.decode(target),
        _SLICES.decode(slices),
        _PREDICTION.decode(prediction),
    )
