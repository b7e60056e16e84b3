"""Intervals of proportions and of means over images and seeds, and Holm's adjustment."""

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
    """``wilson``, ``clopper-pearson``, ``t``, ``fieller``, ``percentile``, ``exact`` or ``undefined``.

    Of ``t`` and ``exact`` the first may be ``widened`` to the second, and both may be ``over images and seeds``.
    """

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


def skewness_factor(n: int) -> float:
    """Return what the skewness of ``n`` > 2 values is multiplied by to be that of their population.

    Moments of few values are too small in size. The adjusted coefficient G1 (Joanes and Gill 1998) mends that for a
    normal population; the further factor 1 + 6/n is about what Bobée and Robitaille (1975) found for skewed ones.
    """
    return math.sqrt(n * (n - 1)) / (n - 2) * (1 + 6 / n)


def t_lengths(
    n: FloatArray | int, error: FloatArray | float, skew: FloatArray | float, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Return how far the interval of a mean reaches below and above it; NaN for fewer than two values.

    Student's t, or where that is longer, t after Hall's (1992) monotone transformation, which takes out what a skewed
    population adds: of 12 log-normal values Student's interval covers 85 % where it says 95, this one 94. On the side
    away from the tail Student's is kept, since the skewness of few values is itself uncertain.

    Args:
        n: number of values.
        error: standard error of the mean.
        skew: skewness of the population, estimated with ``skewness_factor``.
        confidence: coverage.
    """
    from scipy.special import stdtrit

    count = np.asarray(n, float)
    q = np.where(count > 1, stdtrit(np.maximum(count - 1, 1), (1 + confidence) / 2), np.nan)
    slope = np.asarray(skew, float) / np.sqrt(np.maximum(count, 1))
    below, above = (np.maximum(q, side) for side in (_unskewed(q, slope), -_unskewed(-q, slope)))
    return below * error, above * error


def _unskewed(t: FloatArray, slope: FloatArray) -> FloatArray:
    """Return the inverse of Hall's transformation t + a·t²/3 + a²·t³/27 + a/6, where a is skewness over √n."""
    safe = np.where(np.abs(slope) > 1e-9, slope, 1.0)
    bent = 3 / safe * (np.cbrt(1 + safe * (t - safe / 6)) - 1)
    return np.asarray(np.where(np.abs(slope) > 1e-9, bent, t))


def combined(
    lengths: FloatArray | float,
    error: FloatArray | float,
    others: FloatArray | float,
    other_error: FloatArray | float,
) -> FloatArray:
    """Return the length of an interval of a mean with two independent errors (Cochran and Cox 1950).

    The quantiles of both, each for its own degrees of freedom, are averaged with the variances as weights; the chance
    of missing the truth is at most the nominal one, also where one of them has two degrees of freedom.

    Args:
        lengths: how far the interval would reach with the first error alone.
        error: the first standard error.
        others: how far it would reach with the second error alone.
        other_error: the second standard error.
    """
    total = np.hypot(error, other_error)
    weighted = np.asarray(lengths * error + others * other_error)
    length: FloatArray = np.divide(weighted, total, out=np.zeros(np.broadcast(weighted, total).shape), where=total > 0)
    return length


def percentile(value: float, draws: FloatArray, confidence: float) -> tuple[float, float]:
    """Return the bootstrap's percentile interval, widened where needed to hold the value itself.

    For rank correlations, which take few values, so that no standard error describes them.
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
