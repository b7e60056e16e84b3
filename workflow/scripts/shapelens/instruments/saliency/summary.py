"""Means and intervals of the saliency measures, from one row per image."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("gini", "edge_share", "total_variation", "distance_to_clean")
KEYS = ["dataset", "model", "method", "testset"]


def summarise(per_image: "pd.DataFrame", confidence: float = 0.95) -> "pd.DataFrame":
    """Return tidy means of each measure by model, seed, method and test set, with Student's t intervals over images.

    Args:
        per_image: dataset, model, seed, method, testset, image and the four measures (saliency_per_image.csv).
        confidence: coverage of the intervals.

    Rows of seed ``mean`` pool the seeds: an image's values are averaged over seeds first, so that n counts images and
    seeds of the same image are not taken for independent. Undefined values are left out; a mean of fewer than two
    images has no interval, of none no value.
    """
    import pandas as pd

    long = per_image.melt([*KEYS, "seed", "image"], list(MEASURES), "metric", "each").astype({"seed": str})
    pooled = long.groupby([*KEYS, "metric", "image"], as_index=False, sort=False)["each"].mean().assign(seed="mean")
    both = pd.concat([long, pooled])
    groups = both.groupby([*KEYS, "metric", "seed"], as_index=False, sort=False)["each"]
    table: pd.DataFrame = groups.agg(value="mean", spread="std", n="count")
    half = _t_quantile(confidence, table["n"].to_numpy()) * table["spread"] / np.sqrt(table["n"].clip(lower=1))
    table = table.assign(low=table["value"] - half, high=table["value"] + half, published=np.nan)
    names = ["dataset", "model", "seed", "method", "testset", "metric", "value", "low", "high", "n", "published"]
    return table[names]


def _t_quantile(confidence: float, n: np.ndarray) -> np.ndarray:
    from scipy.special import stdtrit

    return np.where(n > 1, stdtrit(np.maximum(n - 1, 1), 0.5 + confidence / 2), np.nan)
