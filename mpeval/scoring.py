"""Scoring: a stored run under its protocols. Needs neither the dataset nor the model."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

import msgspec

from mpeval import registry
from mpeval.data.faults import target_fault
from mpeval.errors import SampleError, UserError
from mpeval.manifest import Manifest
from mpeval.masks import read_ahead
from mpeval.own_data import is_own, stored_own
from mpeval.segment.store import MaskStore, answer_key
from mpeval.store import Row, Run
from mpeval.types import (
    RLE,
    Benchmark,
    GroupScorer,
    MaskTarget,
    Metric,
    ObjectMasks,
    PointsTarget,
    ProtocolSpec,
    SampleScore,
    Scorer,
    Target,
    TrackTarget,
)

NAMED = 5
"""Samples that a result names: failed, faulty, flipped."""

ROWS_AT_ONCE = 64
"""The masks of so many rows are read in one pass."""

LEAST_DIFFERENCE = 1e-6
"""Of two values of a sample: the release's F1 is off by 5e-11 where it should be 1."""


class Flip(msgspec.Struct, frozen=True):
    """One sample that two protocols score differently."""

    sample_id: str
    outcomes: tuple[str, str]
    """`hit`, `miss` or `format`: under the other protocol, under this one."""
    values: tuple[float | None, float | None]
    """Of the scorers' headline metrics (of which a headline may be the macro average), None where they do not apply."""
    text: str
    """The answer as it is stored."""


class Flips(msgspec.Struct, frozen=True):
    """How one protocol's scores of a run differ from those of another over the same answers."""

    other: str
    """The protocol compared with: the one that the run was made for."""
    hit_to_miss: int
    """Right under the other protocol, wrong under this one."""
    miss_to_hit: int
    changed: int
    """Samples with the same outcome whose values differ all the same."""
    first: list[Flip]
    """The first of them all, flips before changed values."""


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
    failures: list[str]
    """The first of them, with their errors."""
    faulty: int
    """Targets that do not fit their picture; they are scored as they stand."""
    faults: list[str]
    """The first of them, with what is wrong."""
    generated_tokens: int
    points: int
    """Points predicted, over all samples."""
    in_average: bool
    scorer_only: bool
    """The run was asked in another way than the protocol says."""
    verified: bool
    differs: str
    path: str
    flips: Flips | None = None
    """Against the protocol that the run was made for, where both were asked for."""
    shard: str | None = None
    """`2/4` where the run is one of several parts: its scores are not the whole run's."""
    masks_by: str | None = None
    """The segmenter whose masks of the answers are scored; None: the model's own, if it gives any."""
    segmented: int = 0
    """Samples with masks."""


def protocol_of(benchmark: Benchmark, name: str | None) -> ProtocolSpec:
    """The named protocol, or the default one. Raises `UserError` for an unknown name."""
    if name is None:
        return next(iter(benchmark.protocols.values()))
    if name not in benchmark.protocols:
        raise registry.unknown(f"protocol of {benchmark.card.name}", name, benchmark.protocols)
    return benchmark.protocols[name]


def benchmark_of(manifest: Manifest, rows: Sequence[Row]) -> Benchmark:
    """The benchmark of a stored run; one of the user's own data is made from what the run holds.

    Raises `UserError` where it is not installed.
    """
    if not is_own(manifest.benchmark):
        return registry.benchmark(manifest.benchmark)
    files = [session.own_file for session in manifest.sessions if session.own_file]
    kinds = {type(row.target) for row in rows}
    revision = manifest.identity["benchmark"]["revision"]
    return stored_own(manifest.benchmark, revision, kinds, files[-1] if files else None)


