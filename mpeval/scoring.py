"""Scoring: a stored run under a protocol. Needs neither the dataset nor the model."""

from __future__ import annotations

import msgspec

from mpeval.errors import SampleError, UserError
from mpeval.registry import unknown
from mpeval.store import Row, Run
from mpeval.types import Benchmark, Metric, ProtocolSpec, SampleScore, Scorer


class Result(msgspec.Struct, frozen=True):
    """One run under one protocol."""

    model: str
    benchmark: str
    protocol: str
    scorer: str
    headline: Metric | None
    """None for a run without rows."""
    metrics: list[Metric]
    """All of them, those of slices included."""
    samples: int
    expected: int
    """Samples that the run was asked for; fewer rows mean that it is unfinished."""
    failed: int
    """Samples that could not be asked or answered; they score as the protocol says of a missing answer."""
    generated_tokens: int
    points: int
    """Points predicted, over all samples."""
    in_average: bool
    scorer_only: bool
    """The run was asked in another way than the protocol says."""
    verified: bool
    differs: str
    path: str


def protocol_of(benchmark: Benchmark, name: str | None) -> ProtocolSpec:
    """The named protocol, or the default one. Raises `UserError` for an unknown name."""
    if name is None:
        return next(iter(benchmark.protocols.values()))
    if name not in benchmark.protocols:
        raise unknown(f"protocol of {benchmark.card.name}", name, benchmark.protocols)
    return benchmark.protocols[name]


def score(run: Run, benchmark: Benchmark, protocol: ProtocolSpec) -> Result:
    """Score all stored predictions of a run under one protocol, in published order."""
    manifest = run.manifest
    if manifest.benchmark != benchmark.card.name:
        raise UserError(f"{run.path} is a run on {manifest.benchmark}, not on {benchmark.card.name}")
    rows = list(run.rows())
    scorer = benchmark.scorers[protocol.scorer]
    scores = [_score(run, scorer, row) for row in rows]
    clusters = [row.media_sha256 or row.sample_id for row in rows]
    metrics = scorer.summarize(scores, [row.slices for row in rows], clusters) if rows else []
    overall = [each for each in metrics if each.name == scorer.headline and each.slice is None]
    return Result(
        model=manifest.model,
        benchmark=manifest.benchmark,
        protocol=protocol.name,
        scorer=protocol.scorer,
        headline=overall[0] if overall else None,
        metrics=metrics,
        samples=len(rows),
        expected=manifest.expected,
        failed=sum(row.prediction.error is not None for row in rows),
        generated_tokens=sum(row.prediction.generated_tokens or 0 for row in rows),
        points=sum(len(row.prediction.points) for row in rows),
        in_average=benchmark.card.in_average,
        scorer_only=manifest.elicitation != benchmark.elicitations[protocol.elicitation],
        verified=protocol.verified,
        differs=protocol.differs,
        path=str(run.path),
    )


def _score(run: Run, scorer: Scorer, row: Row) -> SampleScore:
    try:
        # A sample whose media could not be read has no size and no answer: there is nothing to convert by it.
        return scorer.score(row.target, row.prediction, row.size or (0, 0))
    except SampleError as error:
        raise UserError(f"{run.path}: sample '{row.sample_id}' cannot be scored ({error}): mend its target") from error
