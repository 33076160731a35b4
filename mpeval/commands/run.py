"""`mpeval run`: ask models, store what they answer, score it."""

from __future__ import annotations

import gc
import os
import platform
import re
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from mpeval import __version__, registry, report
from mpeval.data.source import data_revision
from mpeval.disk import check_writable
from mpeval.errors import UserError
from mpeval.manifest import SCHEMA, Manifest, Session, Shard, run_folder, run_identity
from mpeval.own_data import is_own
from mpeval.registry import ModelEntry, ModelOptions
from mpeval.runner import Positioned, answer, select
from mpeval.scoring import Result, protocol_of, score
from mpeval.sharding import part
from mpeval.store import Run
from mpeval.text import printable
from mpeval.types import Benchmark, Elicitation, ModelAdapter, ProtocolSpec

from .dry_run import dry_run


@dataclass(frozen=True)
class Settings:
    """What holds for every model and benchmark of one command."""

    options: ModelOptions
    batch_size: int | None
    """None: auto."""
    out: Path
    max_crops: int | None
    elicitation: str | None
    data_dir: str | None
    limit: int | None
    shard: tuple[int, int] | None
    """Number, from 1, and how many there are."""
    seed: int
    fresh: bool


@dataclass(frozen=True)
class Task:
    """A benchmark, how it is asked and scored, and the samples drawn."""

    benchmark: Benchmark
    protocol: ProtocolSpec
    elicitations: Sequence[Elicitation]
    """Ways of asking, the best first; a model takes the first that it can follow."""
    samples: Sequence[Positioned]
    shard: Shard | None
    revision: str
    """Of the data that are really here."""


class BatchSize(click.ParamType):
    """`auto` (None) or a positive number."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value in (None, "auto"):
            return None
        if not re.fullmatch("[0-9]{1,6}", str(value)) or int(value) < 1:
            self.fail(f"{value!r} is neither 'auto' nor a number from 1 to 999999", param, ctx)
        return int(value)


class ShardOfN(click.ParamType):
    """`I/N`, with I from 1 to N."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", value)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            self.fail(f"{value!r} is no shard: write 2/4 for the second of four", param, ctx)
        return int(found[1]), int(found[2])


