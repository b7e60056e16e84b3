"""Fourier filters with true radii: cycles per image, measured from zero frequency.

All work in float64 on the half spectrum of the real transform, so masks are Hermitian by construction. Nothing is
clipped or shifted, so results may lie outside [0, 1].
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.seeds import Stream, numbered

F = TypeVar("F", np.float32, np.float64)


def squared_radii(height: int, width: int) -> NDArray[np.float64]:
    """Return the squared distance from zero frequency of each mode of the half spectrum, in (cycles per image)².

    Returns:
        (height, width//2 + 1), in the order of ``np.fft.rfft2``; cycles are counted along each axis of the image.
    """
    rows = np.fft.fftfreq(height, 1 / height)
    columns = np.fft.rfftfreq(width, 1 / width)
    result: NDArray[np.float64] = rows[:, None] ** 2 + columns[None, :] ** 2
    return result


def low_pass(images: NDArray[F], radius: float) -> NDArray[F]:
    """Keep the modes within ``radius`` cycles per image of zero frequency, the mean among them.

    Args:
        images: float32 or float64 (…, H, W).
        radius: above 0, in cycles per image; modes exactly on it are kept.

    Returns:
        The filtered images, of the same shape and dtype, unclipped; ``low_pass + high_pass`` is the input.

    Raises:
        UserError: the radius is not above 0.
    """
    _check_radius(radius)
    return _filter(images, squared_radii(*images.shape[-2:]) <= radius * radius)


def high_pass(images: NDArray[F], radius: float) -> NDArray[F]:
    """Keep the modes further than ``radius`` cycles per image from zero frequency; the mean is removed.

    Arguments, result and errors are those of ``low_pass``; values lie around 0.
    """
    _check_radius(radius)
    return _filter(images, squared_radii(*images.shape[-2:]) > radius * radius)


def random_filter(
    images: NDArray[F], probability: float, seed: int, first: int = 0, keep_mean: bool = False
) -> NDArray[F]:
    """Drop each mode together with its conjugate with a probability, independently for every image and channel.

    Args:
        images: float32 or float64 (N, C, H, W); image i has index ``first`` + i in its test set.
        probability: in [0, 1]; it holds for the mean as for every other mode.
        seed: with the index, decides what is dropped.
        first: index of the first image.
        keep_mean: never drop the zero frequency.

    Returns:
        The filtered images, of the same shape and dtype, unclipped.

    Raises:
        UserError: the probability is not in [0, 1].
    """
    return _filter(images, random_masks(images.shape, probability, seed, first, keep_mean))


def random_masks(
    shape: tuple[int, ...], probability: float, seed: int, first: int = 0, keep_mean: bool = False
) -> NDArray[np.bool_]:
    """Draw the modes that ``random_filter`` keeps.

    Args:
        shape: (N, C, H, W) of the images.
        probability: in [0, 1].
        seed: with the index, decides what is dropped.
        first: index of the first image.
        keep_mean: never drop the zero frequency.

    Returns:
        bool (N, C, H, W//2 + 1) for the half spectrum; in its self-conjugate columns conjugate rows are equal.
    """
    if not 0 <= probability <= 1:
        raise UserError(f"random filter: probability {probability!r} must be in [0, 1]")
    count, channels, height, width = shape
    keep = np.empty((count, channels, height, width // 2 + 1), dtype=np.bool_)
    for i in range(count):
        rng = numbered(seed, Stream.RANDOM_FILTER, first + i)
        keep[i] = rng.random(keep.shape[1:]) >= probability
    # The mode (y, x) and its conjugate (−y, −x) both lie in the half spectrum where x is 0 or the Nyquist column.
    rows = np.arange(1, (height + 1) // 2)
    for column in {0, width // 2} if width % 2 == 0 else {0}:
        keep[:, :, height - rows, column] = keep[:, :, rows, column]
    if keep_mean:
        keep[:, :, 0, 0] = True
    return keep


def _filter(images: NDArray[F], keep: NDArray[np.bool_]) -> NDArray[F]:
    spectrum = np.fft.rfft2(images.astype(np.float64))
    filtered = np.fft.irfft2(spectrum * keep, s=images.shape[-2:])
    result: NDArray[F] = filtered.astype(images.dtype)
    return result


def _check_radius(radius: float) -> None:
    if not radius > 0:
        raise UserError(f"Fourier filter: radius {radius!r} must be above 0, in cycles per image")
