"""95 % intervals of a mean score and of a paired difference, for samples that come in clusters.

Samples of one picture or one video are not independent. Both intervals stay inside their range, keep some width
where every answer is right, and take an *effective* number of samples: the number of independent ones that
would vary as much. `mpeval.metrics.coverage` measures how often they hold the truth; docs/compare.md shows what
it found. Constants that it chose say so.

Everywhere: sums, squares, magnitudes [..., clusters, strata] are sums of the values, of their squares and of
their absolute values in each cluster and stratum; counts [clusters, strata] are the numbers of samples.
Leading axes are data sets of the same shape. The mean is that of the strata's means (a macro average): one
stratum gives the plain mean. Every stratum has a sample, and there are two clusters, or samples in no cluster.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Z = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""

PRIOR_CORRELATION = 0.2
"""Correlation within clusters that is assumed where the data hardly speak of it; chosen by simulation."""

PRIOR_WEIGHT = 10.0
"""Degrees of freedom that this assumption is worth at most in the interval of a score; chosen by simulation."""

PRIOR_CLUSTERS = 1 / 3
"""Clusters that this assumption is worth in the interval of a difference; chosen by simulation."""

FEW_CLUSTERS_DIFFER = 5.0
"""How much less than Student's the quantile of a difference is in few clusters; chosen by simulation."""

LEAST_DESIGN_EFFECT = 0.25
"""Few clusters can agree by chance, and would leave an interval without width."""

_SMALL = 1e-9
"""Variances below it are rounding."""