@click.command(name="run")
@click.option("--model", "models", metavar="M[,M]", required=True, help="Models: see 'mpeval list models'.")
@click.option("--suite", metavar="S", help="All benchmarks of a suite: see 'mpeval list suites'.")
@click.option("--benchmark", "benchmarks", metavar="B[,B]", help="Benchmarks, or JSONL files, in place of a suite.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="N samples of each, stratified by slice.")
@click.option("--shard", type=ShardOfN(), help="Part I of N alone, in a folder of its own: 'mpeval merge' joins them.")
@click.option("--dry-run", "dry", is_flag=True, help="Say what would be run and what is missing; run nothing.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
@click.option("--batch-size", type=BatchSize(), default="auto", show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto")
@click.option("--max-crops", type=click.IntRange(min=1), metavar="N", help="Image tiles at most.")
@click.option("--protocol", metavar="P", help="Default: each benchmark's first.")
@click.option("--elicitation", metavar="E", help="Another way of asking than the protocol's: see 'mpeval list'.")
@click.option("--data-dir", metavar="DIR", type=click.Path(), help="Where datasets lie, as DIR/<benchmark>.")
@click.option("--semantics", type=click.Choice(["native", "hf"]), default="native", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="For drawing samples and for sampling models.")
@click.option("--fresh", is_flag=True, help="Throw stored answers of these runs away and begin again.")
@click.option("--json", "as_json", is_flag=True, help="Print results as JSON.")
def command(
    models: str,
    suite: str | None,
    benchmarks: str | None,
    limit: int | None,
    shard: tuple[int, int] | None,
    dry: bool,
    out: Path,
    batch_size: int | None,
    device: str,
    dtype: str,
    max_crops: int | None,
    protocol: str | None,
    elicitation: str | None,
    data_dir: str | None,
    semantics: Literal["native", "hf"],
    seed: int,
    fresh: bool,
    as_json: bool,
) -> int:
    """Run models over a suite, score them and print a table.

    A run that was stopped, or in which samples failed, goes on where it was: give the same command again.
    """
    options = ModelOptions(device, dtype, semantics)
    entries = [registry.resolve_model(spec) for spec in _split(models)]
    chosen = [(each, protocol_of(each, protocol)) for each in _benchmarks(suite, benchmarks)]
    if dry:
        plans = [(each, spec, _elicitations(each, spec, elicitation, max_crops)[0]) for each, spec in chosen]
        return dry_run(entries, plans, options, limit, shard, seed, data_dir, as_json)

    check_writable(out)
    settings = Settings(options, batch_size, out, max_crops, elicitation, data_dir, limit, shard, seed, fresh)
    tasks = [_task(each, spec, settings) for each, spec in chosen]
    light = _check_models(entries, options)
    results: list[Result] = []
    failed = 0
    for entry, argument in entries:
        adapter = light.get((entry.name, argument)) or entry.load(argument, options)
        taken = _taken(adapter, tasks, whole_suite=suite is not None)
        try:
            for task in taken:
                result, failed_here = _run(adapter, task, settings)
                results.append(result)
                failed += failed_here
        finally:  # a run that was stopped has cost something too
            _tell_cost(adapter)
        del adapter
        gc.collect()  # before the next model's weights
    _print(results, suite, as_json)
    return 1 if failed else 0


def _tell_cost(adapter: ModelAdapter) -> None:
    """What a paid model was asked for; nothing of other models."""
    if (summary := getattr(adapter, "summary", None)) and (line := summary()):
        print(f"mpeval: {line}", file=sys.stderr)


def _check_models(
    entries: Sequence[tuple[ModelEntry, str | None]], options: ModelOptions
) -> dict[tuple[str, str | None], ModelAdapter]:
    """Raise `UserError` for a model whose files are missing, before the first one has run for hours.

    Returns the models without weights: loading them is the check.
    """
    light = {}
    for entry, argument in entries:
        if entry.weight_bytes is None:
            light[entry.name, argument] = entry.load(argument, options)
        else:
            entry.weight_bytes(argument, options)
    return light


def _run(adapter: ModelAdapter, task: Task, settings: Settings) -> tuple[Result, int]:
    """One model on one benchmark: its result, and how many samples failed."""
    elicitation = _possible(task.elicitations, adapter, task.benchmark)
    card = msgspec.structs.replace(task.benchmark.card, revision=task.revision)
    identity = run_identity(adapter, card, elicitation, settings.seed)
    session = Session(
        started=_now(),
        command=shlex.join(["mpeval", *sys.argv[1:]]),
        versions=_versions(),
        device=str(getattr(adapter, "device", settings.options.device)),
        dtype=str(getattr(adapter, "dtype", settings.options.dtype)),
        batch_size=settings.batch_size or 0,
        limit=settings.limit,
        own_file=_own_file(task.benchmark),
    )
    manifest = Manifest(
        schema=SCHEMA,
        model=adapter.name,
        benchmark=task.benchmark.card.name,
        protocol=task.protocol.name,
        identity=identity,
        expected=len(task.samples),
        sessions=(session,),
        shard=task.shard,
    )
    with Run.write(run_folder(settings.out, identity, task.shard), manifest, settings.fresh) as run:
        done = run.done()
        already = sum(sample.id in done for _, sample in task.samples)
        of = f", shard {task.shard}" if task.shard else ""
        label = printable(f"{adapter.name} on {task.benchmark.card.name}{of}")
        with report.progress(label, len(task.samples), already) as advance:
            outcome = answer(
                adapter,
                task.samples,
                elicitation,
                run,
                seed=settings.seed,
                batch_size=settings.batch_size,
                progress=advance,
            )
        run.end_session(_now(), outcome.answered)
        if outcome.interrupted:
            stored = already + outcome.answered
            print(
                f"mpeval: stopped {label} with {stored} of {len(task.samples)} samples stored in {run.path}; "
                "the same command goes on from there",
                file=sys.stderr,
            )
            sys.exit(130)
        return score(run, task.protocol.name)[0], outcome.failed


def _own_file(benchmark: Benchmark) -> str | None:
    """Where a user's own data lie: `mpeval show` finds the pictures through it."""
    return str(Path(benchmark.card.source).absolute()) if is_own(benchmark.card.name) else None


def _task(benchmark: Benchmark, protocol: ProtocolSpec, settings: Settings) -> Task:
    elicitations = _elicitations(benchmark, protocol, settings.elicitation, settings.max_crops)
    samples = select(benchmark.samples(settings.data_dir), settings.limit, settings.seed)
    samples, shard = part(samples, *settings.shard) if settings.shard else (samples, None)
    return Task(benchmark, protocol, elicitations, samples, shard, data_revision(benchmark, settings.data_dir))


def _elicitations(
    benchmark: Benchmark, protocol: ProtocolSpec, name: str | None, max_crops: int | None
) -> list[Elicitation]:
    """Ways of asking, the best first: the named one alone, else the protocol's. Raises `UserError` for an unknown."""
    known = benchmark.elicitations
    names = [protocol.elicitation, *protocol.also] if name is None else [name]
    if names[0] not in known:
        raise registry.unknown(f"elicitation of {benchmark.card.name}", names[0], known)
    found = [known[each] for each in names]
    return found if max_crops is None else [msgspec.structs.replace(each, max_crops=max_crops) for each in found]


def _benchmarks(suite: str | None, names: str | None) -> list[Benchmark]:
    if (suite is None) == (names is None):
        raise UserError("give either --suite or --benchmark ('mpeval list' shows what there is)")
    if names is not None:
        chosen = [registry.benchmark(name) for name in _split(names)]
        twice = [name for name, times in Counter(each.card.name for each in chosen).items() if times > 1]
        if twice:
            raise UserError(f"two files are called {twice[0]}, and a table could not tell them apart: rename one")
        return chosen
    assert suite is not None
    found, broken = registry.suite(suite)
    for plugin in broken:
        print(f"mpeval: {plugin}", file=sys.stderr)
    return found


def _split(names: str) -> list[str]:
    """Comma-separated names, each once."""
    found = [name.strip() for name in names.split(",") if name.strip()]
    if not found:
        raise UserError("an empty list of names: separate names by commas")
    return list(dict.fromkeys(found))


def _taken(adapter: ModelAdapter, tasks: Sequence[Task], whole_suite: bool) -> list[Task]:
    """The tasks on media that the model takes. Raises `UserError` for others, unless they belong to a suite alone."""
    known = adapter.capabilities.media
    taken = [task for task in tasks if task.benchmark.card.media in known]
    others = [task.benchmark.card for task in tasks if task.benchmark.card.media not in known]
    takes = f"{adapter.name} takes {', '.join(known)}"
    if others and not (taken and whole_suite):
        raise UserError(f"{takes}, but {others[0].name} is {others[0].media}: leave one of them out")
    if others:
        print(f"mpeval: {takes}; left out: {', '.join(card.name for card in others)}", file=sys.stderr)
    return taken


def _possible(elicitations: Sequence[Elicitation], adapter: ModelAdapter, benchmark: Benchmark) -> Elicitation:
    """The first elicitation that the model can follow; the identity must say how it was really asked."""
    for elicitation in elicitations:
        if not elicitation.force_single_point or adapter.capabilities.force_single_point:
            return elicitation
    print(
        f"mpeval: {adapter.name} is not forced to one point, as {benchmark.card.name} wants: asked freely",
        file=sys.stderr,
    )
    return msgspec.structs.replace(elicitations[0], force_single_point=False)


def _print(results: Sequence[Result], suite: str | None, as_json: bool) -> None:
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
        return
    print("Headline metrics in %, with 95 % intervals and sample counts")
    report.print_table(report.comparison_table(results, suite))
    for line in report.remarks(results) + report.departures(results):
        print(line)
    root = os.path.commonpath([result.path for result in results])
    print(f"Runs: {root}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _versions() -> dict[str, str]:
    """Versions of what may change an answer, as far as it is installed."""
    found = {"mpeval": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in ("torch", "numpy", "pillow", "tokenizers", "safetensors", "pyarrow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
