"""`mpeval export`: a run as JSON lines or Parquet, as a challenge's archive, or its scores for the Hub."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from mpeval.errors import UserError
from mpeval.store import Row, Run, find_run

FORMS = ("jsonl", "parquet", "submission", "hf", "hf-results")
FOR_A_FILE = ("parquet", "submission")


@click.command(name="export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMS), default="jsonl", show_default=True)
@click.option("--to", type=click.Path(path_type=Path), metavar="FILE", help="Else standard output.")
@click.option("--data-dir", metavar="DIR", type=click.Path(), help="Where datasets lie; only a submission needs it.")
@click.option("--protocol", metavar="P", help="For hf: a protocol or 'all'. Default: the run's own.")
@click.option("--source-url", metavar="URL", help="For hf: where the run or its page can be seen.")
@click.option("--task-id", metavar="ID", help="For hf-results: the task in the dataset's eval.yaml on the Hub.")
def command(
    run: Path,
    form: str,
    to: Path | None,
    data_dir: str | None,
    protocol: str | None,
    source_url: str | None,
    task_id: str | None,
) -> None:
    """Write a run as JSON lines or Parquet, the archive of its masks that a challenge's server scores, or its scores
    for the Hub.

    RUN is a run's folder, or one above it that holds no other.
    One row a sample: id, position, media hash, size, prompt, target, slices and prediction with its raw text. In
    Parquet, target, slices and points are JSON strings.
    With hf: a model card's metadata with the scores, added to the card where --to names one. With hf-results: a file
    for a model's .eval_results/. Both want a run of the full split.
    """
    if form in FOR_A_FILE and to is None:
        raise UserError(f"{form} is not for a terminal: give a file with --to FILE")
    _check_options(form, data_dir, protocol, source_url, task_id)
    with Run.read(find_run(run)) as opened:
        if form == "submission":
            assert to is not None
            _write_submission(opened, to, data_dir)
            return
        try:
            if form == "hf":
                from mpeval.model_card import card_text

                there = to.read_bytes().decode("utf-8-sig") if to and to.exists() else ""
                _write_text(card_text(opened, protocol, source_url, there), to)
            elif form == "hf-results":
                from mpeval.model_card import results_file

                _write_text(results_file(opened, protocol, source_url, str(task_id)), to)
            elif form == "parquet":
                assert to is not None
                with _in_one_step(to) as partial:
                    _write_parquet(opened, partial)
            elif to is None:
                sys.stdout.buffer.writelines(_lines(opened))
                sys.stdout.flush()
            else:
                with _in_one_step(to) as partial, partial.open("wb") as file:
                    file.writelines(_lines(opened))
        except BrokenPipeError:  # `mpeval export RUN | head`: click ends the process without a word
            raise
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"cannot write {to}: {reason}") from error


def _check_options(
    form: str, data_dir: str | None, protocol: str | None, source_url: str | None, task_id: str | None
) -> None:
    if form != "submission" and data_dir is not None:
        raise UserError(f"--data-dir is for --format submission, not for {form}")
    if form not in ("hf", "hf-results") and (protocol or source_url):
        raise UserError(f"--protocol and --source-url are for --format hf and hf-results, not for {form}")
    if form == "hf-results" and not task_id:
        raise UserError("hf-results names a task of the dataset's eval.yaml on the Hub: give --task-id ID")
    if form != "hf-results" and task_id:
        raise UserError(f"--task-id is for --format hf-results, not for {form}")
    if source_url is not None and not source_url.startswith(("https://", "http://")):
        raise UserError(f"--source-url {source_url} is no address: it begins with https://")


def _write_text(text: str, to: Path | None) -> None:
    if to is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    with _in_one_step(to) as partial:
        partial.write_text(text if text.endswith("\n") else f"{text}\n", "utf-8", newline="")


@contextmanager
def _in_one_step(to: Path) -> Iterator[Path]:
    """Where to write what then takes the file's place: neither a half of it is left, nor one of what was there."""
    partial = to.with_name(f"{to.name}.part")
    try:
        yield partial
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)


def _write_submission(run: Run, to: Path, data_dir: str | None) -> None:
    from mpeval import registry
    from mpeval.data.source import DatasetBenchmark, ready_folder
    from mpeval.submission import write_submission

    name = run.manifest.benchmark
    benchmark = registry.benchmark(name)
    if not isinstance(benchmark, DatasetBenchmark) or benchmark.submission is None:
        raise UserError(f"{name} has no challenge to submit to: it is scored here, by 'mpeval score'")
    failed = write_submission(run, benchmark.submission(ready_folder(name, benchmark.source, data_dir)), to)
    if failed:
        print(f"mpeval: {failed} samples failed: their masks are empty in {to}", file=sys.stderr)


def _lines(run: Run) -> Iterator[bytes]:
    for row in run.rows():
        yield msgspec.json.encode(row) + b"\n"


def _write_parquet(run: Run, to: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    optional = {
        "form": pyarrow.string(),
        "prompt_tokens": pyarrow.int64(),
        "generated_tokens": pyarrow.int64(),
        "seconds": pyarrow.float64(),
        "error": pyarrow.string(),
    }
    schema = pyarrow.schema(
        [
            ("sample_id", pyarrow.string()),
            ("position", pyarrow.int64()),
            ("media_sha256", pyarrow.string()),
            ("width", pyarrow.int64()),
            ("height", pyarrow.int64()),
            ("prompt", pyarrow.string()),
            ("target", pyarrow.string()),
            ("slices", pyarrow.string()),
            ("text", pyarrow.string()),
            ("points", pyarrow.string()),
            *optional.items(),
        ]
    )
    rows = [_flat(row, list(optional)) for row in run.rows()]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), to)


def _flat(row: Row, optional: list[str]) -> dict[str, object]:
    width, height = row.size or (None, None)
    return {
        "sample_id": row.sample_id,
        "position": row.position,
        "media_sha256": row.media_sha256,
        "width": width,
        "height": height,
        "prompt": row.prompt,
        "target": msgspec.json.encode(row.target).decode(),
        "slices": msgspec.json.encode(row.slices).decode(),
        "text": row.prediction.text,
        "points": msgspec.json.encode(row.prediction.points).decode(),
        **{name: getattr(row.prediction, name) for name in optional},
    }