def wilson(
    rate: np.ndarray | float, size: np.ndarray | float, quantile: np.ndarray | float = Z
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of a rate over `size` independent trials, low and high (Wilson, JASA 22, 1927)."""
    z2 = np.square(quantile) / size
    center = rate + z2 / 2
    spread = np.sqrt(z2 * np.maximum(rate * (1 - rate), 0.0) + z2 * z2 / 4)
    return np.maximum((center - spread) / (1 + z2), 0.0), np.minimum((center + spread) / (1 + z2), 1.0)


def plus_two(rate: np.ndarray | float, size: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Wald's interval of a rate over `size` independent trials with a hit and a miss added to them, low and high.

    One of each is what Agresti & Caffo (The American Statistician 54, 2000) add to each of two samples. For a single
    one of 100 trials it holds rates of 0.01 to 0.5 in 93.2 % of draws at least, Wilson's in 92.1 (of 500 in 94.1 and
    93.5); it is wider where few hits are expected. Without any hit it ends at 3/size.
    """
    trials = size + 2
    center = (size * rate + 1) / trials
    half = Z * np.sqrt(center * (1 - center) / trials)
    return np.maximum(center - half, 0.0), np.minimum(center + half, 1.0)


def tango(
    difference: np.ndarray, disagreement: np.ndarray, size: np.ndarray, quantile: np.ndarray | float = Z
) -> tuple[np.ndarray, np.ndarray]:
    """Tango's score interval of a difference of paired rates (Tango, Statistics in Medicine 17, 1998).

    disagreement: share of pairs in which the two differ; size: pairs. It holds every difference whose
    standardized distance to the one seen is no larger than the quantile, with the variance that is most
    likely under that difference.
    """
    gains, losses = (disagreement + difference) / 2, (disagreement - difference) / 2

    def holds(other: np.ndarray) -> np.ndarray:
        linear = (2 - gains + losses) * other - gains - losses
        discriminant = linear * linear + 8 * losses * other * (1 - other)
        likely_losses = (np.sqrt(np.maximum(discriminant, 0.0)) - linear) / 4
        variance = np.maximum(2 * likely_losses + other * (1 - other), 1e-15) / size
        return (difference - other) ** 2 <= np.square(quantile) * variance

    return _last(holds, difference, -1.0), _last(holds, difference, 1.0)


def rate_interval(sums: np.ndarray, squares: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a mean of values in 0..1, low and high [...].

    Samples that stand alone: `plus_two`. Clusters: Wilson's interval with n/deff samples, as in surveys (Korn &
    Graubard, Survey Methodology 24, 1998). The design effect is estimated from the clusters, but near 0 and 1,
    where few clusters differ from the rest and the estimate is too small whenever the rate is, it leans on an
    assumed correlation. Values between 0 and 1 vary less than a rate does, and count for more samples by
    that ratio.
    """
    moments = _moments(sums, squares, counts)
    strata, samples = counts.shape[1], counts.sum()
    means, smooth = moments.means, (sums.sum(-2) + 0.5) / (moments.per_stratum + 1)
    of_rate = (means * (1 - means) / moments.per_stratum).mean(-1) / strata
    size = _size(moments, of_rate, (smooth * (1 - smooth) / moments.per_stratum).mean(-1) / strata, samples)
    rate = smooth.mean(-1)
    variance = rate * (1 - rate)
    if moments.cluster_size == 1:
        return plus_two(means.mean(-1), variance * size)

    assumed = 1 + (moments.cluster_size - 1) * PRIOR_CORRELATION
    seen = moments.design_effect(1.0)
    # Excess kurtosis of a cluster's sum, as if it were of cluster_size/deff independent trials: the more of
    # it, the less the spread between clusters tells of their variance.
    kurtosis = (1 - 6 * variance) / (variance * moments.cluster_size / np.maximum(assumed, seen))
    freedom = moments.clusters - 1
    told = np.where(moments.varies, freedom / (1 + 1.5 * np.maximum(kurtosis, 0.0)), 0.0)
    lent = np.minimum(4 * (freedom - told), PRIOR_WEIGHT)
    effect = np.maximum((told * seen + lent * assumed) / (told + lent), LEAST_DESIGN_EFFECT)
    return wilson(means.mean(-1), variance * size / effect, student(told + lent))


def difference_interval(
    sums: np.ndarray, squares: np.ndarray, magnitudes: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a mean of differences in -1..1, low and high [...].

    Tango's interval with n/deff pairs. The design effect is what the clusters show; where few of them differ at
    all it leans on an assumed correlation, and the quantile is less than Student's (`_quantile`).
    """
    moments = _moments(sums, squares, counts)
    strata, samples = counts.shape[1], counts.sum()
    difference, disagreement = moments.means, magnitudes.sum(-2) / moments.per_stratum
    of_rates = ((disagreement - difference**2) / moments.per_stratum).mean(-1) / strata
    smooth = (magnitudes.sum(-2) + 0.5) / (moments.per_stratum + 1) - difference**2
    smooth = np.maximum(smooth, _SMALL)
    size = _size(moments, of_rates, (smooth / moments.per_stratum).mean(-1) / strata, samples)
    variance = smooth.mean(-1)
    if moments.cluster_size == 1:
        quantile = student(moments.clusters - 1)
        return tango(difference.mean(-1), disagreement.mean(-1), variance * size, quantile)

    assumed = 1 + (moments.cluster_size - 1) * PRIOR_CORRELATION
    seen = np.maximum(moments.design_effect(assumed), LEAST_DESIGN_EFFECT)
    differing = np.count_nonzero(magnitudes.sum(-1), axis=-1)
    told = differing / (differing + PRIOR_CLUSTERS)
    effect = seen**told * assumed ** (1 - told)
    quantile = _quantile(differing, moments.clusters, assumed)
    return tango(difference.mean(-1), disagreement.mean(-1), variance * size / effect, quantile)


def mean_interval(sums: np.ndarray, squares: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a mean of values without bounds: Student's, with the variance between clusters."""
    moments = _moments(sums, squares, counts)
    mean, half = moments.means.mean(-1), student(moments.clusters - 1) * np.sqrt(moments.clustered)
    return mean - half, mean + half


def student(freedom: np.ndarray | float) -> np.ndarray:
    """Two-sided 95 % quantile of Student's distribution."""
    from scipy.special import stdtrit

    return stdtrit(freedom, 0.975)


def _quantile(differing: np.ndarray, clusters: int, assumed: float) -> np.ndarray:
    """Of a difference over its standard error: Student's, less where few clusters differ, but three or more.

    t² of c clusters is S(c-1)/(c-S), where S, the square of the sum over the sum of squares, cannot exceed the number
    of clusters that differ: its tails are the lighter, the fewer these are, and Student's quantile holds zero
    too often. One or two clusters can never leave out zero; there it stays. assumed: design effect.
    """
    t = student(clusters - 1)
    if clusters < 4:
        return np.full(np.shape(differing), t)
    few = FEW_CLUSTERS_DIFFER * (1 - 1 / assumed)
    largest = clusters * t**2 / (clusters - 1 + t**2)
    share = largest * (1 - few / np.maximum(differing, 3) ** 2) / (1 - few / clusters**2)
    return np.where(differing >= 3, np.sqrt(share * (clusters - 1) / (clusters - share)), t)


class _Moments(NamedTuple):
    means: np.ndarray
    """[..., strata]"""
    per_stratum: np.ndarray
    """Samples, [strata]."""
    clusters: int
    cluster_size: float
    """That of equal clusters with the same loss for the same correlation; 1 where each sample stands alone."""
    independent: np.ndarray
    """Variance of the mean if samples were independent, [...]."""
    clustered: np.ndarray
    """Variance of the mean from the spread between clusters, [...]."""

    @property
    def varies(self) -> np.ndarray:
        return self.independent > 0

    def design_effect(self, otherwise: float) -> np.ndarray:
        """Ratio of the two variances [...], `otherwise` where nothing varies."""
        return np.where(self.varies, self.clustered / np.where(self.varies, self.independent, 1.0), otherwise)


def _moments(sums: np.ndarray, squares: np.ndarray, counts: np.ndarray) -> _Moments:
    strata = counts.shape[1]
    of_cluster = counts.sum(1)
    clusters = int(np.count_nonzero(of_cluster))
    per_stratum = counts.sum(0)
    weight = 1 / (strata * per_stratum)  # of one sample in the mean
    means = sums.sum(-2) / per_stratum
    residuals = ((sums - counts * means[..., None, :]) * weight).sum(-1)
    spread = squares.sum(-2) - per_stratum * means**2
    independent = (np.where(spread > _SMALL * per_stratum, spread, 0.0) * weight**2).sum(-1)
    size = 1.0 if of_cluster.max() == 1 else np.square((counts * weight).sum(1)).sum() / (per_stratum * weight**2).sum()
    clustered = clusters / max(clusters - 1, 1) * np.square(residuals).sum(-1)
    return _Moments(means, per_stratum, clusters, float(size), independent, clustered)


def _size(moments: _Moments, of_rates: np.ndarray, smoothed: np.ndarray, samples: float) -> np.ndarray:
    """1 / variance of the mean of independent samples, in units of a single rate's variance.

    of_rates: that variance if the values were rates of the same means; smoothed: the same with means drawn in
    from the ends. Two samples that vary as rates do are added, so that a few equal values claim little.
    """
    known = moments.varies & (of_rates > 0)
    ratio = np.where(known, moments.independent / np.where(known, of_rates, 1.0), 1.0)
    return 1 / ((samples * ratio + 2) / (samples + 2) * smoothed)


def _last(holds, start: np.ndarray, end: float) -> np.ndarray:
    """The last value from start towards end that an interval holds; it holds the start, and all in between."""
    near, far = np.array(start, float), np.full(np.shape(start), end)
    for _ in range(40):
        middle = (near + far) / 2
        inside = holds(middle)
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return near
