"""`mpeval show`: pictures of predictions against targets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from mpeval.errors import SampleError, UserError
from mpeval.text import printable
from mpeval.types import GroupScorer, TrackTarget

if TYPE_CHECKING:
    from PIL import Image

    from mpeval.media import Media
    from mpeval.store import Row, Run
    from mpeval.types import Benchmark, Scorer

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
    for; where it scores several queries as one prediction, a sample's score depends on the others, and its caption says
    so. Exit status 1 where a picture could not be drawn.
    """
    from mpeval.scoring import benchmark_of, protocol_of, with_masks
    from mpeval.store import Run, find_run

    folder = find_run(run)
    with Run.read(folder) as stored:
        rows, _ = with_masks(stored, list(stored.rows()))
        benchmark = benchmark_of(stored.manifest, rows)
        scorer = benchmark.scorers[protocol_of(benchmark, stored.manifest.protocol).scorer]
        if sample_id is not None:
            row = _row(rows, sample_id, folder)
            chosen = [each for each in _scored(stored, _group_of(row, rows), scorer) if each.row is row]
        else:
            chosen = _worst(_scored(stored, rows, scorer), worst)
    if not chosen:
        raise UserError(f"{folder} has no samples yet: run its command again")
    media = _media(benchmark, {each.row.sample_id for each in chosen}, data_dir)
    out = out or folder / "pictures"
    missed = 0
    for each in chosen:
        try:
            _write(each, media.get(each.row.sample_id), out)
        except SampleError as error:
            missed += 1
            click.echo(printable(f"mpeval: sample '{each.row.sample_id}' not drawn: {error}"), err=True)
    if missed < len(chosen):
        click.echo(f"{len(chosen) - missed} samples drawn in {out.resolve()}")
    return 1 if missed else 0


class Scored(NamedTuple):
    """A row, and what its answer is worth."""

    row: Row
    value: float | None
    """Of the headline metric; None where it does not apply."""
    says: str
    """The value in words."""


def _row(rows: Sequence[Row], sample_id: str, folder: Path) -> Row:
    from mpeval.registry import unknown

    found = {row.sample_id: row for row in rows}
    if sample_id not in found:
        near = get_close_matches(sample_id, found, n=1, cutoff=0.5) or list(found)[:20]
        raise UserError(f"{folder}: {unknown('sample', sample_id, near)}")
    return found[sample_id]


def _group_of(row: Row, rows: Sequence[Row]) -> list[Row]:
    """The rows whose answers may be scored as one prediction with this one's, itself included."""
    name = _group(row)
    return [each for each in rows if each is row or (name is not None and _group(each) == name)]


def _group(row: Row) -> str | None:
    target = row.target
    return target.group.name if isinstance(target, TrackTarget) and target.group else None


def _scored(run: Run, rows: Sequence[Row], scorer: Scorer) -> list[Scored]:
    """The rows with their values of what the headline averages."""
    from mpeval.scoring import of_sample, sample_scores

    metric = of_sample(scorer.headline)
    found = []
    for row, score in zip(rows, sample_scores(run, rows, [scorer])[0]):
        value = score.values.get(metric)
        says = "" if value is None else f"{metric} {value:.3f} ({score.outcome})"
        if says and isinstance(scorer, GroupScorer) and _group(row):
            says += f", scored together with the other queries of {_group(row)}"
        found.append(Scored(row, value, says))
    return found


def _worst(scored: Sequence[Scored], count: int) -> list[Scored]:
    """Those with the lowest values: failed ones first, equals in published order."""

    def badness(each: Scored) -> tuple[bool, float]:
        return not each.row.prediction.error, 1.0 if each.value is None else each.value

    return sorted(scored, key=badness)[:count]


def _media(benchmark: Benchmark, wanted: set[str], data_dir: str | None) -> dict[str, Media]:
    """Sample id -> media, for the samples that the benchmark still has."""
    found: dict[str, Media] = {}
    for sample in benchmark.samples(data_dir):
        if sample.id in wanted:
            found[sample.id] = sample.media
        if len(found) == len(wanted):
            break
    return found


def _write(scored: Scored, media: Media | None, out: Path) -> None:
    """Draw one sample. Raises `SampleError` where its media are gone or are others by now."""
    row = scored.row
    picture = _drawn(row, _same(row, media), _caption(scored))
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


def _caption(scored: Scored) -> str:
    row = scored.row
    lines = [f"{row.sample_id}: {row.prompt}"]
    if row.prediction.text:
        text = row.prediction.text
        lines.append("answer: " + (text if len(text) <= _LONGEST_ANSWER else f"{text[:_LONGEST_ANSWER]} ..."))
    if row.prediction.error:
        lines.append(f"failed: {row.prediction.error}")
    elif scored.says:
        lines.append(scored.says)
    return "\n".join(lines)
