"""Our own runs, scored for the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mpeval.types import Elicitation, Metric

from .specs import RunMetric, TableSpec

if TYPE_CHECKING:
    from mpeval.manifest import Manifest
    from mpeval.scoring import Result

LIKE_PUBLISHED = "paper"
"""The protocol under which runs stand beside published numbers, where the benchmark has it."""


class MeasuredRun(msgspec.Struct, frozen=True):
    """One run under one protocol, with what decides whether it can be compared."""

    result: Result
    elicitation: Elicitation
    expected: int | None
    """Samples in the benchmark's full split; None: not known."""
    video: bool = False
    doubts: tuple[str, ...] = ()
    """Why its model or its data may be others than the published ones, as far as its manifest tells."""
    served: bool = False
    """A server answered: what runs there is its owner's word."""

    @property
    def full(self) -> bool:
        """The full split was asked for, and every sample was answered."""
        result = self.result
        return result.samples == result.expected == self.expected and result.failed == 0

    @property
    def part(self) -> str:
        """`24 of 252 samples, 2 of them failed`, where the run is not full; else empty."""
        if self.full:
            return ""
        of = f" of {self.expected}" if self.expected is not None else ""
        failed = f", {self.result.failed} of them failed" if self.result.failed else ""
        return f"{self.result.samples}{of} samples{failed}"

    def metric(self, wanted: RunMetric) -> Metric | None:
        """The metric that a column shows; None where the run has none of it."""
        if wanted.benchmark != self.result.benchmark:
            return None
        fitting = [m for m in self.result.metrics if (m.name, m.slice) == (wanted.metric, wanted.slice)]
        return fitting[0] if fitting else None


class MeasuredRow(msgspec.Struct, frozen=True):
    """The runs that share a row: one model, at most one run a benchmark."""

    model: str
    label: str
    runs: tuple[MeasuredRun, ...]

    def find(self, wanted: RunMetric) -> tuple[MeasuredRun, Metric] | None:
        for run in self.runs:
            metric = run.metric(wanted)
            if metric is not None:
                return run, metric
        return None


class Measurements(NamedTuple):
    runs: list[MeasuredRun]
    left_out: list[Manifest]
    """Of runs on benchmarks that no column shows."""


def measure(paths: Iterable[Path], specs: Iterable[TableSpec]) -> Measurements:
    """Score the runs at or below some folders that are on benchmarks of the tables: under `paper` where they stand
    beside published rows and the benchmark has it, else under the protocol that the run was made for.

    Raises `UserError` where there is no run, or one that cannot be read.
    """
    from mpeval.manifest import read_manifest
    from mpeval.store import find_runs

    specs = list(specs)
    shown = {column.run.benchmark for spec in specs for column in spec.columns if column.run}
    manifests = {path: read_manifest(path) for path in find_runs(paths)}
    beside = {column.run.benchmark for spec in specs if spec.groups for column in spec.columns if column.run}
    runs = [
        _measure(path, manifest.benchmark in beside)
        for path, manifest in manifests.items()
        if manifest.benchmark in shown
    ]
    return Measurements(runs, [each for each in manifests.values() if each.benchmark not in shown])


def _measure(path: Path, beside_published: bool) -> MeasuredRun:
    from mpeval import registry
    from mpeval.scoring import score
    from mpeval.store import Run

    with Run.read(path) as run:
        benchmark = registry.benchmark(run.manifest.benchmark)
        protocol = LIKE_PUBLISHED if beside_published and LIKE_PUBLISHED in benchmark.protocols else None
        (result,) = score(run, protocol)
        card = benchmark.card
        identity = run.manifest.identity
        return MeasuredRun(
            result,
            run.manifest.elicitation,
            card.size,
            card.media == "video",
            _doubts(identity),
            "base_url" in identity["model"],
        )


def _doubts(identity: Mapping[str, Any]) -> tuple[str, ...]:
    """Weights in a folder may be anybody's, under the name of a released model; data may have been edited."""
    doubts = []
    if "weights_sha256" in identity["model"]:
        doubts.append("its weights come from a folder, not from the published repository")
    elif not {"repository", "base_url"} & identity["model"].keys():
        doubts.append("its manifest does not say where its weights come from")
    if str(identity["benchmark"]["revision"]).startswith("local-"):
        doubts.append("its data are not as they were fetched from the published repository")
    return tuple(doubts)


def measured_rows(runs: Sequence[MeasuredRun]) -> list[MeasuredRow]:
    """One row a model. Where a model has two runs on a benchmark, each of these gets its own row, named after the
    run's folder: nothing says which of them belongs with the rest.
    """
    times = Counter((run.result.model, run.result.benchmark) for run in runs)
    rows: dict[tuple[str, str], list[MeasuredRun]] = {}
    for run in runs:
        model = run.result.model
        alone = times[model, run.result.benchmark] == 1
        label = model if alone else f"{model} ({Path(run.result.path).name})"
        rows.setdefault((model, label), []).append(run)
    return [MeasuredRow(model, label, tuple(of_row)) for (model, label), of_row in rows.items()]
