"""Patch frames, the control of the patch shuffle: its artificial edges are there, and nothing has moved.

Shuffling patches takes shape away, and adds edges where patches meet that did not belong together. What a model loses
on shuffled images may be due to either. Here each patch stays where it was, and only the pixels along the seams are
those of the shuffled image.
"""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.transforms.patch_shuffle import shuffle_patches
from shapelens.transforms.spec import frame_width, has_interior

D = TypeVar("D", bound=np.generic)


def seams(side: int, k: int) -> NDArray[np.bool_]:
    """Tell which places along one axis lie within the frame's width of a seam between patches; (side,).

    The border of the image is no seam.
    """
    beyond = np.arange(side)[:, None] - np.arange(1, k) * (side // k)
    return np.asarray(((beyond >= -frame_width(side)) & (beyond < frame_width(side))).any(axis=1))


def frame_patches(images: NDArray[D], permutations: NDArray[np.int64]) -> NDArray[D]:
    """Return the images with the pixels along the seams of k×k patches taken from ``shuffle_patches``.

    Every step between two patches of the shuffled image is there, value for value; the inside of each patch is that of
    the image, bit for bit. A frame's width inside its patch a second edge arises, so that the control errs towards too
    many edges.

    Args:
        images: (N, C, H, W) of any dtype and range.
        permutations: (N, k²), one permutation of patches per image.

    Raises:
        UserError: k does not divide the height and the width, or nothing is left inside the frames.
        ValueError: as ``shuffle_patches``.
    """
    shuffled = shuffle_patches(images, permutations)
    k = math.isqrt(permutations.shape[1])
    height, width = images.shape[-2:]
    if not (has_interior(height, k) and has_interior(width, k)):
        raise UserError(
            f"patch frame with k = {k}: in images of {height}×{width} pixels a frame of {frame_width(height)} leaves "
            "nothing inside a patch; choose a smaller k"
        )
    framed = seams(height, k)[:, None] | seams(width, k)
    return np.where(framed, shuffled, images)
