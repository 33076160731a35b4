"""Averages over samples with 95 % intervals: micro (every sample alike), by slice, and macro (every slice value alike)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np

from mpeval.types import Metric, SampleScore

Z = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""
REPLICATES = 1000
_CHUNK = 100


def wilson(rate: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a rate over `count` independent trials (Wilson, JASA 22, 1927)."""
    center = rate + Z * Z / (2 * count)
    spread = Z * sqrt(rate * (1 - rate) / count + Z * Z / (4 * count * count))
    scale = 1 + Z * Z / count
    return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)


def cluster_bootstrap(
    sums: np.ndarray, counts: np.ndarray, replicates: int = REPLICATES, seed: int = 0
) -> np.ndarray:
    """Means under resampling of whole clusters with replacement, [replicates, columns]; NaN where nothing was drawn.

    sums, counts: [clusters, columns], the values' sum and number in each cluster; a column is one group of samples. All
    columns share the draws, so that averages of columns can be taken replicate by replicate. (Field & Welsh, JRSS B 69,
    2007: the cluster bootstrap.)
    """
    clusters = len(sums)
    draws = np.random.default_rng(seed)
    both = np.concatenate([sums, counts], axis=1)
    totals = []
    for start in range(0, replicates, _CHUNK):
        rows = min(_CHUNK, replicates - start)
        drawn = draws.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        totals.append(times.astype(np.float64) @ both)
    total_sum, total_count = np.split(np.concatenate(totals), 2, axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(total_count > 0, total_sum / total_count, np.nan)


def summarize(
    scores: Sequence[SampleScore],
    slices: Sequence[Mapping[str, str]],
    clusters: Sequence[str],
    seed: int = 0,
) -> list[Metric]:
    """Every metric over all samples (micro), over each slice value, and macro over each slice's values.

    clusters: a name for each sample; samples of one cluster (queries on one picture) are not independent. A macro
    average is named `macro_<metric>_by_<slice>`: the plain mean of the slice values' means, over values that have
    samples. `format_failures` is the rate of answers from which nothing could be read. Rates over samples that are all
    of different clusters get Wilson's interval, all else the cluster bootstrap's.
    """
    if not scores:
        return []
    values: dict[str, np.ndarray] = {
        name: np.array([score.values.get(name, np.nan) for score in scores], float)
        for name in dict.fromkeys(name for score in scores for name in score.values)
    }
    values["format_failures"] = np.array([score.outcome == "format" for score in scores], float)
    groups = _groups(slices)
    cluster = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)[1]
    return [metric for name in values for metric in _metrics(name, values[name], groups, cluster, seed)]


def _groups(slices: Sequence[Mapping[str, str]]) -> dict[str, dict[str, np.ndarray]]:
    """Slice name -> value -> which samples, bool [samples]; values in alphabetical order."""
    groups = {}
    for name in dict.fromkeys(name for sample in slices for name in sample):
        of_sample = np.array([sample.get(name, "") for sample in slices], dtype=str)
        has = np.array([name in sample for sample in slices])
        groups[name] = {str(value): has & (of_sample == value) for value in np.unique(of_sample[has])}
    return groups


def _metrics(
    name: str,
    values: np.ndarray,
    groups: dict[str, dict[str, np.ndarray]],
    cluster: np.ndarray,
    seed: int,
) -> list[Metric]:
    known = ~np.isnan(values)
    members = [known] + [known & member for group in groups.values() for member in group.values()]
    labels = [None] + [f"{group}={value}" for group in groups for value in groups[group]]
    kept = [i for i, member in enumerate(members) if member.any()]
    members, labels = [members[i] for i in kept], [labels[i] for i in kept]
    estimates = [float(values[member].mean()) for member in members]
    replicates = _replicates(values, members, cluster, seed)
    metrics = [
        Metric(
            name,
            estimate,
            int(member.sum()),
            _interval(estimate, values[member], cluster[member], column),
            label,
        )
        for estimate, member, label, column in zip(estimates, members, labels, replicates.T, strict=True)
    ]
    for group in groups:
        columns = [i for i, label in enumerate(labels) if label and label.startswith(f"{group}=")]
        if len(columns) > 1:
            metrics.append(_macro(f"macro_{name}_by_{group}", columns, metrics, replicates))
    return metrics


def _replicates(values: np.ndarray, members: list[np.ndarray], cluster: np.ndarray, seed: int) -> np.ndarray:
    size = int(cluster.max()) + 1
    sums = [np.bincount(cluster[member], values[member], size) for member in members]
    counts = [np.bincount(cluster[member], minlength=size) for member in members]
    return cluster_bootstrap(np.stack(sums, 1), np.stack(counts, 1), seed=seed)


def _interval(
    estimate: float, values: np.ndarray, cluster: np.ndarray, replicates: np.ndarray
) -> tuple[float, float] | None:
    """A 95 % interval that holds the estimate; None where no honest one is known."""
    bounded = values.min() >= 0 and values.max() <= 1
    clusters = len(np.unique(cluster))
    rate = bool(np.isin(values, (0.0, 1.0)).all()) and clusters == len(values)
    # Equal values leave a bootstrap nothing to vary: 12 perfect answers would have no uncertainty. Among bounded values
    # a rate varies most, so that Wilson's interval over the clusters errs on the wide side.
    if bounded and (rate or values.min() == values.max()):
        low, high = wilson(estimate, clusters)
    elif clusters > 1:
        low, high = np.nanpercentile(replicates, (2.5, 97.5))
    else:
        return None
    return min(float(low), estimate), max(float(high), estimate)


def _macro(name: str, columns: list[int], metrics: list[Metric], replicates: np.ndarray) -> Metric:
    estimate = float(np.mean([metrics[i].value for i in columns]))
    of_replicate = replicates[:, columns]
    complete = of_replicate[~np.isnan(of_replicate).any(1)]
    interval = None
    if len(complete) > 1 and np.ptp(complete.mean(1)) > 0:
        low, high = np.percentile(complete.mean(1), (2.5, 97.5))
        interval = min(float(low), estimate), max(float(high), estimate)
    return Metric(name, estimate, sum(metrics[i].count for i in columns), interval)
