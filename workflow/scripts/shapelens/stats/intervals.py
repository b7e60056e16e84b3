"""Intervals of proportions and of bootstrapped quantities, and Holm's adjustment."""

import math
from collections.abc import Callable, Hashable, Mapping
from statistics import NormalDist
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Key = TypeVar("Key", bound=Hashable)
FloatArray = NDArray[np.float64]

UNSTABLE = 0.05
"""Largest share of undefined resamples with which an interval is still given."""


class Interval(NamedTuple):
    """A value with its interval; all NaN where the value is undefined."""

    value: float
    low: float
    high: float
    method: str
    """``wilson``, ``clopper-pearson``, ``bca``, ``bca, widened``, ``percentile``, ``exact`` or ``undefined``."""

    def scaled(self, factor: float) -> "Interval":
        """Return the interval in another unit."""
        return Interval(self.value * factor, self.low * factor, self.high * factor, self.method)


UNDEFINED = Interval(math.nan, math.nan, math.nan, "undefined")


def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a proportion of ``k`` out of ``n`` (Wilson 1927), without continuity correction.

    Raises ValueError unless 0 ≤ k ≤ n and n > 0.
    """
    _check(k, n)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def clopper_pearson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a proportion of ``k`` out of ``n`` (Clopper and Pearson 1934).

    Raises ValueError unless 0 ≤ k ≤ n and n > 0.
    """
    _check(k, n)
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return low, high


def proportion(k: int, n: int, confidence: float = 0.95) -> Interval:
    """Return ``k``/``n`` with its interval: Clopper–Pearson where the sample is all equal, else Wilson.

    An empty sample (``n`` = 0) is undefined: NaN, never 0. Raises ValueError unless 0 ≤ k ≤ n.
    """
    if n == 0 and k == 0:
        return UNDEFINED
    _check(k, n)
    if k in (0, n):
        return Interval(k / n, *clopper_pearson(k, n, confidence), "clopper-pearson")
    return Interval(k / n, *wilson(k, n, confidence), "wilson")


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is no proportion; 0 <= k <= n and n > 0 are needed")


def unseen(n: int, confidence: float) -> float:
    """Return the exact upper bound of a proportion of which none was seen among ``n`` images."""
    return float(1 - ((1 - confidence) / 2) ** (1 / n)) if n > 0 else 1.0


def bca(value: float, draws: FloatArray, jackknife: FloatArray, confidence: float) -> tuple[float, float]:
    """Return the bias-corrected and accelerated bootstrap interval (Efron 1987).

    Args:
        value: the estimate.
        draws: (resamples,) the estimate in each resample; undefined ones (NaN) are left out.
        jackknife: (units,) the estimate without each unit in turn.
        confidence: coverage.

    Returns NaN where the value, or more than one resample in twenty, is undefined.
    """
    defined = draws[np.isfinite(draws)]
    if not math.isfinite(value) or len(defined) < (1 - UNSTABLE) * len(draws):
        return math.nan, math.nan
    normal = NormalDist()
    # Ties count half, and no resample on one side counts as less than one: both keep the correction finite.
    below = np.mean(defined < value) + np.mean(defined == value) / 2
    least = 1 / (len(defined) + 1)
    correction = normal.inv_cdf(min(max(float(below), least), 1 - least))
    # Images outside a ratio's denominator leave it as it is, so they add nothing here.
    lever = jackknife[np.isfinite(jackknife)]
    lever = lever.mean() - lever if len(lever) else np.zeros(1)
    spread = float((lever**2).sum())
    acceleration = float((lever**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        shifted = correction + normal.inv_cdf(tail)
        scale = 1 - acceleration * shifted
        ends.append(normal.cdf(correction + shifted / scale) if scale > 0 else float(tail > 0.5))
    low, high = np.quantile(defined, ends)
    return float(low), float(high)


def percentile(value: float, draws: FloatArray, confidence: float) -> tuple[float, float]:
    """Return the bootstrap's percentile interval, widened where needed to hold the value itself.

    For rank correlations: they take few values, and resampling lowers them, which BCa would take for a bias of the
    estimate.
    Returns NaN where the value, or more than one resample in twenty, is undefined.
    """
    defined = draws[np.isfinite(draws)]
    if not math.isfinite(value) or len(defined) < (1 - UNSTABLE) * len(draws):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return min(float(low), value), max(float(high), value)


def holm(decide: Mapping[Key, Callable[[float], bool]], confidence: float) -> dict[Key, float]:
    """Return the confidence at which each of several intervals is to be read (Holm 1979, in steps).

    With k intervals undecided, each is made at confidence 1 − α/k; those that then decide keep that confidence, and
    the others are made again for the smaller k, until none decides. The decisions are those of Holm's procedure, so
    the chance of any false one is at most α; undecided intervals keep the last and lowest confidence tried.

    Args:
        decide: for each question, whether its interval at a given confidence lies wholly on one side.
        confidence: 1 − α, for the questions together.
    """
    alpha = 1 - confidence
    levels: dict[Key, float] = {}
    pending = list(decide)
    while pending:
        level = 1 - alpha / len(pending)
        closed = [key for key in pending if decide[key](level)]
        levels.update(dict.fromkeys(closed or pending, level))
        if not closed:
            break
        pending = [key for key in pending if key not in levels]
    return {key: levels[key] for key in decide}
