"""What the site shows of a run: scores under every protocol, slices, plots, its manifest, and its answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mpeval.manifest import Manifest, identity_hash
from mpeval.scorers.counts import CountAccuracy
from mpeval.scoring import sample_scores, with_masks
from mpeval.store import Row, Run
from mpeval.text import shortened
from mpeval.types import Benchmark, CountTarget, Metric, ProtocolSpec, SampleScore, Scorer

from .folder import write_shard
from .samples import OWN_BINS, SHARD, SIZE_BINS, SIZE_SLICE, own_slices
from .shapes import answer_count, answer_shapes, target_count

if TYPE_CHECKING:
    import numpy as np

    from .samples import SampleSet

_OUTCOMES = {"hit": "h", "miss": "m", "format": "f"}
_MOST_COUNTED = 20
"""Counts from here on share the last row and column of the plot."""


class ScoredRun(msgspec.Struct, frozen=True):
    """A run with its scores, held while the site is written."""

    id: str
    manifest: Manifest
    rows: list[Row]
    specs: list[ProtocolSpec]
    """All protocols of the benchmark, its own first."""
    scorers: list[Scorer]
    scores: list[list[SampleScore]]
    """For each protocol."""
    masks_by: str | None
    """The segmenter whose masks of the answers are scored and drawn."""


class Paired(msgspec.Struct, frozen=True):
    """What a comparison needs of a run: one value a sample under the benchmark's first protocol."""

    id: str
    protocol: str
    metric: str
    numbers: list[int]
    """Each sample's number in its set."""
    values: list[float]
    clusters: list[str]


LONGEST_PART = 70
NAMED = 20
LONGEST_FAILURE = 300
"""Failed samples that a run's page names, and characters of their ids and errors."""


def slug(*parts: str) -> str:
    """Parts of a name as a file's name and a link: `molmo2-tiny--demo-points`."""
    # Cut, for a file's name has room for 255 letters.
    return "--".join(re.sub(r"[^a-z0-9.]+", "-", part.lower())[:LONGEST_PART].strip("-.") or "x" for part in parts)


def unique(name: str, taken: set[str]) -> str:
    """The name, or with a number where it is taken; it is, from now on."""
    found, i = name, 2
    while found in taken:
        found, i = f"{name}-{i}", i + 1
    taken.add(found)
    return found


def run_id(manifest: Manifest, taken: set[str]) -> str:
    """A readable name that no other run on the site has."""
    short = identity_hash(manifest.identity)[:8]
    name = slug(manifest.model, Path(manifest.benchmark).name, f"{manifest.elicitation.name}-{short}")
    return unique(name, taken)


def score_run(run: Run, id_: str, benchmark: Benchmark, rows: list[Row]) -> ScoredRun:
    """Score a run under every protocol. Raises `UserError` for a target that cannot be scored."""
    own = run.manifest.protocol
    rows, masks_by = with_masks(run, rows)
    specs = sorted(benchmark.protocols.values(), key=lambda spec: spec.name != own)
    scorers = [benchmark.scorers[spec.scorer] for spec in specs]
    return ScoredRun(id_, run.manifest, rows, specs, scorers, sample_scores(run, rows, scorers), masks_by)


def write_run(folder: Path, scored: ScoredRun, benchmark: Benchmark, samples: SampleSet) -> dict[str, Any]:
    """Write a run's shards; gives its line in the index."""
    rows, manifest = scored.rows, scored.manifest
    slices = [{**row.slices, **own_slices(row)} for row in rows]
    clusters = [row.media_sha256 or row.sample_id for row in rows]
    asked = manifest.elicitation
    protocols = []
    for spec, scorer, scores in zip(scored.specs, scored.scorers, scored.scores):
        metrics = scorer.summarize(scores, slices, clusters) if rows else []
        fitting = [benchmark.elicitations[name] for name in (spec.elicitation, *spec.also)]
        protocols.append(
            {
                "name": spec.name,
                "headline": scorer.headline,
                "scorer_only": asked not in fitting,
                "verified": spec.verified,
                "differs": spec.differs,
                "metrics": [_metric(each) for each in sorted(metrics, key=_bin)],
            }
        )
    line = _line(scored, protocols[0], samples, benchmark.card.size)
    write_shard(
        folder,
        f"runs/{scored.id}/run",
        {
            **line,
            "protocols": protocols,
            "slice_names": list(dict.fromkeys(name for each in slices for name in each)),
            "failures": [
                [shortened(row.sample_id, LONGEST_FAILURE), shortened(row.prediction.error, LONGEST_FAILURE)]
                for row in rows
                if row.prediction.error
            ][:NAMED],
            "counts": _counts(scored),
            "sizes": _by_size(protocols[0]),
            "manifest": msgspec.to_builtins(manifest),
        },
    )
    _write_answers(folder, scored, samples)
    return line


