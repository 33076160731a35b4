"""Runs of one identity, the shards of a run above all, joined into one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from mpeval.errors import UserError
from mpeval.manifest import Manifest, Session, Shard, difference, read_manifest, run_folder
from mpeval.store import Row, Run, find_runs, has_begun
from mpeval.text import shortened

ROWS_AT_ONCE = 256
"""In one transaction: targets with dense masks are large."""

_LONGEST = 200
"""Characters of two answers in an error."""


class MissingPart(msgspec.Struct, frozen=True):
    """A shard that is missing, or a run that is not done."""

    shard: str | None
    """`2/4`; None for a run that is no shard."""
    of: int
    """Samples of the whole run, by which it was split."""
    path: str | None = None
    """None: no folder of it was given; nothing else is known of it then."""
    samples: int = 0
    expected: int = 0
    command: str | None = None
    """What goes on with a shard."""


class Merged(msgspec.Struct, frozen=True):
    """What a merge gave."""

    model: str
    benchmark: str
    path: str
    runs: int
    """Folders that were joined, without an earlier merge."""
    samples: int
    expected: int
    failed: int
    missing: list[MissingPart]

    @property
    def whole(self) -> bool:
        return self.samples >= self.expected and not self.failed


@dataclass(frozen=True)
class _Answer:
    """Where a sample's row is taken from."""

    run: int
    failed: bool
    digest: bytes
    """Of all that the row holds but its time."""


def merge(paths: Sequence[Path], out: Path, fresh: bool = False) -> Merged:
    """Join the runs at or below `paths` into one below `out`, where a run that was left alone would lie.

    A sample's failed row gives way to an answer from another folder. An earlier merge in `out` is added to, or, with
    fresh, thrown away. Raises `UserError`, and writes nothing, where runs differ in identity or answer a sample
    differently.
    """
    found = {path: read_manifest(path) for path in find_runs(paths)}
    identity = next(iter(found.values())).identity
    target = run_folder(out, identity)
    sources = {path: each for path, each in found.items() if path.resolve() != target.resolve()}
    if not sources:
        raise UserError(f"{target} is all there is to merge: give the folders of its shards")
    _check_identities(sources)

    with ExitStack() as stack:
        readers = {path: stack.enter_context(Run.read(path)) for path in sources if has_begun(path)}
        runs = list(readers.values())
        answers = _choose(runs, target if has_begun(target) and not fresh else None)
        with Run.write(target, _manifest(sources.values()), fresh) as merged:
            for index, run in enumerate(runs):
                _copy(run, merged, {sample_id for sample_id, each in answers.items() if each.run == index})
            merged.set_sessions(_sessions([merged.manifest, *sources.values()]))
            samples, failed = merged.counts()
            expected = merged.manifest.expected
            stored = {path: readers[path].counts()[0] if path in readers else 0 for path in sources}
            missing = _missing(sources, stored, expected) if samples < expected else []
            model, benchmark = merged.manifest.model, merged.manifest.benchmark
            return Merged(model, benchmark, str(target), len(sources), samples, expected, failed, missing)


def _check_identities(manifests: dict[Path, Manifest]) -> None:
    (first, one), *others = manifests.items()
    for path, other in others:
        differs = difference(one.identity, other.identity)
        if differs:
            raise UserError(f"{path} is of another run than {first} ({differs}): merge the shards of one run alone")
        if one.protocol != other.protocol:
            # The answers are the same; but the merged run has one, and the order of folders must not choose it.
            raise UserError(
                f"{path} was made for protocol {other.protocol}, {first} for {one.protocol}: give the command of one "
                "again with the other's --protocol (stored answers stay)"
            )


def _choose(runs: Sequence[Run], earlier: Path | None) -> dict[str, _Answer]:
    """Which run each sample is taken from: an answer before a failed row.

    earlier: a merge that these runs are added to, whose rows stay where they are. Raises `UserError` where
    answers differ.
    """
    chosen: dict[str, _Answer] = {}

    def look_at(index: int, run: Run) -> None:
        for row in run.rows():
            answer = _Answer(index, row.prediction.error is not None, _digest(row))
            known = chosen.get(row.sample_id)
            if known is None or (known.failed and not answer.failed):
                chosen[row.sample_id] = answer
            elif not known.failed and not answer.failed and known.digest != answer.digest:
                _refuse(runs[known.run], run, row)

    for index, run in enumerate(runs):
        look_at(index, run)
    if earlier is not None:
        # Closed again at once: a reader would keep the writer's journal from being put away.
        with Run.read(earlier) as run:
            look_at(len(runs), run)
    return chosen


def _copy(run: Run, merged: Run, sample_ids: set[str]) -> None:
    rows = (row for row in run.rows() if row.sample_id in sample_ids)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        merged.put(some)


def _refuse(one: Run, other: Run, row: Row) -> None:
    first = next(each for each in one.rows() if each.sample_id == row.sample_id)
    differs = difference(_content(first), _content(row))
    raise UserError(
        f"sample '{row.sample_id}' is answered in {one.path} and otherwise in {other.path} "
        f"({shortened(differs, _LONGEST)}): leave one of them out (an earlier merge: with --fresh)"
    )


def _content(row: Row) -> object:
    """All that must be alike: time is left out."""
    return msgspec.to_builtins(
        msgspec.structs.replace(row, prediction=msgspec.structs.replace(row.prediction, seconds=None))
    )


def _digest(row: Row) -> bytes:
    return hashlib.sha256(msgspec.json.encode(_content(row), order="sorted")).digest()


def _manifest(manifests: Collection[Manifest]) -> Manifest:
    """The whole run's, without sessions."""
    expected = max(map(_whole, manifests))
    return msgspec.structs.replace(next(iter(manifests)), expected=expected, sessions=(), shard=None)


def _sessions(manifests: Iterable[Manifest]) -> tuple[Session, ...]:
    """Those of all manifests, each once, by their start; later manifests know how a session ended."""
    found = {(each.started, each.command): each for manifest in manifests for each in manifest.sessions}
    return tuple(found[key] for key in sorted(found))


def _missing(manifests: dict[Path, Manifest], stored: dict[Path, int], expected: int) -> list[MissingPart]:
    """Runs that are not done, and shards without a folder; none of a split of fewer samples (another --limit)."""
    found = [
        MissingPart(_name(each.shard), _whole(each), str(path), stored[path], each.expected, _command(each))
        for path, each in manifests.items()
        if stored[path] < each.expected
    ]
    shards = [each.shard for each in manifests.values() if each.shard and each.shard.samples == expected]
    for count in dict.fromkeys(each.count for each in shards):
        here = {each.index for each in shards if each.count == count}
        found += [MissingPart(f"{index}/{count}", expected) for index in range(1, count + 1) if index not in here]
    return found


def _whole(manifest: Manifest) -> int:
    """Samples of the run that this one is, or is a part of."""
    return manifest.shard.samples if manifest.shard else manifest.expected


def _name(shard: Shard | None) -> str | None:
    return None if shard is None else str(shard)


def _command(manifest: Manifest) -> str | None:
    return manifest.sessions[-1].command if manifest.shard and manifest.sessions else None
