"""Two runs compared on the samples that both have: how they differ, how sure that is, and where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mpeval.errors import UserError
from mpeval.manifest import difference, read_manifest
from mpeval.scoring import benchmark_of, protocol_of, sample_scores, with_masks
from mpeval.store import Row, Run, find_runs
from mpeval.types import ProtocolSpec, SampleScore, Scorer

if TYPE_CHECKING:
    from mpeval.metrics.paired import PairedDifference

FEW_CLUSTERS = 20
"""Below it a remark says that their spread is hardly known."""


class Side(msgspec.Struct, frozen=True):
    """One run, over the paired samples."""

    model: str
    path: str
    value: float
    """The metric's mean."""
    interval: tuple[float, float] | None
    """95 %."""
    failed: int
    """Samples that could not be asked or answered; they score as the protocol says of a missing answer."""
    tokens_per_point: float | None
    """None where no point was given or tokens were not counted."""
    seconds_per_sample: float | None
    """Mean wall time, shared evenly within a batch."""
    points_per_second: float | None
    device: str
    dtype: str
    batch_size: int
    versions: dict[str, str]
    scorer_only: bool
    """It was asked in another way than the protocol says."""


class Flip(msgspec.Struct, frozen=True):
    """A sample that the two runs score differently: of the first run, then of the second."""

    sample_id: str
    values: tuple[float, float]
    outcomes: tuple[str, str]
    """`hit`, `miss` or `format`."""
    texts: tuple[str, str]
    """The answers as they are stored; the error where there is none."""


class Comparison(msgspec.Struct, frozen=True):
    """The second run against the first, under one protocol."""

    benchmark: str
    protocol: str
    metric: str
    a: Side
    b: Side
    samples: int
    """Pairs to which the metric applies."""
    clusters: int
    """Pictures or videos that they are about."""
    difference: float
    """b minus a."""
    interval: tuple[float, float] | None
    """95 %; None where all samples are of one cluster."""
    p_value: float
    """Two-sided, of a permutation test that flips whole clusters."""
    sign_patterns: int
    exact: bool
    """Whether these are all the sign patterns there are."""
    wins: int
    """Samples on which b is better."""
    losses: int
    ties: int
    only_a: int
    """Samples that the other run does not have; they are left out."""
    only_b: int
    flips: list[Flip]
    """All samples that differ, the largest differences first, then in published order."""
    remarks: list[str]
    """What a reader of the numbers must know."""


