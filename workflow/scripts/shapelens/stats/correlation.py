"""Kendall's τ-b between models' scores, its permutation test, and agreement with published numbers."""

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shapelens.seeds import generator
from shapelens.stats.intervals import FloatArray, percentile
from shapelens.stats.spec import Statistics

if TYPE_CHECKING:
    import pandas as pd

EXACT = 8
"""Up to this many items all permutations are enumerated."""
PERMUTATIONS = 20_000
"""Random permutations where there are more items."""
PUBLISHED_IMAGES = {"caltech256": 6000, "tinyimagenet": 10_000, "cifar10": 10_000}
"""Test images behind the published numbers; Caltech-256's are a fifth of each category, about 6,000."""
SEED_NOISE = 0.01
"""Standard deviation that another training seed is taken to add to an accuracy: one point."""
FEWEST = 8
"""Fewest published models with which agreement is measured."""
DECIMALS = 12
"""Accuracies closer than this are ties: they are ratios of the same counts summed in another order. So are τ-b."""

AGREEMENT = (
    *("dataset", "testset", "metric", "misprints", "models", "tau", "low", "high", "p"),
    *("reachable", "reachable_low", "reachable_high"),
)
"""Columns of the agreement."""


def kendall_tau(x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return Kendall's τ-b along the last axis (Kendall 1945); NaN where either side is all ties or undefined.

    Rounded to DECIMALS, so that orders with equal τ-b compare as equal wherever they come from.

    Args:
        x: (…, items).
        y: (…, items), broadcastable to ``x``.
    """
    first, second = (np.round(np.asarray(a, float), DECIMALS) for a in (x, y))
    i, j = np.triu_indices(first.shape[-1], 1)
    a = np.sign(first[..., i] - first[..., j])
    b = np.sign(second[..., i] - second[..., j])
    above = (a * b).sum(axis=-1)
    below = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    # NaN scores make ``below`` NaN, and so the quotient.
    tau: FloatArray = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)
    return np.round(tau, DECIMALS)


@dataclass(frozen=True)
class Permutation:
    """A one-sided permutation test of τ-b."""

    tau: float
    """The observed τ-b; NaN where undefined."""
    p: float
    """Share of permutations with τ-b at least as large."""
    null: FloatArray
    """τ-b of each permutation, ascending; empty where undefined."""
    exact: bool
    """Whether all permutations were enumerated."""

    def critical(self, alpha: float) -> float:
        """Return the least τ-b whose p would be below ``alpha``; infinite where none of the possible ones is."""
        tied = np.unique(self.null)
        at_least = len(self.null) - np.searchsorted(self.null, tied)
        extra = 0 if self.exact else 1
        p = (at_least + extra) / (len(self.null) + extra) if len(self.null) else np.ones(0)
        small = tied[p < alpha]
        return float(small[0]) if len(small) else math.inf


def permutation_test(x: ArrayLike, y: ArrayLike, data_seed: int = 0) -> Permutation:
    """Test whether ``y`` rises with ``x`` (one-sided), by permuting ``y``.

    Exact by enumeration up to eight items; for more, 20,000 random permutations and the observed order as one more, so
    that p is never zero and the test is valid.

    Args:
        x: (items,).
        y: (items,).
        data_seed: seed of the random permutations.
    """
    first, second = np.asarray(x, float), np.asarray(y, float)
    tau = float(kendall_tau(first, second)) if len(first) > 1 else math.nan
    if math.isnan(tau):
        return Permutation(math.nan, math.nan, np.zeros(0), True)
    exact = len(first) <= EXACT
    if exact:
        orders = np.array(list(itertools.permutations(range(len(first)))))
    else:
        rng = generator(data_seed, "permutations", len(first))
        orders = rng.permuted(np.tile(np.arange(len(first)), (PERMUTATIONS, 1)), axis=1)
    null = np.sort(kendall_tau(first, second[orders]))
    reached = int((null >= tau).sum())
    p = reached / len(null) if exact else (reached + 1) / (len(null) + 1)
    return Permutation(tau, p, null, exact)


def agreement(
    accuracy: "pd.DataFrame",
    *,
    kind: str,
    statistics: Statistics,
    data_seed: int = 0,
    misprints: "pd.DataFrame | None" = None,
) -> "pd.DataFrame":
    """Return Kendall's τ-b between measured and published values, where at least eight models are published.

    The interval is a percentile interval over imagined repetitions of the measurement: each model's mean is drawn from
    a normal distribution as wide as its own interval (images, and seeds from three on); published values stay as they
    are printed.

    ``reachable`` is the mean τ-b, with its central interval, that a perfect repetition of the paper would reach: the
    published values with the binomial noise of the paper's number of images (on correctly classified ones: of those
    that the model is published to classify correctly) and one point (s.d.) of seed noise. It is below 1, often far.

    Args:
        accuracy: the tidy table with its column ``published``.
        kind: kind of the dataset; the paper's number of images depends on it.
        statistics: confidence and number of draws.
        data_seed: seed of the draws.
        misprints: dataset, model, testset and metric of published numbers that are doubted; a test set that has some
            gets a second row, without the models whose number is one.

    Returns columns dataset, testset, metric, misprints (``kept`` or ``left out``), models, tau, low, high, p,
    reachable, reachable_low, reachable_high.
    """
    import pandas as pd

    means = accuracy[
        (accuracy["seed"].astype(str) == "mean") & accuracy["published"].notna() & accuracy["value"].notna()
    ]
    doubted = set() if misprints is None else _doubted(misprints, kind)
    rows: list[dict[str, Any]] = []
    for (dataset, testset, metric), group in means.groupby(["dataset", "testset", "metric"], sort=False):
        sound = group[[(model, testset, metric) not in doubted for model in group["model"]]]
        for what, part in (("kept", group), ("left out", sound)):
            if len(part) < FEWEST or (what == "left out" and len(part) == len(group)):
                continue
            names = (dataset, testset, metric) if what == "kept" else (dataset, testset, metric, what)
            rng = generator(data_seed, "agreement", *names)
            rows.append(
                {"dataset": dataset, "testset": testset, "metric": metric, "misprints": what}
                | _agreement(part, _published_images(means, part, kind), statistics, data_seed, rng)
            )
    return pd.DataFrame(rows, columns=AGREEMENT)


def _doubted(misprints: "pd.DataFrame", kind: str) -> set[tuple[str, str, str]]:
    own = misprints[misprints["dataset"] == kind]
    return set(zip(own["model"], own["testset"], own["metric"], strict=True))


def _agreement(
    group: "pd.DataFrame",
    images: NDArray[np.int64],
    statistics: Statistics,
    data_seed: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return what one test set has, given the number of images behind each published value."""
    measured, published = group["value"].to_numpy(float), group["published"].to_numpy(float)
    draws = statistics.resamples
    spread = _spread(group, statistics.confidence)
    again = kendall_tau(measured + spread * rng.standard_normal((draws, len(group))), published)
    test = permutation_test(published, measured, data_seed)
    low, high = percentile(test.tau, again, statistics.confidence)
    repeated = rng.binomial(images, published, size=(draws, len(group))) / images
    repeated = repeated + SEED_NOISE * rng.standard_normal(repeated.shape)
    reachable = kendall_tau(repeated, published)
    ends = np.nanquantile(reachable, [(1 - statistics.confidence) / 2, (1 + statistics.confidence) / 2])
    return {
        "models": len(group),
        "tau": test.tau,
        "low": low,
        "high": high,
        "p": test.p,
        "reachable": float(np.nanmean(reachable)),
        "reachable_low": float(ends[0]),
        "reachable_high": float(ends[1]),
    }


def _spread(group: "pd.DataFrame", confidence: float) -> FloatArray:
    """Return the standard errors that the intervals of a table stand for."""
    from statistics import NormalDist

    width = group["high"].to_numpy(float) - group["low"].to_numpy(float)
    return np.asarray(width / (2 * NormalDist().inv_cdf((1 + confidence) / 2)))


def _published_images(means: "pd.DataFrame", group: "pd.DataFrame", kind: str) -> NDArray[np.int64]:
    """Return the number of images behind each published value."""
    images = PUBLISHED_IMAGES.get(kind, int(group["n"].max()))
    if group["metric"].iloc[0] != "accuracy_on_correct":
        return np.full(len(group), images, np.int64)
    clean = means[(means["testset"] == "clean") & (means["metric"] == "accuracy")].set_index("model")["published"]
    share = group["model"].map(clean).fillna(1.0).to_numpy(float)
    return np.maximum(np.round(images * share), 1).astype(np.int64)
