"""Colour: taken away, or given to other channels; luminance contrast, or the values themselves, stay."""

from itertools import permutations
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.seeds import generator

D = TypeVar("D", bound=np.generic)

REC_601 = (19595, 38470, 7471)
"""Weights of red, green and blue in luma: 0.299, 0.587, 0.114 (ITU-R Rec. BT.601) in 65536ths, as Pillow has them."""


def greyscale(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give every channel the image's luma, rounded as Pillow rounds it.

    Args:
        images: uint8 (N, 3, H, W), red, green, blue.

    Raises:
        UserError: the images do not have three channels.
    """
    _check_channels("greyscale", images)
    luma = np.einsum("nchw,c->nhw", images.astype(np.uint32), np.asarray(REC_601, np.uint32))
    grey = ((luma + 2**15) >> 16).astype(np.uint8)
    return np.repeat(grey[:, None], 3, axis=1)


def channel_permutations(count: int, seed: int, first: int = 0) -> NDArray[np.int64]:
    """Draw for each of ``count`` images one of the five permutations of three channels that are not the identity.

    Image i of a test set has index ``first`` + i; its permutation depends on (seed, index) alone.

    Returns:
        int64 (count, 3): the new channel j is the old channel row[j].
    """
    moved = list(permutations(range(3)))[1:]  # the first one, in order, is the identity
    drawn = [moved[generator(seed, "channel-shuffle", first + i).integers(len(moved))] for i in range(count)]
    return np.asarray(drawn, np.int64).reshape(count, 3)


def shuffle_channels(images: NDArray[D], chosen: NDArray[np.int64]) -> NDArray[D]:
    """Put the old channel p[j] where channel j was.

    Args:
        images: (N, 3, H, W) of any dtype and range.
        chosen: (N, 3), one permutation per image.

    Raises:
        UserError: the images do not have three channels.
    """
    _check_channels("channel shuffle", images)
    return np.take_along_axis(images, chosen[:, :, None, None], axis=1)


def _check_channels(name: str, images: NDArray[Any]) -> None:
    if images.shape[1] != 3:
        raise UserError(f"{name}: images of {images.shape[1]} channels; it needs the three of red, green and blue")
