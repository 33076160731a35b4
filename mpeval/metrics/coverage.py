"""How often the 95 % intervals hold the truth, measured by simulation: `python -m mpeval.metrics.coverage`.

Right and wrong answers are drawn with a known rate, alone or in clusters of 16 (as many queries on one video)
whose answers go together; a cluster's own rate varies so that the correlation within clusters is as said:

- `beta`: beta-distributed, which makes a cluster's hits beta-binomial;
- `normal`: a normal variable under a probit (a Gaussian copula);
- `copies`: each answer repeats one answer of its cluster with probability sqrt(correlation), else stands
  alone (Lunn & Davies, Biometrika 85, 1998): few clusters, far from the rest. The hardest of the three.

Pairs of models (`Pair`) say how the second model's answers hang together with the first's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Literal

import click
import numpy as np

from mpeval.metrics.intervals import difference_interval, rate_interval

Score = Literal["rate", "graded", "macro"]
"""A rate; a mean of values in steps of a quarter; the mean of the rates of four slices."""

SIZES = (100, 500, 1500)
RATES = (0.05, 0.5, 0.95)
MOVES = (*((rate, rate) for rate in RATES), (0.05, 0.1), (0.5, 0.6))
"""Rates of two models."""
_CHUNK = 500
_REPLICATES = 1000
_STEPS = 4
_LEAST = 1e-6


@dataclass(frozen=True)
class Arrangement:
    """How answers hang together within clusters."""

    name: str
    cluster_size: int = 16
    correlation: float = 0.3
    kind: Literal["beta", "normal", "copies"] = "beta"


INDEPENDENT = Arrangement("independent", 1, 0.0)
ARRANGEMENTS = (
    INDEPENDENT,
    Arrangement("16, 0.3, beta"),
    Arrangement("16, 0.3, normal", kind="normal"),
    Arrangement("16, 0.3, copies", kind="copies"),
    Arrangement("16, 0.1, beta", correlation=0.1),
    Arrangement("16, 0.6, beta", correlation=0.6),
    Arrangement("16, 0, beta", correlation=0.0),
)


@dataclass(frozen=True)
class Pair:
    """How a second model's answers hang together with the first's."""

    name: str
    copied: float = 0.0
    """Probability that an answer is right or wrong as the first model's is, whatever the cluster."""
    shared: bool = False
    """Both have the same rate in a cluster; else each its own."""


PAIRS = (
    Pair("unrelated"),
    Pair("half copied", copied=0.5),
    Pair("same clusters hard", shared=True),
    Pair("same hard, half copied", copied=0.5, shared=True),
)