def score(run: Run, protocol: str | None = None, segmenter: str | None = None) -> list[Result]:
    """Score all stored predictions of a run, in published order: one result a protocol.

    protocol: a name, `all`, or None for the one that the run was made for. segmenter: whose masks of the answers are
    scored; None: those made last, if any. Raises `UserError` for an unknown protocol, a segmenter without masks of
    this run and a target that cannot be scored.
    """
    rows, masks_by = with_masks(run, list(run.rows()), segmenter)
    benchmark = benchmark_of(run.manifest, rows)
    if protocol == "all":
        specs = list(benchmark.protocols.values())
    else:
        specs = [protocol_of(benchmark, protocol or run.manifest.protocol)]
    scorers = [benchmark.scorers[spec.scorer] for spec in specs]
    columns = sample_scores(run, rows, scorers)
    faults = _faults(rows)
    results = [_result(run, rows, faults, masks_by, benchmark, spec, scores) for spec, scores in zip(specs, columns)]
    own = next((i for i, spec in enumerate(specs) if spec.name == run.manifest.protocol), 0)
    for i in range(len(specs)):
        if i != own:
            flips = _flips(rows, results[own], results[i], columns[own], columns[i])
            results[i] = msgspec.structs.replace(results[i], flips=flips)
    return results


def with_masks(run: Run, rows: Sequence[Row], segmenter: str | None = None) -> tuple[list[Row], str | None]:
    """A run's rows with the masks that a segmenter made of their points (`mpeval segment`), and its name.

    segmenter: None for the one that made masks last; without any, the model's own stay, if it gives any. An answer that
    was not segmented has none, and in a run with masks those of a failed one are empty. Raises `UserError` for a
    segmenter without masks of this run.
    """
    store = MaskStore.read(run.path)
    if store is None:
        if segmenter is not None:
            raise UserError(f"{run.path} has no masks by {segmenter}: make some with 'mpeval segment'")
        name = None
    else:
        with store:
            name = store.chosen(segmenter)
            if name is not None:
                rows = [_with_masks(row, _masks_by(row, store, name)) for row in rows]
    if name is not None or any(row.prediction.masks is not None for row in rows):
        rows = [row if row.prediction.error is None else _with_masks(row, ()) for row in rows]
    return list(rows), name


def _masks_by(row: Row, store: MaskStore, segmenter: str) -> tuple[ObjectMasks, ...] | None:
    if not isinstance(row.target, TrackTarget):
        return row.prediction.masks
    return store.masks(row.sample_id, segmenter, answer_key(row.prediction.points))


def _with_masks(row: Row, masks: tuple[ObjectMasks, ...] | None) -> Row:
    return msgspec.structs.replace(row, prediction=msgspec.structs.replace(row.prediction, masks=masks))


def sample_scores(run: Run, rows: Sequence[Row], scorers: Sequence[Scorer]) -> list[list[SampleScore]]:
    """Each scorer's scores of a run's rows, in their order. Raises `UserError` for a target that cannot be scored."""
    columns: list[list[SampleScore]] = [[] for _ in scorers]
    # Some rows at a time, so that their masks are read together, and once for all protocols.
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        with contextlib.suppress(SampleError):  # told with its sample's name when that is scored
            read_ahead([mask for row in some for mask in _masks(row.target)])
        for scorer, column in zip(scorers, columns):
            if not isinstance(scorer, GroupScorer):
                column += [_score(run, scorer, row) for row in some]
    for scorer, column in zip(scorers, columns):
        if isinstance(scorer, GroupScorer):
            column += _group_scores(run, scorer, rows)
    return columns


def _group_scores(run: Run, scorer: GroupScorer, rows: Sequence[Row]) -> list[SampleScore]:
    """The rows' scores, those of one group found together; a row without a group stands alone."""
    groups: dict[str, list[tuple[int, int, TrackTarget]]] = {}
    for index, row in enumerate(rows):
        if isinstance(row.target, TrackTarget) and row.target.group is not None:
            groups.setdefault(row.target.group.name, []).append((row.target.group.place, index, row.target))
    found: dict[int, SampleScore] = {}
    for placed in groups.values():
        members = [(index, target) for _, index, target in sorted(placed, key=lambda each: each[:2])]
        try:
            scores = scorer.score_group(
                [(target, rows[index].prediction, rows[index].size or (0, 0)) for index, target in members]
            )
        except SampleError as error:
            samples = ", ".join(f"'{rows[index].sample_id}'" for index, _ in members)
            raise UserError(f"{run.path}: {samples} cannot be scored together ({error}): mend their targets") from error
        found |= {index: score for (index, _), score in zip(members, scores, strict=True)}
    return [found[index] if index in found else _score(run, scorer, row) for index, row in enumerate(rows)]