def _line(scored: ScoredRun, own: dict[str, Any], samples: SampleSet, size: int | None) -> dict[str, Any]:
    """A run in the index. size: samples of the whole benchmark, where it is known."""
    rows, manifest = scored.rows, scored.manifest
    headline = next((each for each in own["metrics"] if each[0] == own["headline"] and each[5] is None), None)
    tokens = sum(row.prediction.generated_tokens or 0 for row in rows)
    points = sum(len(row.prediction.points) for row in rows)
    seconds = [row.prediction.seconds for row in rows if row.prediction.seconds is not None]
    session = manifest.sessions[-1] if manifest.sessions else None
    return {
        "id": scored.id,
        "set": samples.id,
        "model": manifest.model,
        "benchmark": manifest.benchmark,
        "protocol": own["name"],
        "elicitation": manifest.elicitation.name,
        "metric": own["headline"],
        "value": headline[1] if headline else None,
        "interval": headline[2:4] if headline and headline[2] is not None else None,
        "samples": len(rows),
        "of": max(manifest.expected, size or 0),
        "shard": str(manifest.shard) if manifest.shard else None,
        "masks_by": scored.masks_by,
        "failed": sum(row.prediction.error is not None for row in rows),
        "tokens_per_point": round(tokens / points, 6) if tokens and points else None,
        "seconds": round(sum(seconds) / len(seconds), 6) if seconds else None,
        "device": f"{session.device} {session.dtype}, batches of {session.batch_size or 'any size'}" if session else "",
    }


def _metric(metric: Metric) -> list[Any]:
    """name, value, low, high, count, slice."""
    low, high = metric.interval or (None, None)
    # Many more digits than the page shows: rounded twice, a number could be another than in the tables.
    ends = [None if end is None else round(end, 9) for end in (low, high)]
    return [metric.name, round(metric.value, 9), *ends, metric.count, metric.slice]


def _bin(metric: Metric) -> int:
    """Puts our own slices in the order of their bins; all others stay where they are, before them."""
    name, _, value = (metric.slice or "").partition("=")
    bins = OWN_BINS.get(name, ())
    return bins.index(value) if value in bins else -1


def _by_size(own: dict[str, Any]) -> list[list[Any]]:
    """Of the headline by size of target, small to large: size, value, low, high, count."""
    name = re.sub(r"^macro_(.+?)_by_.*$", r"\1", own["headline"])
    found = {each[5]: each for each in own["metrics"] if each[0] == name and each[5]}
    keys = [(size, f"{SIZE_SLICE}={size}") for size in SIZE_BINS]
    return [[size, *found[key][1:5]] for size, key in keys if key in found]


def _counts(scored: ScoredRun) -> list[list[int]]:
    """True count, predicted count, samples; counts are cut at `_MOST_COUNTED`. Answers without a count are left out."""
    scorer = scored.scorers[0]
    pairs: Counter[tuple[int, int]] = Counter()
    for row in scored.rows:
        true = target_count(row.target)
        predicted: int | None = None
        if isinstance(scorer, CountAccuracy) and isinstance(row.target, CountTarget):
            predicted = scorer.read(row.prediction)
        elif row.prediction.error is None:
            predicted = answer_count(row.prediction)
        if true is not None and predicted is not None:
            pairs[min(true, _MOST_COUNTED), min(predicted, _MOST_COUNTED)] += 1
    return [[*pair, samples] for pair, samples in sorted(pairs.items())]


