"""Masks that a segmenter made of a run's points, kept beside the run so that J&F can be computed again without it.

One file a run holds each sample's masks by each segmenter, with hashes of all that they were made of: nothing is
segmented twice, and masks of other answers than the run's are never scored.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mpeval.errors import UserError
from mpeval.types import ObjectMasks, Point, PointPrompt

FILE = "masks.sqlite"
_SCHEMA = 1

_TABLE = f"""
create table if not exists masks (
    sample_id text not null,
    segmenter text not null,
    content text not null,
    answer text not null,
    masks blob not null,
    primary key (sample_id, segmenter)
) strict;
create table if not exists segmenters (name text primary key, identity text not null) strict;
pragma user_version = {_SCHEMA};
"""


def content_key(
    identity: dict[str, Any], media_sha256: str, span: Sequence[float] | None, prompts: Sequence[PointPrompt]
) -> str:
    """SHA-256 of all that decides the masks: the segmenter, the clip and the prompts. 64 hexadecimal digits."""
    parts = (identity, media_sha256, span, [msgspec.structs.astuple(prompt) for prompt in prompts])
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def answer_key(points: Sequence[Point]) -> str:
    """SHA-256 of an answer's points, 64 hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(points)).hexdigest()


class MaskStore:
    """The masks of a run. Use it in a `with` statement."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database

    @classmethod
    def write(cls, folder: Path) -> MaskStore:
        """Open or begin the store of a run's folder. Raises `UserError` for a file that cannot be written or is
        something else."""
        path = folder / FILE
        with _readable_errors(path):
            database = sqlite3.connect(path, isolation_level=None)
            if database.execute("pragma user_version").fetchone()[0] in (0, _SCHEMA):
                database.executescript(_TABLE)
            return cls(path, _checked(path, database))

    @classmethod
    def read(cls, folder: Path) -> MaskStore | None:
        """The store of a run's folder, None where nothing was segmented. Raises `UserError` for a damaged file."""
        path = folder / FILE
        if not path.exists():
            return None
        with _readable_errors(path):
            return cls(path, _checked(path, sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)))

    def begin(self, segmenter: str, identity: dict[str, Any]) -> None:
        """Say who makes masks now; those that the same name made with other weights or settings go: scores never mix
        them."""
        told = msgspec.json.encode(identity, order="sorted").decode()
        with _readable_errors(self.path):
            known = self._database.execute("select identity from segmenters where name = ?", (segmenter,)).fetchone()
            if known is not None and known[0] != told:
                self._database.execute("delete from masks where segmenter = ?", (segmenter,))
            self._database.execute("insert or replace into segmenters values (?, ?)", (segmenter, told))

    def has(self, sample_id: str, segmenter: str, content: str, answer: str) -> bool:
        """Whether these very masks are there; if so, they are this answer's from now on.

        content: `content_key`; answer: `answer_key`. Two answers may prompt alike.
        """
        key = (sample_id, segmenter, content)
        with _readable_errors(self.path):
            query = "select answer from masks where sample_id = ? and segmenter = ? and content = ?"
            row = self._database.execute(query, key).fetchone()
            if row is not None and row[0] != answer:
                update = "update masks set answer = ? where sample_id = ? and segmenter = ? and content = ?"
                self._database.execute(update, (answer, *key))
            return row is not None

    def put(self, sample_id: str, segmenter: str, content: str, answer: str, masks: Sequence[ObjectMasks]) -> None:
        """Keep a sample's masks in place of older ones by the same segmenter."""
        packed = zlib.compress(msgspec.json.encode(list(masks)))
        with _readable_errors(self.path):
            values = (sample_id, segmenter, content, answer, packed)
            self._database.execute("insert or replace into masks values (?, ?, ?, ?, ?)", values)

    def segmenters(self) -> list[str]:
        """Names of the segmenters that have masks here; first the one that made some last."""
        query = "select segmenter from masks group by segmenter order by max(rowid) desc"
        with _readable_errors(self.path):
            return [row[0] for row in self._database.execute(query)]

    def chosen(self, segmenter: str | None) -> str | None:
        """The named segmenter, or the one that made masks last; None where there are no masks.

        Raises `UserError` for one without masks here.
        """
        names = self.segmenters()
        if segmenter is not None and segmenter not in names:
            there = f"it has those by {', '.join(names)}" if names else "make some with 'mpeval segment'"
            raise UserError(f"{self.path} has no masks by '{segmenter}': {there}")
        return segmenter or next(iter(names), None)

    def masks(self, sample_id: str, segmenter: str, answer: str) -> tuple[ObjectMasks, ...] | None:
        """A sample's masks; None where there are none of that answer. Raises `UserError` for a damaged file."""
        query = "select masks from masks where sample_id = ? and segmenter = ? and answer = ?"
        with _readable_errors(self.path):
            row = self._database.execute(query, (sample_id, segmenter, answer)).fetchone()
            return None if row is None else _MASKS.decode(zlib.decompress(row[0]))

    def __enter__(self) -> MaskStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()


_MASKS = msgspec.json.Decoder(tuple[ObjectMasks, ...])


def _checked(path: Path, database: sqlite3.Connection) -> sqlite3.Connection:
    version = database.execute("pragma user_version").fetchone()[0]
    if version != _SCHEMA:
        raise UserError(f"{path} has schema {version}, this mpeval reads {_SCHEMA}: remove it to segment again")
    return database


@contextlib.contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    """Turn what disks and damaged files raise into one line that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise UserError(f"cannot use {path}: {error}") from error
    except (sqlite3.DatabaseError, zlib.error, msgspec.MsgspecError) as error:
        raise UserError(f"{path} is damaged ({error}): remove it to segment again") from error
