"""`mpeval segment`: make masks of a run's points, so that `mpeval score` can tell J&F."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from msgspec import structs

from mpeval import report
from mpeval.errors import SampleError, UserError
from mpeval.media import Media
from mpeval.segment.load import SEGMENTERS, load_segmenter
from mpeval.segment.prompts import point_prompts
from mpeval.segment.store import MaskStore, answer_key, content_key
from mpeval.store import Row, Run, find_runs
from mpeval.text import printable
from mpeval.types import Segmenter, TrackTarget


@click.command(name="segment")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--segmenter", required=True, metavar="S", help=f"{', '.join(SEGMENTERS)}; sam2:DIR: weights in DIR.")
@click.option("--data-dir", metavar="DIR", type=click.Path(), help="Where datasets lie, as DIR/<benchmark>.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
def command(runs: tuple[Path, ...], segmenter: str, data_dir: str | None, device: str) -> int:
    """Segment what tracking runs point at.

    RUNS are run folders, or folders above them. Masks are stored beside each run; those that are there already,
    of the same points by the same segmenter, are not made again. 'mpeval score' then adds J&F.
    """
    paths = [path for path in find_runs(runs) if _has_tracks(path)]
    if not paths:
        raise UserError(f"{', '.join(map(str, runs))}: no tracks to segment, give a run on a tracking benchmark")
    loaded = load_segmenter(segmenter, device)
    failed = sum(_segment(path, loaded, data_dir) for path in paths)
    return 1 if failed else 0


def _has_tracks(path: Path) -> bool:
    with Run.read(path) as run:
        return any(isinstance(row.target, TrackTarget) for row in run.rows())


def _segment(path: Path, segmenter: Segmenter, data_dir: str | None) -> int:
    """Segment one run; returns how many samples failed."""
    failed = 0
    with Run.read(path) as run, MaskStore.write(path) as store:
        rows = [_without_truth(row) for row in run.rows()]
        media = _media(run, rows, data_dir)
        store.begin(segmenter.name, segmenter.identity())
        answers = [row for row in rows if row.prediction.error is None]
        with report.progress(f"{segmenter.name} on {path}", len(answers)) as advance:
            for row in answers:
                try:
                    _segment_row(row, media.get(row.sample_id), store, segmenter)
                except SampleError as error:
                    failed += 1
                    print(printable(f"mpeval: sample '{row.sample_id}' not segmented: {error}"), file=sys.stderr)
                advance(1)
    if failed:
        told = f"mpeval: {failed} of {len(answers)} samples of {path} NOT segmented; the same command tries them again"
        print(told, file=sys.stderr)
    return failed


def _without_truth(row: Row) -> Row:
    """The true masks of a whole run take much memory, and a segmenter never looks at them."""
    if not isinstance(row.target, TrackTarget):
        return row
    target, answer = TrackTarget((), row.target.fps), structs.replace(row.prediction, masks=None)
    return structs.replace(row, target=target, prediction=answer)


def _media(run: Run, rows: list[Row], data_dir: str | None) -> dict[str, Media]:
    """Each sample's media, from the benchmark: a run does not keep them."""
    from mpeval.scoring import benchmark_of

    return {sample.id: sample.media for sample in benchmark_of(run.manifest, rows).samples(data_dir)}


def _segment_row(row: Row, media: Media | None, store: MaskStore, segmenter: Segmenter) -> None:
    """Raises `SampleError` where the clip is gone, has changed, or cannot be segmented."""
    if media is None:
        raise SampleError("the benchmark no longer has it; give the data of the run with --data-dir")
    if not isinstance(row.target, TrackTarget):
        raise SampleError("its target is no track")
    if media.sha256 != row.media_sha256:
        raise SampleError("its video has changed since the run; give the data of the run with --data-dir")
    prompts = point_prompts(row.prediction.points, row.target.fps, media.clip.frame_count, media.clip.size)
    content = content_key(segmenter.identity(), media.sha256, media.span, prompts)
    answer = answer_key(row.prediction.points)
    if not store.has(row.sample_id, segmenter.name, content, answer):
        store.put(row.sample_id, segmenter.name, content, answer, segmenter.segment(media.clip, prompts))
