"""Patch frames, the control of the patch shuffle: its artificial edges are there, and nothing has moved.

Shuffling patches takes shape away, and adds edges where patches meet that did not belong together. What a model loses
on shuffled images may be due to either. Here each patch stays where it was, and only the pixels behind the seams are
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


def behind_seams(side: int, k: int) -> NDArray[np.bool_]:
    """Tell which places along one axis are the first of a patch, as many as its frame is wide; (side,).

    Those of the image's own first patch are not: its border is no seam.
    """
    places = np.arange(side)
    result: NDArray[np.bool_] = (places % (side // k) < frame_width(side)) & (places >= side // k)
    return result


def frame_patches(images: NDArray[D], permutations: NDArray[np.int64]) -> NDArray[D]:
    """Return the images with the pixels behind the seams of k×k patches taken from ``shuffle_patches``.

    Right of each upright seam and below each level one lies what the shuffle puts there, value for value; all other
    pixels are the image's own, bit for bit. With foreign pixels on both sides of the seams a model that cannot see
    shape loses more than by the shuffle itself; with one side it loses about as much (docs/explanation/method.md).

    Args:
        images: (N, C, H, W) of any dtype and range.
        permutations: (N, k²), one permutation of patches per image.

    Raises:
        UserError: k does not divide the height and the width, or too little is left inside the frames.
        ValueError: as ``shuffle_patches``.
    """
    shuffled = shuffle_patches(images, permutations)
    k = math.isqrt(permutations.shape[1])
    height, width = images.shape[-2:]
    if not (has_interior(height, k) and has_interior(width, k)):
        raise UserError(
            f"patch frame with k = {k}: in images of {height}×{width} pixels a frame of {frame_width(height)} leaves "
            "too little of a patch; choose a smaller k"
        )
    framed = behind_seams(height, k)[:, None] | behind_seams(width, k)
    return np.where(framed, shuffled, images)
