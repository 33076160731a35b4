"""`mpeval show`: pictures of predictions against targets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mpeval.errors import SampleError, UserError
from mpeval.text import printable

if TYPE_CHECKING:
    from PIL import Image

    from mpeval.media import Media
    from mpeval.store import Row
    from mpeval.types import Benchmark, SampleScore, Scorer

_LONGEST_ANSWER = 300
"""Characters of an answer that a caption shows."""


@click.command(name="show")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--sample", "sample_id", help="Show this sample alone.")
@click.option("--worst", default=16, show_default=True, type=click.IntRange(min=1), help="Show the N worst.")
@click.option("--data-dir", help="Where the benchmark's data lie, as for `mpeval run`.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to (default: RUN/pictures).")
def command(run: Path, sample_id: str | None, worst: int, data_dir: str | None, out: Path | None) -> int:
    """Draw predictions (numbered, red) against targets (green).

    RUN is a run's folder, or one above it that holds no other. Scores are those of the protocol that the run was made
    for. Exit status 1 where a picture could not be drawn.
    """
    from mpeval.scoring import benchmark_of, protocol_of
    from mpeval.store import Run, find_run

    folder = find_run(run)
    with Run.read(folder) as stored:
        manifest, rows = stored.manifest, list(stored.rows())
    benchmark = benchmark_of(manifest, rows)
    scorer = benchmark.scorers[protocol_of(benchmark, manifest.protocol).scorer]
    chosen = [_row(rows, sample_id, folder)] if sample_id is not None else _worst(rows, scorer, worst)
    if not chosen:
        raise UserError(f"{folder} has no samples yet: run its command again")
    media = _media(benchmark, {row.sample_id for row in chosen}, data_dir)
    out = out or folder / "pictures"
    missed = 0
    for row in chosen:
        try:
            _write(row, scorer, media.get(row.sample_id), out)
        except SampleError as error:
            missed += 1
            click.echo(printable(f"mpeval: sample '{row.sample_id}' not drawn: {error}"), err=True)
    if missed < len(chosen):
        click.echo(f"{len(chosen) - missed} samples drawn in {out.resolve()}")
    return 1 if missed else 0


def _row(rows: Sequence[Row], sample_id: str, folder: Path) -> Row:
    from mpeval.registry import unknown

    found = {row.sample_id: row for row in rows}
    if sample_id not in found:
        near = unknown("sample", sample_id, list(found)[:20])
        raise UserError(f"{folder}: {near}")
    return found[sample_id]


def _worst(rows: Sequence[Row], scorer: Scorer, count: int) -> list[Row]:
    """The rows with the lowest headline values: failed ones first, equals in published order."""

    def headline(row: Row) -> tuple[bool, float]:
        return not row.prediction.error, _score(row, scorer).values.get(scorer.headline, 1.0)

    return sorted(rows, key=headline)[:count]


def _score(row: Row, scorer: Scorer) -> SampleScore:
    return scorer.score(row.target, row.prediction, row.size or (0, 0))


def _media(benchmark: Benchmark, wanted: set[str], data_dir: str | None) -> dict[str, Media]:
    """Sample id -> media, for the samples that the benchmark still has."""
    found: dict[str, Media] = {}
    for sample in benchmark.samples(data_dir):
        if sample.id in wanted:
            found[sample.id] = sample.media
        if len(found) == len(wanted):
            break
    return found


def _write(row: Row, scorer: Scorer, media: Media | None, out: Path) -> None:
    """Draw one sample. Raises `SampleError` where its media are gone or are others by now."""
    picture = _drawn(row, _same(row, media), _caption(row, _score(row, scorer), scorer.headline))
    name = re.sub(r"[^\w.+-]+", "-", row.sample_id)[:80]
    try:
        out.mkdir(parents=True, exist_ok=True)
        picture.save(out / f"{row.position:05d}-{name}.png")
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror or error}; choose another --out") from error


def _same(row: Row, media: Media | None) -> Media:
    """The media that the run saw. Raises `SampleError` where they are not here."""
    if media is None:
        raise SampleError("the benchmark no longer has it; give the data of the run with --data-dir")
    kind = "video" if media.kind == "video" else "picture"
    try:
        changed = row.media_sha256 not in (None, media.sha256)
    except SampleError as error:
        raise SampleError(f"its {kind} is gone ({error}); say where it lies with --data-dir") from error
    if changed:
        raise SampleError(f"its {kind} has changed since the run; give the data of the run with --data-dir")
    return media


def _drawn(row: Row, media: Media, caption: str) -> Image.Image:
    from mpeval.contact_sheet import contact_sheet
    from mpeval.drawing import draw

    if media.kind == "image":
        return draw(media.pixels()[0], row.prediction.points, row.target, caption)
    return contact_sheet(media, row.prediction.points, row.target, caption)


def _caption(row: Row, score: SampleScore, headline: str) -> str:
    lines = [f"{row.sample_id}: {row.prompt}"]
    if row.prediction.text:
        text = row.prediction.text
        lines.append("answer: " + (text if len(text) <= _LONGEST_ANSWER else f"{text[:_LONGEST_ANSWER]} ..."))
    if row.prediction.error:
        lines.append(f"failed: {row.prediction.error}")
    elif headline in score.values:
        lines.append(f"{headline} {score.values[headline]:.3f} ({score.outcome})")
    return "\n".join(lines)
