"""Means over images, with intervals, of what instruments measure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shapelens.stats.intervals import combined, skewness_factor, t_lengths
from shapelens.stats.paired import Run
from shapelens.stats.resampling import SEEDS_TO_RESAMPLE

if TYPE_CHECKING:
    import pandas as pd


def means_table(
    rows: "Mapping[Run, pd.DataFrame]",
    dataset: str,
    keys: Sequence[str],
    metrics: Sequence[str],
    confidence: float = 0.95,
    shares: Sequence[str] = (),
) -> "pd.DataFrame":
    """Return tidy means of each metric by model, seed, keys and test set, with t intervals (``intervals.t_lengths``).

    Rows of seed ``mean`` pool the seeds: an image's values are averaged over seeds first, so that n counts images and
    seeds of the same image are not taken for independent. From three seeds on, the spread of their means enters the
    interval (``intervals.combined``). Undefined values are left out; a mean of fewer than two
    images has no interval, of none no value.

    Args:
        rows: one row per image by (model, seed), models in their order: testset, image, the keys and the metrics.
        dataset: name of the study.
        keys: columns that tell rows apart besides test set and image, such as ``method``.
        metrics: columns that are averaged.
        confidence: coverage of the intervals.
        shares: metrics that lie in [0, 1], beyond which no interval goes.

    Returns dataset, model, seed, the keys, testset, metric, value, low, high, n, published (empty); metrics without any
    value are left out.
    """
    import pandas as pd

    groups = ["model", *keys, "testset"]
    # A measure that nobody has a value of, such as one of a method that was not asked for, is no row.
    metrics = [metric for metric in metrics if any(frame[metric].notna().any() for frame in rows.values())]
    frames = [frame.assign(model=model, seed=str(seed)) for (model, seed), frame in rows.items()]
    long = pd.concat(frames).melt([*groups, "seed", "image"], metrics, "metric", "each")
    pooled = long.groupby([*groups, "metric", "image"], as_index=False, sort=False)["each"].mean().assign(seed="mean")
    both = pd.concat([long, pooled]).groupby([*groups, "metric", "seed"], as_index=False, sort=False)["each"]
    table: pd.DataFrame = both.agg(value="mean", spread="std", n="count", skew=_skewness)
    n = table["n"].to_numpy()
    error = (table["spread"] / np.sqrt(table["n"].clip(lower=1))).to_numpy(float)
    below, above = t_lengths(n, error, table["skew"].to_numpy(float), confidence)
    single = table[table["seed"] != "mean"].groupby([*groups, "metric"])["value"].agg(seeds="count", between="std")
    seeds = table[["model", *keys, "testset", "metric"]].merge(single.reset_index(), how="left")
    several = (table["seed"] == "mean").to_numpy() & (seeds["seeds"].to_numpy() >= SEEDS_TO_RESAMPLE)
    seed_error = np.where(several, seeds["between"] / np.sqrt(seeds["seeds"].clip(lower=1)), 0.0)
    half, _ = t_lengths(seeds["seeds"].to_numpy(), seed_error, 0.0, confidence)
    below, above = (np.where(several, combined(side, error, half, seed_error), side) for side in (below, above))
    table = table.assign(dataset=dataset, low=table["value"] - below, high=table["value"] + above, published=np.nan)
    is_share = table["metric"].isin(shares)
    for end in ("low", "high"):
        table[end] = table[end].where(~is_share, table[end].clip(0, 1))
    return table[["dataset", "model", "seed", *keys, "testset", "metric", "value", "low", "high", "n", "published"]]


def _skewness(values: "pd.Series") -> float:
    found = values.dropna().to_numpy(float)
    deviations = found - found.mean() if len(found) > 2 else np.zeros(0)
    second = float((deviations**2).mean()) if len(deviations) else 0.0
    return float((deviations**3).mean()) / second**1.5 * skewness_factor(len(found)) if second > 0 else 0.0