def match_runs(a: Path, b: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Run folders at or below two paths, paired by benchmark, and the benchmarks that one side lacks.

    Raises `UserError` where no benchmark is on both sides, or one is on a side twice.
    """
    sides = [_by_benchmark(path) for path in (a, b)]
    common = [name for name in sides[0] if name in sides[1]]
    if not common:
        names = [", ".join(side) for side in sides]
        raise UserError(f"nothing to compare: {a} is on {names[0]}, {b} on {names[1]}; give runs on the same benchmark")
    for path, side in zip((a, b), sides):
        for name in common:
            if len(side[name]) > 1:
                several = f"{path} holds {len(side[name])} runs on {name}"
                raise UserError(f"{several}: name one, {side[name][0]} for instance")
    pairs = [(sides[0][name][0], sides[1][name][0]) for name in common]
    for one, other in pairs:
        if one.resolve() == other.resolve():
            raise UserError(f"both are the run {one}: give two runs")
    lacking = [f"{name}: only in {path}" for path, side in zip((a, b), sides) for name in side if name not in common]
    return pairs, lacking


def compare_runs(a: Path, b: Path, protocol: str | None = None, metric: str | None = None, seed: int = 0) -> Comparison:
    """Compare two runs on one benchmark, sample by sample.

    protocol: by default the one that `a` was made for; metric: by default that protocol's headline. Raises
    `UserError` for runs on different data, without a common sample, or without that metric.
    """
    import numpy as np

    from mpeval.metrics.averages import average, clusters_of, strata_of
    from mpeval.metrics.paired import LEAST_DIFFERENCE, paired_difference

    stored = _read(a), _read(b)
    _check_data(*stored)
    benchmark = benchmark_of(stored[0].run.manifest, stored[0].rows)
    spec = protocol_of(benchmark, protocol or stored[0].run.manifest.protocol)
    scorer = benchmark.scorers[spec.scorer]
    asked = [benchmark.elicitations[name] for name in (spec.elicitation, *spec.also)]
    scorer_only = [each.run.manifest.elicitation not in asked for each in stored]

    answers = _answers(*stored, scorer)
    wanted = metric or scorer.headline
    name, slice_name = _parts(wanted, answers)
    answers = [each for each in answers if each.applies(name, slice_name)]
    if not answers:
        raise UserError(f"{wanted} applies to no sample that both runs have: choose another with --metric")

    values = np.array([[score.values[name] for score in each.scores] for each in answers]).T
    cluster = clusters_of([each.media or each.rows[0].sample_id for each in answers])
    stratum = np.zeros(len(answers), int)
    if slice_name is not None:
        stratum = strata_of([each.rows[0].slices for each in answers], slice_name)[1]
    largest_first = np.argsort(-np.abs(values[1] - values[0]).round(6), kind="stable")
    result = paired_difference(values[0], values[1], cluster, stratum, seed)
    sides = [
        _side(each, [answer.rows[i] for answer in answers], average(values[i], cluster, stratum), scorer_only[i])
        for i, each in enumerate(stored)
    ]
    clusters = int(cluster.max()) + 1
    common = stored[0].ids.keys() & stored[1].ids.keys()
    return Comparison(
        benchmark=benchmark.card.name,
        protocol=spec.name,
        metric=wanted,
        a=sides[0],
        b=sides[1],
        samples=len(answers),
        clusters=clusters,
        difference=result.value,
        interval=result.interval,
        p_value=result.p_value,
        sign_patterns=result.sign_patterns,
        exact=result.exact,
        wins=result.wins,
        losses=result.losses,
        ties=result.ties,
        only_a=len(stored[0].ids) - len(common),
        only_b=len(stored[1].ids) - len(common),
        flips=[answers[i].flip(name) for i in largest_first if abs(values[1, i] - values[0, i]) >= LEAST_DIFFERENCE],
        remarks=_remarks(stored, sides, spec, clusters, len(common) - len(answers)) + _contradiction(result),
    )


# --- runs and answers -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stored:
    """A run and its rows."""

    run: Run
    ids: dict[str, Row]
    """In published order."""

    @property
    def rows(self) -> list[Row]:
        return list(self.ids.values())


@dataclass(frozen=True)
class _Answer:
    """Both runs' answers to one sample."""

    rows: tuple[Row, Row]
    scores: tuple[SampleScore, SampleScore]

    @property
    def media(self) -> str | None:
        return self.rows[0].media_sha256 or self.rows[1].media_sha256

    def applies(self, metric: str, slice_name: str | None) -> bool:
        """Whether both have the metric, and the sample the slice, if one is named."""
        sliced = slice_name is None or slice_name in self.rows[0].slices
        return sliced and all(metric in score.values for score in self.scores)

    def flip(self, metric: str) -> Flip:
        one, other = self.scores
        texts = [row.prediction.error or row.prediction.text for row in self.rows]
        return Flip(
            self.rows[0].sample_id,
            (one.values[metric], other.values[metric]),
            (one.outcome, other.outcome),
            (texts[0], texts[1]),
        )


def _read(path: Path) -> _Stored:
    with Run.read(path) as run:
        return _Stored(run, {row.sample_id: row for row in run.rows()})


def _by_benchmark(path: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for run in find_runs([path]):
        found.setdefault(read_manifest(run).benchmark, []).append(run)
    return found


def _check_data(first: _Stored, second: _Stored) -> None:
    """Raise `UserError` unless both runs are on the same revision of the same benchmark."""
    one, other = (each.run.manifest.identity["benchmark"] for each in (first, second))
    if one != other:
        what = difference(one, other)
        raise UserError(f"{first.run.path} and {second.run.path} are on different data ({what}): run both on the same")


def _answers(first: _Stored, second: _Stored, scorer: Scorer) -> list[_Answer]:
    """The samples that both runs have, in published order."""
    for each in (first, second):
        if not each.ids:
            raise UserError(f"{each.run.path} has no sample yet: run its command again")
    pairs = [(row, second.ids[row.sample_id]) for row in first.rows if row.sample_id in second.ids]
    if not pairs:
        raise UserError(f"{first.run.path} and {second.run.path} have no sample in common: run both on the same ones")
    for row, other in pairs:
        if row.media_sha256 and other.media_sha256 and row.media_sha256 != other.media_sha256:
            raise UserError(
                f"sample '{row.sample_id}' has another picture in {second.run.path} than in {first.run.path}: "
                "run both on the same data"
            )
    scores = [
        sample_scores(each.run, with_masks(each.run, [pair[i] for pair in pairs])[0], [scorer])[0]
        for i, each in enumerate((first, second))
    ]
    return [_Answer(pair, both) for pair, both in zip(pairs, zip(*scores))]


def _parts(wanted: str, answers: Sequence[_Answer]) -> tuple[str, str | None]:
    """A metric's name among the samples' values, and the slice over whose values it is averaged, if any."""
    known = dict.fromkeys(name for answer in answers for score in answer.scores for name in score.values)
    if wanted in known:
        return wanted, None
    macro = re.fullmatch(r"macro_(.+?)_by_(.+)", wanted)
    if macro and macro[1] in known:
        return macro[1], macro[2]
    names = ", ".join(known)
    raise UserError(f"no sample has the metric '{wanted}': there is {names}, and macro_METRIC_by_SLICE of each")


# --- what is said of them -------------------------------------------------------------------------


def _side(
    stored: _Stored, rows: Sequence[Row], mean: tuple[float, tuple[float, float] | None], scorer_only: bool
) -> Side:
    predictions = [row.prediction for row in rows]
    tokens = sum(each.generated_tokens or 0 for each in predictions)
    points = sum(len(each.points) for each in predictions)
    timed = [each for each in predictions if each.seconds is not None]
    seconds = sum(each.seconds or 0.0 for each in timed)
    sessions = stored.run.manifest.sessions
    session = next((each for each in reversed(sessions) if each.generated), sessions[-1] if sessions else None)
    return Side(
        model=stored.run.manifest.model,
        path=str(stored.run.path),
        value=mean[0],
        interval=mean[1],
        failed=sum(each.error is not None for each in predictions),
        tokens_per_point=tokens / points if tokens and points else None,
        seconds_per_sample=seconds / len(timed) if timed else None,
        points_per_second=sum(len(each.points) for each in timed) / seconds if seconds else None,
        device=session.device if session else "",
        dtype=session.dtype if session else "",
        batch_size=session.batch_size if session else 0,
        versions=session.versions if session else {},
        scorer_only=scorer_only,
    )


def _remarks(
    stored: Sequence[_Stored], sides: Sequence[Side], spec: ProtocolSpec, clusters: int, left_out: int
) -> list[str]:
    lines = []
    one, other = (each.run.manifest for each in stored)
    if asked := difference(one.identity["elicitation"], other.identity["elicitation"]):
        lines.append(f"the two were asked in different ways ({asked}): the difference is not the models' alone")
    for letter, side, each in zip("AB", sides, stored):
        if side.scorer_only:
            lines.append(f"{letter}: scorer only, for it was asked in another way than the protocol {spec.name} says")
        if side.failed:
            lines.append(f"{letter}: {side.failed} samples FAILED and count as missing answers")
        if len(each.ids) < each.run.manifest.expected:
            lines.append(f"{letter}: unfinished, {len(each.ids)} of {each.run.manifest.expected} samples")
    if spec.differs:
        lines.append(f"protocol {spec.name}: {spec.differs}")
    if left_out:
        lines.append(f"{left_out} samples that both have are left out: the metric does not apply to them")
    if 1 < clusters < FEW_CLUSTERS:  # of one there is no interval, and that is said
        lines.append(f"{clusters} clusters are few: how much they vary is hardly known, and the interval is wide")
    machines = [(side.device, side.dtype, side.batch_size) for side in sides]
    if machines[0] != machines[1]:
        names = " against ".join(f"{device} {dtype}, batches of {size}" for device, dtype, size in machines)
        lines.append(f"times are of different machines or settings: {names}")
    return lines


def _contradiction(result: PairedDifference) -> list[str]:
    """The interval supposes how clusters differ, the test does not: where few do, the test is the more careful."""
    if result.interval is None or result.interval[0] <= 0 <= result.interval[1] or result.p_value <= 0.05:
        return []
    return [f"the interval leaves out zero, but p = {result.p_value:.2g}: clusters may have agreed by chance"]
