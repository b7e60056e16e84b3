"""Where on an object a saliency map lies, if it is known where the object is (numpy only).

As in ``map_numbers``, the magnitude of a map is looked at, and a map of zeros has no measures: they are NaN.
"""

import numpy as np
from numpy.typing import NDArray

from shapelens.attribution.map_numbers import Array, magnitude, normalised

INSIDE = 0.5
"""Least share of a pixel that an object covers for the pixel to count as its own."""
BAND_SIDE = 32
"""Pixels of the image's side for each pixel that the contour's band is wide on either side."""


def share(maps: NDArray[np.floating], weights: NDArray[np.floating]) -> Array:
    """Return the share of the magnitude that lies where the weights are: Σ w·p of the normalised map p.

    Args:
        maps: (…, C, H, W).
        weights: (…, H, W) in [0, 1], such as what an object covers of each pixel.

    Returns:
        (…) in [0, 1]; of a uniform map the mean of the weights.
    """
    result: Array = np.minimum((normalised(maps) * weights).sum(axis=(-2, -1)), 1.0)  # 1 but for rounding
    return result


def pointing(maps: NDArray[np.floating], covered: NDArray[np.floating]) -> Array:
    """Return 1 where the largest magnitude lies on the object, else 0 (the pointing game of Zhang et al. 2018).

    No tolerance is granted. Pixels that tie for the largest share the point, so their order does not matter.

    Args:
        maps: (…, C, H, W).
        covered: (…, H, W), the share of each pixel that the object covers.

    Returns:
        (…) in [0, 1]; NaN for a map of zeros.
    """
    size = magnitude(maps)
    largest = size.max(axis=(-2, -1), keepdims=True)
    top = (size == largest) & (largest > 0)
    with np.errstate(invalid="ignore"):
        result: Array = (top & (covered >= INSIDE)).sum(axis=(-2, -1)) / top.sum(axis=(-2, -1))
    return result


def contour(covered: NDArray[np.floating]) -> Array:
    """Return 1 on the contour of an object, else 0: pixels that have both inside and outside within the band.

    The band reaches one pixel to either side at images of 32 pixels and fewer, and side/32 pixels at larger ones.

    Args:
        covered: (…, H, W), the share of each pixel that the object covers.
    """
    inside = covered >= INSIDE
    reach = max(1, round(covered.shape[-1] / BAND_SIDE))
    result: Array = (_near(inside, reach) & _near(~inside, reach)).astype(np.float64)
    return result


def _near(there: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return where a pixel within ``reach``, diagonals included, is true; beyond the border nothing is."""
    for axis in (-2, -1):
        padded = np.pad(
            there, [(0, 0)] * (there.ndim - 2) + [(reach, reach) if axis == a else (0, 0) for a in (-2, -1)]
        )
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=axis)
        there = np.asarray(windows.any(axis=-1))
    return there
