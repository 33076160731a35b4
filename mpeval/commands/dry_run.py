"""`mpeval run --dry-run`: what would be run, what is missing, what memory it takes. Loads no weights, sends nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import msgspec

from mpeval.data.rows import LazySample
from mpeval.data.source import DatasetBenchmark, data_home
from mpeval.errors import SampleError, UserError
from mpeval.registry import ModelEntry, ModelOptions
from mpeval.runner import PREFETCH_BYTES, Positioned, select
from mpeval.sharding import part
from mpeval.text import printable
from mpeval.types import Benchmark, Elicitation, ProtocolSpec, Sample, UnreadableTarget

LOOKED_AT = 100
"""Samples whose pictures' headers are read for the memory estimate."""


class ModelPlan(msgspec.Struct, frozen=True):
    name: str
    weight_bytes: int | None
    """On the device; None: the model has no weights, or they are not here."""
    weights_missing: bool
    """The weights are not on this machine: `run` will fetch them."""


class BenchmarkPlan(msgspec.Struct, frozen=True):
    name: str
    protocol: str
    elicitation: str
    selected: int
    total: int
    card_size: int | None
    first_prompt: str | None
    missing: list[str]
    """What is not there: the dataset, or single files."""
    picture_bytes: int
    """The largest picture seen, decoded."""


class Plan(msgspec.Struct, frozen=True):
    models: list[ModelPlan]
    benchmarks: list[BenchmarkPlan]
    prefetch_bytes: int
    """Host memory for prepared samples, at most."""


def dry_run(
    models: Sequence[tuple[ModelEntry, str | None]],
    chosen: Sequence[tuple[Benchmark, ProtocolSpec, Elicitation]],
    options: ModelOptions,
    limit: int | None,
    shard: tuple[int, int] | None,
    seed: int,
    data_dir: str | None,
    as_json: bool,
) -> int:
    """Print the plan. Returns the exit status: 1 where data are missing."""
    plan = Plan(
        [_model(entry, argument, options) for entry, argument in models],
        [_plan(each, protocol, elicitation, limit, shard, seed, data_dir) for each, protocol, elicitation in chosen],
        PREFETCH_BYTES,
    )
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")
    else:
        print("\n".join(map(printable, _lines(plan))))
    return 1 if any(each.missing for each in plan.benchmarks) else 0


def _model(entry: ModelEntry, argument: str | None, options: ModelOptions) -> ModelPlan:
    """Raises `UserError` for what a run would stop at: files that are damaged, settings that cannot be."""
    if entry.weight_bytes is None:
        entry.load(argument, options)  # without weights this is light, and the check
    size = entry.weight_bytes(argument, options) if entry.weight_bytes else None
    return ModelPlan(entry.name, size, weights_missing=entry.weight_bytes is not None and size is None)


def _plan(
    benchmark: Benchmark,
    protocol: ProtocolSpec,
    elicitation: Elicitation,
    limit: int | None,
    shard: tuple[int, int] | None,
    seed: int,
    data_dir: str | None,
) -> BenchmarkPlan:
    card = benchmark.card
    missing: list[str] = []
    everything: list[Positioned] = []
    if isinstance(benchmark, DatasetBenchmark):
        data_dir = data_dir or str(data_home())  # of a folder that is given nothing is fetched
    try:
        everything = select(benchmark.samples(data_dir))
    except UserError as error:
        missing.append(str(error))
    selected = select((sample for _, sample in everything), limit, seed)
    if shard:
        selected, _ = part(selected, *shard)
    for _, sample in selected:
        if reason := _unusable(sample):
            missing.append(f"{sample.id}: {reason}")
        missing += [str(each) for each in sample.media.sources if isinstance(each, Path) and not each.exists()]
    return BenchmarkPlan(
        card.name,
        protocol.name,
        elicitation.name,
        len(selected),
        len(everything),
        card.size,
        next((_prompt(elicitation, sample) for _, sample in selected), None),
        missing,
        max((_decoded_bytes(each) for each in islice(selected, LOOKED_AT)), default=0),
    )


def _unusable(sample: Sample) -> str | None:
    """What is wrong with a row. Targets that are read when they are asked for are left alone: reading masks takes long,
    and 'mpeval data verify' does it."""
    if isinstance(sample, LazySample) or not isinstance(sample.target, UnreadableTarget):
        return None
    return sample.target.reason


def _prompt(elicitation: Elicitation, sample: Sample) -> str:
    try:
        return elicitation.prompt(sample)
    except SampleError as error:
        return f"(none: {error})"


def _decoded_bytes(positioned: Positioned) -> int:
    sample = positioned[1]
    media = sample.media
    if _unusable(sample):
        return 0
    try:
        width, height = media.size
    except (SampleError, OSError):
        return 0  # counted as missing, or its row's error in the run
    return 3 * width * height * max(len(media.sources), len(media.frames))


def _lines(plan: Plan) -> list[str]:
    lines = []
    for model in plan.models:
        weights = "no weights" if model.weight_bytes is None else f"{_size(model.weight_bytes)} of weights"
        if model.weights_missing:
            weights = "its weights are not on this machine; a run fetches them from the Hub first"
        lines.append(f"{model.name}: {weights}")
    for each in plan.benchmarks:
        card = "" if each.card_size in (None, each.total) else f" (its card says {each.card_size})"
        lines += [
            f"{each.name}: {each.selected} of {each.total} samples{card}, "
            f"protocol {each.protocol}, elicitation {each.elicitation}",
            f"  first prompt: {each.first_prompt}",
            f"  largest picture decoded: {_size(each.picture_bytes)}",
        ]
        lines += [f"  missing: {name}" for name in each.missing[:10]]
        if len(each.missing) > 10:
            lines.append(f"  missing: {len(each.missing) - 10} more")
    asked = sum(each.selected for each in plan.benchmarks) * len(plan.models)
    largest = max(model.weight_bytes or 0 for model in plan.models)
    lines.append(
        f"In all {asked} answers. Memory: {_size(largest)} on the device for weights (the largest model; "
        f"caches and activations come on top), "
        f"at most {_size(plan.prefetch_bytes)} on the host for prepared samples."
    )
    return lines


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