# --- answers ---------------------------------------------------------------------------------------


def _write_answers(folder: Path, scored: ScoredRun, samples: SampleSet) -> None:
    rows, number = scored.rows, samples.numbers()
    for start in range(0, len(rows), SHARD):
        entries = [_answer(scored, i) for i in range(start, min(start + SHARD, len(rows)))]
        write_shard(folder, f"runs/{scored.id}/{start // SHARD}", entries)
    outcomes = {
        spec.name: "".join(_OUTCOMES[score.outcome] for score in scores)
        for spec, scores in zip(scored.specs, scored.scores)
    }
    write_shard(
        folder,
        f"runs/{scored.id}/index",
        {
            "shard": SHARD,
            "numbers": ranges([number[row.sample_id] for row in rows]),
            "outcomes": [[name, text] for name, text in outcomes.items()],
            "failed": [i for i, row in enumerate(rows) if row.prediction.error is not None],
        },
    )


def _answer(scored: ScoredRun, i: int) -> dict[str, Any]:
    row = scored.rows[i]
    prediction = row.prediction
    values = [
        [spec.name, [[name, round(value, 4)] for name, value in scores[i].values.items()]]
        for spec, scores in zip(scored.specs, scored.scores)
    ]
    entry = {"prompt": row.prompt, **answer_shapes(prediction, row.target), "values": values}
    optional = {
        "error": prediction.error,
        "form": prediction.form,
        "tokens": prediction.generated_tokens,
        "seconds": round(prediction.seconds, 4) if prediction.seconds is not None else None,
    }
    return {**entry, **{name: value for name, value in optional.items() if value is not None}}


def ranges(numbers: Sequence[int]) -> list[list[int]]:
    """[3, 4, 5, 9] -> [[3, 3], [9, 1]]: first and length of each run of neighbours."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == sum(found[-1]):
            found[-1][1] += 1
        else:
            found.append([number, 1])
    return found


# --- two runs --------------------------------------------------------------------------------------


def paired_values(scored: ScoredRun, protocol: str, number: Mapping[str, int]) -> Paired | None:
    """A run's headline values under a protocol; None where the benchmark does not have it or no sample has a value."""
    for spec, scorer, scores in zip(scored.specs, scored.scorers, scored.scores):
        if spec.name == protocol:
            metric = re.sub(r"^macro_(.+?)_by_.*$", r"\1", scorer.headline)
            with_value = [(row, score) for row, score in zip(scored.rows, scores) if metric in score.values]
            if not with_value:
                return None
            return Paired(
                scored.id,
                protocol,
                metric,
                [number[row.sample_id] for row, _ in with_value],
                [score.values[metric] for _, score in with_value],
                [row.media_sha256 or row.sample_id for row, _ in with_value],
            )
    return None


def difference(a: Paired, b: Paired) -> dict[str, Any] | None:
    """b minus a on the samples that both have; None where they share none.

    The plain mean's, also where the headline is a macro average: `mpeval compare` gives that one.
    """
    import numpy as np

    from mpeval.metrics.averages import clusters_of
    from mpeval.metrics.paired import paired_difference

    of_b = dict(zip(b.numbers, b.values))
    shared = [i for i, number in enumerate(a.numbers) if number in of_b]
    if not shared:
        return None
    first: np.ndarray = np.array([a.values[i] for i in shared])
    second: np.ndarray = np.array([of_b[a.numbers[i]] for i in shared])
    cluster = clusters_of([a.clusters[i] for i in shared])
    result = paired_difference(first, second, cluster, np.zeros(len(shared), int))
    return {
        "a": a.id,
        "b": b.id,
        "protocol": a.protocol,
        "metric": a.metric,
        "samples": len(shared),
        "means": [float(first.mean()), float(second.mean())],
        "difference": result.value,
        "interval": result.interval,
        "p": result.p_value,
        "wins": result.wins,
        "losses": result.losses,
        "ties": result.ties,
    }
