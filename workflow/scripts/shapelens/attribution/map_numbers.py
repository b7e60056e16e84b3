"""Quantities measured on saliency maps, and how maps are drawn (numpy only).

A map is (…, C, H, W), signed. Except for ``display_signed``, everything here looks at its magnitude: |map| summed over
the channels, and where it says *normalised*, divided by its sum over the pixels. A map of zeros has no normalised
form; its measures are NaN.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EDGES = 0.10
"""Share of the pixels that count as edges."""
PERCENTILE = 99
"""Percentile of the magnitude at which drawn maps are clipped."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""

Array = NDArray[np.float64]


def magnitude(maps: NDArray[np.floating]) -> Array:
    """Return |map| summed over the channels: (…, C, H, W) → (…, H, W)."""
    result: Array = np.abs(maps.astype(np.float64)).sum(axis=-3)
    return result


def normalised(maps: NDArray[np.floating]) -> Array:
    """Return magnitudes that sum to 1 over the pixels; (…, C, H, W) → (…, H, W), NaN for a map of zeros."""
    size = magnitude(maps)
    with np.errstate(invalid="ignore"):
        result: Array = size / size.sum(axis=(-2, -1), keepdims=True)
    return result


def gini(maps: NDArray[np.floating]) -> Array:
    """Return the Gini index of the magnitudes: 0 for a uniform map, 1 − 1/n if one of n pixels holds everything.

    Hurley and Rickard 2009, "Comparing measures of sparsity"; (…, C, H, W) → (…).
    """
    values = np.sort(normalised(maps).reshape(*maps.shape[:-3], -1), axis=-1)
    n = values.shape[-1]
    rank = np.arange(1, n + 1)
    result: Array = (values * (2 * rank - n - 1)).sum(axis=-1) / n
    return result


def total_variation(maps: NDArray[np.floating]) -> Array:
    """Return the summed absolute difference of vertical and horizontal neighbours in the normalised map.

    (…, C, H, W) → (…), in [0, 4]: 0 for a uniform map, 4 for a single pixel away from the border.
    """
    values = normalised(maps)
    vertical = np.abs(np.diff(values, axis=-2)).sum(axis=(-2, -1))
    horizontal = np.abs(np.diff(values, axis=-1)).sum(axis=(-2, -1))
    result: Array = vertical + horizontal
    return result


def distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> Array:
    """Return half the summed absolute difference of the normalised maps: 0 where equal, 1 where they never overlap.

    This is the total variation distance of two distributions over the pixels; (…, C, H, W) twice → (…).
    """
    result: Array = np.abs(normalised(a) - normalised(b)).sum(axis=(-2, -1)) / 2
    return result


def edge_weights(images: NDArray[np.floating], share: float = EDGES) -> Array:
    """Return each pixel's weight in the edge set: 1 among the strongest by Sobel magnitude, else 0, ties shared.

    The strongest are the share ``share`` of the pixels. Pixels that tie for the last places divide these equally, so
    the weights always sum to share·H·W and no order of pixels is preferred (a flat image has ``share`` everywhere).

    Args:
        images: (…, C, H, W); three channels are weighed by luminance, others by their mean. Borders are replicated.
        share: of the pixels, in (0, 1].

    Returns:
        (…, H, W) in [0, 1].
    """
    channels = images.shape[-3]
    weights = np.array(LUMINANCE) if channels == 3 else np.full(channels, 1 / channels)
    grey = np.moveaxis(images.astype(np.float64), -3, -1) @ weights
    padded = np.pad(grey, [(0, 0)] * (grey.ndim - 2) + [(1, 1), (1, 1)], mode="edge")
    down = padded[..., 2:, :] - padded[..., :-2, :]
    right = padded[..., :, 2:] - padded[..., :, :-2]
    by_row = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    by_column = right[..., :-2, :] + 2 * right[..., 1:-1, :] + right[..., 2:, :]
    strength = np.round(np.hypot(by_row, by_column), 9)  # equal edges must tie in spite of rounding
    flat = strength.reshape(*strength.shape[:-2], -1)
    wanted = share * flat.shape[-1]
    place = flat.shape[-1] - int(np.ceil(wanted))
    threshold = np.partition(flat, place, axis=-1)[..., place, None]
    above, tied = flat > threshold, flat == threshold
    rest = (wanted - above.sum(axis=-1, keepdims=True)) / tied.sum(axis=-1, keepdims=True)
    result: Array = (above + tied * rest).reshape(strength.shape)
    return result


def edge_share(maps: NDArray[np.floating], weights: Array, share: float = EDGES) -> Array:
    """Return the share of the magnitude that lies on edges, over the share of the pixels that are edges.

    1 for a uniform map, 1/share = 10 if all of it lies on edges.

    Args:
        maps: (…, C, H, W).
        weights: (…, H, W) of the clean images, from ``edge_weights`` with the same share.
        share: of the pixels that count as edges.
    """
    result: Array = (normalised(maps) * weights).sum(axis=(-2, -1)) / share
    return result


def resized(images: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize images (N, C, H, W) to ``size`` (height, width), bilinearly and antialiased, as before the network."""
    if images.shape[-2:] == size:
        return images.astype(np.float32)
    result = np.empty((*images.shape[:2], *size), dtype=np.float32)
    for i, image in enumerate(images.astype(np.float32)):
        for c, channel in enumerate(image):
            result[i, c] = np.asarray(Image.fromarray(channel).resize(size[::-1], Image.Resampling.BILINEAR))
    return result


def display_map(one: NDArray[np.floating]) -> NDArray[np.float32]:
    """Turn one map (C, H, W) into a picture (H, W) in [0, 1]: the magnitude, clipped at its 99th percentile."""
    size = magnitude(one)
    return np.asarray(np.clip(size / _ceiling(size), 0, 1), dtype=np.float32)


def display_signed(one: NDArray[np.floating]) -> NDArray[np.float32]:
    """Turn one map (C, H, W) into (H, W) in [−1, 1]: summed over channels, clipped at the 99th percentile of |sum|."""
    total = one.astype(np.float64).sum(axis=-3)
    return np.asarray(np.clip(total / _ceiling(np.abs(total)), -1, 1), dtype=np.float32)


def _ceiling(size: Array) -> float:
    """Return the percentile that becomes 1; the largest value where the percentile is 0, 1 for a map of zeros."""
    return float(np.percentile(size, PERCENTILE)) or float(size.max()) or 1.0
