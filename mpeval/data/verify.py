"""Checking a dataset that is there: every file, every row, every picture."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from mpeval import report
from mpeval.data.archive import Archive
from mpeval.data.download import in_parallel
from mpeval.data.faults import target_fault
from mpeval.data.record import digest_of, read_dead_links, read_record
from mpeval.data.source import DatasetBenchmark, unfetched_links
from mpeval.errors import SampleError
from mpeval.media import Media
from mpeval.types import Card, Sample, Target, UnreadableTarget

Kind = Literal["changed file", "refused member", "dead link", "count", "duplicate id", "row", "picture", "target"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    kind: Kind
    where: str
    """A file, or a sample's id."""
    what: str


def verify(benchmark: DatasetBenchmark, folder: Path) -> list[Finding]:
    """All that is wrong with a dataset whose files are there, with a progress bar over its samples.

    Raises `UserError` where the rows cannot be read at all.
    """
    samples = list(benchmark.read(folder))
    return [*_files(benchmark, folder), *_links(benchmark, folder), *verify_samples(benchmark.card, samples)]


def verify_samples(card: Card, samples: Sequence[Sample]) -> list[Finding]:
    """All that is wrong with a benchmark's samples, with a progress bar: their number, ids, pictures and targets."""
    found = []
    if card.size not in (None, len(samples)):
        found.append(Finding("count", card.name, f"{len(samples)} samples, the benchmark's card says {card.size}"))
    counts = Counter(sample.id for sample in samples)
    found += [Finding("duplicate id", each, f"{count} samples have it") for each, count in counts.items() if count > 1]
    with report.progress(f"{card.name}: checking samples", len(samples)) as advance:
        return found + _samples(samples, advance)


def _files(benchmark: DatasetBenchmark, folder: Path) -> Iterator[Finding]:
    """Fetched files that changed since, and members of zips that are never read."""
    record = read_record(folder)
    for path, published in (record.files if record else {}).items():
        file = folder / path
        if file.is_file() and digest_of(file, published.digest) != published.digest:
            yield Finding("changed file", path, f"is not what {benchmark.source.repository} publishes")
    for name in benchmark.source.archives or {}:
        if (folder / name).is_file():
            for member in Archive(folder / name).refused:
                yield Finding("refused member", f"{name}: {member}", "is a link, or points out of the archive")


def _links(benchmark: DatasetBenchmark, folder: Path) -> Iterator[Finding]:
    reasons = {each.url: each.reason for each in read_dead_links(folder)}
    for link in unfetched_links(benchmark.source, folder):
        yield Finding("dead link", link.path, f"{link.url}: {reasons.get(link.url, 'not fetched yet')}")


def _samples(samples: Sequence[Sample], progress: Callable[[int], None]) -> list[Finding]:
    """Rows that cannot be used, and, decoding each picture once, what is wrong with pictures and targets."""
    found: dict[int, Finding] = {}
    pictures: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        # Bytes have no name to know them by again.
        names = [str(each) for each in sample.media.sources if not isinstance(each, bytes)]
        key = f"{' '.join(names)} {sample.media.span or ''}" if names else sample.id
        pictures.setdefault(key, []).append(index)

    def look(indices: list[int]) -> dict[int, Finding]:
        findings: dict[int, Finding] = {}
        targets: dict[int, Target] = {}
        for index in indices:
            target = samples[index].target  # once: it may have to be read
            if isinstance(target, UnreadableTarget):
                findings[index] = Finding("row", samples[index].id, target.reason)
            else:
                targets[index] = target
        if not targets:
            return findings
        media = samples[next(iter(targets))].media
        try:
            size = _decoded_size(media)
        except Exception as error:  # as in a run, whatever a decoder raises is this sample's
            what = str(error) if isinstance(error, SampleError) else f"{type(error).__name__}: {error}"
            return findings | {index: Finding("picture", samples[index].id, what) for index in targets}
        cut = media.clip.fault if media.kind == "video" else None
        faults = {index: cut or target_fault(target, size) for index, target in targets.items()}
        return findings | {
            index: Finding("target", samples[index].id, fault) for index, fault in faults.items() if fault
        }

    for indices, findings in in_parallel(look, list(pictures.values()), min(8, os.cpu_count() or 1)):
        found |= findings
        progress(len(indices))
    return [found[index] for index in sorted(found)]


def _decoded_size(media: Media) -> tuple[int, int]:
    """Width, height of pictures or a video of which everything was decoded."""
    if media.kind != "video":
        height, width = media.pixels()[0].shape[:2]
        return width, height
    video = media.clip.video
    for _ in video.pixels(range(len(video.starts))):
        pass  # one frame at a time: a video does not fit in memory
    return video.size
