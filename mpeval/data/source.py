"""Where a benchmark's data come from, and where they lie on this machine."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpeval.data.files import Files
from mpeval.data.record import read_dead_links, read_record, revision_of
from mpeval.errors import UserError
from mpeval.text import printable
from mpeval.types import Benchmark, Card, Elicitation, ProtocolSpec, Sample, Scorer

if TYPE_CHECKING:
    from mpeval.submission import SubmittedQuery

HOME = "MPEVAL_DATA"
"""Environment variable: the folder of all datasets where --data-dir does not say."""

NAMED = 3
"""Missing files that a line names."""


@dataclass(frozen=True)
class Link:
    """A file that a dataset names by its address instead of holding it."""

    url: str
    path: str
    """Where it belongs, relative to the benchmark's folder."""
    sha256: str | None = None
    """Of its bytes, where the dataset tells it."""


@dataclass(frozen=True)
class DataSource:
    """A dataset repository on the Hub, laid out in `DIR/<benchmark>/` exactly as it is published."""

    repository: str
    revision: str = "main"
    files: tuple[str, ...] = ()
    """What is needed of it: paths or glob patterns, relative to the repository's root; each must match."""
    archives: Mapping[str, str] | None = None
    """Zip -> the folder (relative to the benchmark's) that stands in for it once it is unpacked."""
    size_bytes: int | None = None
    """About how much is fetched."""
    by_hand: str = ""
    """What a person must do before it can be used: accept terms, fetch frames elsewhere."""
    videos: tuple[str, ...] = ()
    """Patterns of videos, files or folders of pictures, that come from elsewhere; one of them must match."""
    links: Callable[[Path], Iterable[Link]] | None = None
    """Folder -> the files that the dataset only links to."""
    split: str | None = None
    """The repository's name for the part that is asked; None: it has no splits, or one alone without a name."""


@dataclass(frozen=True)
class DatasetBenchmark:
    """A `Benchmark` whose samples are read from a dataset's folder: all that a module of `benchmarks/` declares."""

    card: Card
    source: DataSource
    elicitations: Mapping[str, Elicitation]
    scorers: Mapping[str, Scorer]
    protocols: Mapping[str, ProtocolSpec]
    read: Callable[[Path], Iterable[Sample]]
    """Folder -> samples in the published order. Raises `UserError` for a folder that holds something else."""
    submission: Callable[[Path], Iterable[SubmittedQuery]] | None = None
    """Folder -> what a challenge's server wants of each sample, where there is a server."""

    def samples(self, data_dir: str | None = None) -> Iterable[Sample]:
        """All samples; fetches the dataset first where no folder is given and none is there."""
        folder = ready_folder(self.card.name, self.source, data_dir)
        archives = self.source.archives or {}
        packed = [name for name, stand_in in archives.items() if not (folder / stand_in).is_dir()]
        if refused := Files(folder, packed).refused:
            what = f"zip members that are links or point outside, never read: {len(refused)} (first: {refused[0]})"
            print(printable(f"mpeval: {self.card.name}: {what}"), file=sys.stderr)
        return self.read(folder)


def data_home() -> Path:
    """The folder of all datasets: `MPEVAL_DATA`, else `~/.cache/mpeval/data`."""
    return Path(os.environ.get(HOME) or "~/.cache/mpeval/data").expanduser()


def folder_of(name: str, data_dir: str | None) -> Path:
    """Where a benchmark's data belong: `DIR/<benchmark>`."""
    return (Path(data_dir).expanduser() if data_dir else data_home()) / name


def data_revision(benchmark: Benchmark, data_dir: str | None) -> str:
    """Which data a run is on, for its identity: the commit fetched or a fingerprint, else what the card says."""
    if not isinstance(benchmark, DatasetBenchmark):
        return benchmark.card.revision
    return revision_of(benchmark.source.files, folder_of(benchmark.card.name, data_dir))


def missing_files(source: DataSource, folder: Path) -> list[str]:
    """Those of the source's files that the folder lacks, or its videos; an unpacked archive counts as there.

    Each pattern must match; where mpeval fetches the dataset, every file of the commit must be there too.
    """
    record = read_record(folder)
    unmatched = [
        pattern for pattern in source.files if not any(folder.glob(pattern)) and lacks(pattern, source, folder)
    ]
    unfetched = [path for path in record.files if lacks(path, source, folder)] if record else []
    no_videos = source.videos and not any(any(folder.glob(pattern)) for pattern in source.videos)
    elsewhere = [f"its videos ({source.videos[0]})"] if no_videos else []
    return list(dict.fromkeys([*unfetched, *unmatched, *elsewhere]))


def lacks(path: str, source: DataSource, folder: Path) -> bool:
    """Whether neither a file is there nor the folder that stands in for it."""
    stand_in = (source.archives or {}).get(path)
    return not (folder / path).exists() and not (stand_in and (folder / stand_in).is_dir())


def unfetched_links(source: DataSource, folder: Path) -> list[Link]:
    """The links whose files are not there, dead ones included. Needs the dataset's own files."""
    return [link for link in source.links(folder) if not (folder / link.path).is_file()] if source.links else []


def ready_folder(name: str, source: DataSource, data_dir: str | None) -> Path:
    """The benchmark's folder with everything in it.

    With data_dir nothing is fetched. Raises `UserError` that names the repository, the folder expected and the
    command where something is missing and cannot be had.
    """
    folder = folder_of(name, data_dir)
    missing = missing_files(source, folder)
    if data_dir is None and not source.by_hand and (missing or _has_new_links(source, folder)):
        from mpeval.data.prepare import prepare

        try:
            prepare(name, source, folder)
        except UserError as error:
            if missing_files(source, folder):
                raise
            # All but the linked files is there: a sample without its own fails alone.
            print(f"mpeval: {error}", file=sys.stderr)
        missing = missing_files(source, folder)
    if missing:
        raise UserError(missing_line(name, source, folder, missing))
    return folder


def _has_new_links(source: DataSource, folder: Path) -> bool:
    """Whether a link was never tried: one that is known to be dead is left to `mpeval data prepare`."""
    if source.links is None:
        return False
    dead = {each.url for each in read_dead_links(folder)}
    return any(link.url not in dead for link in unfetched_links(source, folder))


def missing_line(name: str, source: DataSource, folder: Path, missing: list[str], reason: str = "") -> str:
    """The one line about data that are not there."""
    files = ", ".join(missing[:NAMED]) + (f" and {len(missing) - NAMED} more files" if len(missing) > NAMED else "")
    hand = f"; by hand: {source.by_hand}" if source.by_hand else ""
    why = f" ({reason})" if reason else ""
    where = "" if folder.parent == data_home() else f" --data-dir {shlex.quote(str(folder.parent))}"
    return (
        f"{name} needs {files} of the Hub's dataset {source.repository} in {folder}{why}: "
        f"run 'mpeval data prepare {name}{where}', or put the published files there{hand}"
    )
