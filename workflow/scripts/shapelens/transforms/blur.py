"""Blurs: fine texture is averaged away; the bilateral filter stops at edges.

Both use one kernel, a Gaussian sampled at whole pixels whose width is a share of the side, so that a setting does the
same to the same picture at any resolution. At the border the image is continued by its mirror image, edge pixels
repeated. Results are weighted means, so they stay in the range of the image.
"""

import math
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError

F = TypeVar("F", np.float32, np.float64)

BLUR_REACH = 4.0
"""Standard deviations at which the Gaussian blur's kernel ends."""
BILATERAL_REACH = 2.0
"""Those at which the bilateral filter's ends: its cost grows with the square."""


def gaussian_kernel(sigma: float, reach: float) -> NDArray[np.float64]:
    """Return the weights of a Gaussian of ``sigma`` pixels at −r … r, r = ⌈reach·sigma⌉; their sum is 1."""
    radius = math.ceil(reach * sigma)
    places = np.arange(-radius, radius + 1) / sigma
    weights = np.exp(-(places**2) / 2)
    result: NDArray[np.float64] = weights / weights.sum()
    return result


def gaussian_blur(images: NDArray[F], sigma: float) -> NDArray[F]:
    """Convolve with a Gaussian.

    A wave of r cycles per image keeps exp(−2π²·sigma²·r²) of its amplitude, up to the sampling and the end of the
    kernel: half of it at r = 0.187/sigma.

    Args:
        images: float32 or float64 (…, H, W).
        sigma: standard deviation as a share of the side, above 0.

    Returns:
        The blurred images, of the same shape and dtype, computed in float64.

    Raises:
        UserError: sigma is not above 0.
    """
    from scipy.ndimage import correlate1d

    _check("Gaussian blur: sigma", sigma)
    blurred = images.astype(np.float64)
    for axis in (-2, -1):
        # scipy calls "reflect" the mirror image that repeats the edge.
        blurred = correlate1d(blurred, gaussian_kernel(sigma * images.shape[axis], BLUR_REACH), axis, mode="reflect")
    result: NDArray[F] = blurred.astype(images.dtype)
    return result


def bilateral(images: NDArray[F], sigma: float, range_sigma: float) -> NDArray[F]:
    """Average each pixel with those that are near it and alike in colour (Tomasi and Manduchi 1998).

    Pixel q has in the mean at pixel p the weight exp(−|p−q|²/2s²)·exp(−|x_p−x_q|²/2r²), s = sigma·side and r =
    ``range_sigma``. Colours are compared by their Euclidean distance over the channels, and all channels share the
    weights, so that no colour arises that was not there.

    Args:
        images: float32 or float64 (N, C, H, W).
        sigma: standard deviation in space, as a share of the side, above 0.
        range_sigma: standard deviation in colour, in units of the values, above 0; infinity makes it a blur.

    Returns:
        The smoothed images, of the same shape and dtype, computed in float64.

    Raises:
        UserError: a standard deviation is not above 0.
    """
    _check("bilateral filter: sigma", sigma)
    _check("bilateral filter: range_sigma", range_sigma)
    height, width = images.shape[-2:]
    values = images.astype(np.float64)
    rows, columns = (gaussian_kernel(sigma * side, BILATERAL_REACH) for side in (height, width))
    pad = [(0, 0), (0, 0), (len(rows) // 2,) * 2, (len(columns) // 2,) * 2]
    around = np.pad(values, pad, mode="symmetric")
    total, weights = np.zeros_like(values), np.zeros((len(values), 1, height, width))
    for (y, row), (x, column) in product(enumerate(rows), enumerate(columns)):
        other = around[..., y : y + height, x : x + width]
        distance = ((other - values) ** 2).sum(axis=1, keepdims=True)
        weight = row * column * np.exp(-distance / (2 * range_sigma**2))
        total += weight * other
        weights += weight
    result: NDArray[F] = (total / weights).astype(images.dtype)
    return result


def _check(name: str, value: float) -> None:
    if not value > 0:
        raise UserError(f"{name} {value!r} must be above 0")