def cluster_sizes(samples: int, size: int) -> np.ndarray:
    """Clusters of the size, and one of what is left, int [clusters]."""
    rest = [samples % size] if samples % size else []
    return np.array([size] * (samples // size) + rest)


def cluster_rates(
    draws: np.random.Generator, shape: tuple[int, int], rate: float, arrangement: Arrangement
) -> np.ndarray:
    """Each cluster's own rate, float of the shape."""
    correlation = arrangement.correlation
    if correlation == 0:
        return np.full(shape, rate)
    if arrangement.kind == "beta":
        weight = (1 - correlation) / correlation
        return draws.beta(rate * weight, (1 - rate) * weight, shape)
    if arrangement.kind == "copies":
        share = np.sqrt(correlation)
        return share * (draws.random(shape) < rate) + (1 - share) * rate
    from scipy.special import ndtr, ndtri

    latent = _latent_correlation(rate, correlation)
    return ndtr((ndtri(rate) + np.sqrt(latent) * draws.standard_normal(shape)) / np.sqrt(1 - latent))


@lru_cache
def _latent_correlation(rate: float, correlation: float) -> float:
    """Correlation of two normal variables that are both below the rate's quantile with this correlation."""
    from scipy.optimize import brentq
    from scipy.special import ndtri, owens_t

    def excess(latent: float) -> float:
        both = rate - 2 * owens_t(ndtri(rate), np.sqrt((1 - latent) / (1 + latent)))
        return (both - rate * rate) / (rate * (1 - rate)) - correlation

    return float(brentq(excess, 1e-6, 0.999))


def score_coverage(
    samples: int, rate: float, arrangement: Arrangement, draws: int, seed: int = 0, score: Score = "rate"
) -> float:
    """Share of draws in which the interval of a score holds its true mean, which is `rate`."""
    sizes = cluster_sizes(samples, arrangement.cluster_size)
    counts = _strata(sizes) if score == "macro" else sizes[:, None]
    if score == "graded":  # what is within a cluster varies less by the number of steps
        correlation = arrangement.correlation
        arrangement = replace(arrangement, correlation=correlation / (correlation + _STEPS * (1 - correlation)))
    held = 0
    for generator, rows in _chunks(draws, seed):
        rates = cluster_rates(generator, (rows, len(sizes)), rate, arrangement)
        if score == "graded":
            values = generator.binomial(_STEPS, np.repeat(rates, sizes, axis=1)) / _STEPS
            starts = np.cumsum(sizes) - sizes
            sums, squares = (np.add.reduceat(each, starts, axis=1)[..., None] for each in (values, values**2))
        else:
            sums = squares = generator.binomial(counts, rates[..., None]).astype(float)
        held += _held(rate_interval(sums, squares, counts), rate)
    return held / draws


def _strata(sizes: np.ndarray) -> np.ndarray:
    """Samples of each cluster in four slices that hold a half, a quarter, an eighth and an eighth, [clusters, 4]."""
    of_sample = np.array([0, 1, 0, 2, 0, 1, 0, 3])[np.arange(sizes.sum()) % 8]
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    return np.bincount(cluster * 4 + of_sample, minlength=4 * len(sizes)).reshape(-1, 4)


def difference_coverage(
    samples: int,
    rates: tuple[float, float],
    arrangement: Arrangement,
    pair: Pair,
    draws: int,
    seed: int = 0,
    method: Callable = difference_interval,
) -> float:
    """Share of draws in which the interval of a paired difference holds the true one.

    rates: of the first model, and of the second model's answers that are not copied.
    """
    counts = cluster_sizes(samples, arrangement.cluster_size)
    held = 0
    for generator, rows in _chunks(draws, seed):
        shape = (rows, len(counts))
        first = cluster_rates(generator, shape, rates[0], arrangement)
        second = cluster_rates(generator, shape, rates[1], arrangement)
        if pair.shared:
            easier = rates[1] >= rates[0]  # the same clusters stay the hard ones
            second = 1 - (1 - first) * (1 - rates[1]) / (1 - rates[0]) if easier else first * rates[1] / rates[0]
        losing = (1 - pair.copied) * first * (1 - second)
        winning = (1 - pair.copied) * (1 - first) * second
        wins = generator.binomial(counts, winning)
        losses = generator.binomial(counts - wins, losing / (1 - winning))
        sums, squares = (wins - losses)[..., None].astype(float), (wins + losses)[..., None].astype(float)
        interval = method(sums, squares, squares, counts[:, None])
        held += _held(interval, (1 - pair.copied) * (rates[1] - rates[0]))
    return held / draws


def percentile_bootstrap(
    sums: np.ndarray, squares: np.ndarray, magnitudes: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The usual interval, for comparison: percentiles of means of clusters that are drawn with replacement."""
    clusters = len(counts)
    times = np.random.default_rng(1).multinomial(clusters, np.full(clusters, 1 / clusters), _REPLICATES).T.astype(float)
    low, high = np.percentile(sums[..., 0] @ times / (counts[:, 0] @ times), (2.5, 97.5), axis=-1)
    return low, high


def one_direction(
    sums: np.ndarray, squares: np.ndarray, magnitudes: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Leaves out zero whenever three or more clusters differ and all do in one direction, for comparison.

    No interval should be as bold, for three clusters do so by chance in a quarter of draws.
    """
    up, down = (np.count_nonzero(each[..., 0] > 0, axis=-1) for each in (sums, -sums))
    bold = (np.minimum(up, down) == 0) & (up + down >= 3)
    return np.where(bold & (up > 0), _LEAST, -1.0), np.where(bold & (down > 0), -_LEAST, 1.0)


def _chunks(draws: int, seed: int) -> Iterator[tuple[np.random.Generator, int]]:
    generator = np.random.default_rng(seed)
    for start in range(0, draws, _CHUNK):
        yield generator, min(_CHUNK, draws - start)


def _held(interval: tuple[np.ndarray, np.ndarray], truth: float) -> int:
    """Limits of few answers fall on round numbers: the last digit of a float must not decide."""
    low, high = interval
    return int(np.count_nonzero((low <= truth + 1e-9) & (truth - 1e-9 <= high)))


METHODS: dict[str, Callable] = {
    "differences": difference_interval,
    "boldest": one_direction,
    "bootstrap": percentile_bootstrap,
}
TABLES = ("scores", "other", *METHODS)


@click.command()
@click.option("--draws", default=10_000, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True)
@click.option("--table", "tables", type=click.Choice(TABLES), multiple=True, default=TABLES, help="Default: all.")
def command(draws: int, seed: int, tables: tuple[str, ...]) -> None:
    """Print coverage in % as Markdown tables: of intervals of scores and of paired differences.

    "other" scores are graded values and macro averages; "bootstrap" is the percentile bootstrap of a difference, to
    compare with; "boldest" says how often an interval holds zero that leaves it out wherever it might.
    """
    cells: dict[tuple[str, ...], Callable]
    for table in tables:
        print(f"{table}: {draws} draws, seed {seed}\n")
        if table == "scores":
            cells = {(each.name,): _score_cell(each, draws, seed) for each in ARRANGEMENTS}
            _print(SIZES, RATES, cells, ("clusters",))
        elif table == "other":
            kinds = product(ARRANGEMENTS[:2], ("graded", "macro"))
            cells = {(each.name, kind): _score_cell(each, draws, seed, kind) for each, kind in kinds}
            _print(SIZES, RATES, cells, ("clusters", "score"))
        else:
            cells = {
                (each.name, pair.name): _difference_cell(each, pair, draws, seed, METHODS[table])
                for each, pair in _arranged_pairs(table)
            }
            few = table == "boldest"  # clusters, and models that are equally good
            _print(SIZES[:1] if few else SIZES, MOVES[:3] if few else MOVES, cells, ("clusters", "models"))
        print()


def _arranged_pairs(table: str) -> list[tuple[Arrangement, Pair]]:
    """Rows of a table of differences: every pair of models in beta clusters of 0.3, two in all other arrangements."""
    clustered = [(ARRANGEMENTS[1], pair) for pair in PAIRS]
    if table == "boldest":
        return clustered
    alone = [(INDEPENDENT, pair) for pair in PAIRS if not pair.shared]  # without clusters there is nothing to share
    others = list(product(ARRANGEMENTS[2:], PAIRS[:2]))
    return alone + clustered + (others if table == "differences" else [])


def _score_cell(arrangement: Arrangement, draws: int, seed: int, score: Score = "rate") -> Callable:
    return lambda samples, rate: score_coverage(samples, rate, arrangement, draws, seed, score)


def _difference_cell(arrangement: Arrangement, pair: Pair, draws: int, seed: int, method: Callable) -> Callable:
    return lambda samples, rates: difference_coverage(samples, rates, arrangement, pair, draws, seed, method)


def _print(
    sizes: tuple[int, ...], columns: tuple, cells: dict[tuple[str, ...], Callable], names: tuple[str, ...]
) -> None:
    """Markdown: a row for each number of samples and each cell's name, a column for each rate or pair of rates."""
    heads = [" to ".join(map(str, dict.fromkeys(each))) if isinstance(each, tuple) else str(each) for each in columns]
    print("| " + " | ".join(["samples", *names, *heads]) + " |")
    print("|---" * (1 + len(names)) + "|---:" * len(heads) + "|")
    for samples in sizes:
        for name, cell in cells.items():
            values = [f"{100 * cell(samples, each):.1f}" for each in columns]
            print("| " + " | ".join([str(samples), *name, *values]) + " |", flush=True)


if __name__ == "__main__":
    command()
