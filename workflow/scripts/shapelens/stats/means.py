"""Means over images, with intervals, of what instruments measure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shapelens.stats.paired import Run

if TYPE_CHECKING:
    import pandas as pd


def means_table(
    rows: "Mapping[Run, pd.DataFrame]",
    dataset: str,
    keys: Sequence[str],
    metrics: Sequence[str],
    confidence: float = 0.95,
) -> "pd.DataFrame":
    """Return tidy means of each metric by model, seed, keys and test set, with Student's t intervals over images.

    Rows of seed ``mean`` pool the seeds: an image's values are averaged over seeds first, so that n counts images and
    seeds of the same image are not taken for independent. Undefined values are left out; a mean of fewer than two
    images has no interval, of none no value.

    Args:
        rows: one row per image by (model, seed), models in their order: testset, image, the keys and the metrics.
        dataset: name of the study.
        keys: columns that tell rows apart besides test set and image, such as ``method``.
        metrics: columns that are averaged.
        confidence: coverage of the intervals.

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
    table: pd.DataFrame = both.agg(value="mean", spread="std", n="count")
    half = _t_quantile(confidence, table["n"].to_numpy()) * table["spread"] / np.sqrt(table["n"].clip(lower=1))
    table = table.assign(dataset=dataset, low=table["value"] - half, high=table["value"] + half, published=np.nan)
    return table[["dataset", "model", "seed", *keys, "testset", "metric", "value", "low", "high", "n", "published"]]


def _t_quantile(confidence: float, n: np.ndarray) -> np.ndarray:
    from scipy.special import stdtrit

    return np.where(n > 1, stdtrit(np.maximum(n - 1, 1), 0.5 + confidence / 2), np.nan)
