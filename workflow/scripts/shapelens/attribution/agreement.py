"""How alike two saliency maps of the same image are."""

import numpy as np
from numpy.typing import NDArray

from shapelens.attribution.map_numbers import Array, magnitude


def rank_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> Array:
    """Return Spearman's rank correlation over the pixels of the maps' magnitudes, ties at their mean rank.

    (…, C, H, W) twice → (…), in [−1, 1]: 1 where the pixels have one order. NaN where all pixels of a map are equal.
    """
    from scipy.stats import rankdata

    first, second = (
        rankdata(size.reshape(*size.shape[:-2], -1), axis=-1).astype(np.float64) for size in map(magnitude, (a, b))
    )
    first = first - first.mean(axis=-1, keepdims=True)
    second = second - second.mean(axis=-1, keepdims=True)
    norms = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    with np.errstate(invalid="ignore"):
        result: Array = (first * second).sum(axis=-1) / norms
    return result