def _faults(rows: Sequence[Row]) -> list[str]:
    """What is wrong with targets, with their samples' ids."""
    found = (
        (row.sample_id, row.prediction.note or target_fault(row.target, row.size))
        for row in rows
        if row.size is not None
    )
    return [f"{sample_id}: {fault}" for sample_id, fault in found if fault]


def _result(
    run: Run,
    rows: Sequence[Row],
    faults: Sequence[str],
    masks_by: str | None,
    benchmark: Benchmark,
    spec: ProtocolSpec,
    scores: Sequence[SampleScore],
) -> Result:
    scorer = benchmark.scorers[spec.scorer]
    clusters = [row.media_sha256 or row.sample_id for row in rows]
    metrics = scorer.summarize(scores, [row.slices for row in rows], clusters) if rows else []
    failures = [f"{row.sample_id}: {row.prediction.error}" for row in rows if row.prediction.error is not None]
    asked = [benchmark.elicitations[name] for name in (spec.elicitation, *spec.also)]
    return Result(
        model=run.manifest.model,
        benchmark=run.manifest.benchmark,
        protocol=spec.name,
        scorer=spec.scorer,
        headline=next((each for each in metrics if each.name == scorer.headline and each.slice is None), None),
        metrics=metrics,
        samples=len(rows),
        expected=run.manifest.expected,
        failed=len(failures),
        failures=failures[:NAMED],
        faulty=len(faults),
        faults=list(faults[:NAMED]),
        generated_tokens=sum(row.prediction.generated_tokens or 0 for row in rows),
        points=sum(len(row.prediction.points) for row in rows),
        in_average=benchmark.card.in_average,
        scorer_only=run.manifest.elicitation not in asked,
        verified=spec.verified,
        differs=spec.differs,
        path=str(run.path),
        shard=str(run.manifest.shard) if run.manifest.shard else None,
        masks_by=masks_by,
        segmented=sum(row.prediction.masks is not None for row in rows),
    )


def _flips(
    rows: Sequence[Row], other: Result, this: Result, before: Sequence[SampleScore], after: Sequence[SampleScore]
) -> Flips:
    """before, after: each row's score under the other protocol and under this one."""
    headlines = [of_sample(result.headline.name) if result.headline else "" for result in (other, this)]
    lost: list[Flip] = []
    won: list[Flip] = []
    changed: list[Flip] = []
    for row, *scores in zip(rows, before, after):
        hits = [each.outcome == "hit" for each in scores]
        one, two = (each.values.get(name) for each, name in zip(scores, headlines))
        if hits[0] == hits[1] and not _differ(one, two):
            continue
        kind = changed if hits[0] == hits[1] else won if hits[1] else lost
        kind.append(Flip(row.sample_id, (scores[0].outcome, scores[1].outcome), (one, two), row.prediction.text))
    # Some of both directions, where there are both.
    of_won = min(len(won), max(NAMED // 2, NAMED - len(lost)))
    first = [*lost[: NAMED - of_won], *won[:of_won], *changed][:NAMED]
    return Flips(other.protocol, len(lost), len(won), len(changed), first)


def of_sample(metric: str) -> str:
    """The metric that a sample has where the headline is its macro average."""
    return re.sub(r"^macro_(.+?)_by_.*$", r"\1", metric)


def _masks(target: Target) -> Sequence[RLE]:
    """Those masks of a target in which points are looked up one by one."""
    if isinstance(target, MaskTarget):
        return (target.mask,)
    return target.masks if isinstance(target, PointsTarget) else ()


def _differ(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) > LEAST_DIFFERENCE


def _score(run: Run, scorer: Scorer, row: Row) -> SampleScore:
    try:
        # A sample whose media could not be read has no size and no answer: there is nothing to convert by it.
        return scorer.score(row.target, row.prediction, row.size or (0, 0))
    except SampleError as error:
        raise UserError(f"{run.path}: sample '{row.sample_id}' cannot be scored ({error}): mend its target") from error
