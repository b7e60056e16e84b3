"""Patch shuffle: shape is destroyed, texture within the patches stays."""

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.seeds import Stream, numbered

D = TypeVar("D", bound=np.generic)


def patch_permutations(count: int, k: int, seed: int, first: int = 0) -> NDArray[np.int64]:
    """Draw one uniform permutation of k×k patches for each of ``count`` images.

    Image i of a test set has index ``first`` + i; its permutation depends on (seed, k, index) alone, so that every
    model sees the same pixels however the set is cut into chunks.

    Returns:
        int64 (count, k²), each row a permutation of 0 … k²−1: the new patch j is the old patch row[j], row-major.
    """
    result = np.empty((count, k * k), dtype=np.int64)
    for i in range(count):
        result[i] = numbered(seed, Stream.PATCH_SHUFFLE, k, first + i).permutation(k * k)
    return result


def shuffle_patches(images: NDArray[D], permutations: NDArray[np.int64]) -> NDArray[D]:
    """Cut each image into k×k equal patches and put the old patch p[j] where patch j was, row-major.

    The identity permutation returns the image itself, and ``np.argsort(permutations, axis=1)`` undoes the shuffle.

    Args:
        images: (N, C, H, W) of any dtype and range.
        permutations: (N, k²), one permutation per image.

    Raises:
        UserError: k does not divide the height and the width.
        ValueError: the rows are not permutations of k² patches, one for each image.
    """
    count, channels, height, width = images.shape
    k = math.isqrt(permutations.shape[1])
    if len(permutations) != count or k * k != permutations.shape[1]:
        raise ValueError(f"permutations have shape {permutations.shape}; {count} images need ({count}, k²)")
    if not np.array_equal(np.sort(permutations, axis=1), np.broadcast_to(np.arange(k * k), permutations.shape)):
        raise ValueError("each row of permutations must hold every patch number once")
    if height % k or width % k:
        raise UserError(
            f"patch shuffle with k = {k}: images of {height}×{width} pixels cannot be cut into {k}×{k} equal patches; "
            f"choose k among {', '.join(map(str, _common_divisors(height, width)))}"
        )
    cut: NDArray[Any] = images.reshape(count, channels, k, height // k, k, width // k)
    patches = cut.transpose(0, 2, 4, 1, 3, 5).reshape(count, k * k, channels, height // k, width // k)
    moved = patches[np.arange(count)[:, None], permutations]
    grid = moved.reshape(count, k, k, channels, height // k, width // k).transpose(0, 3, 1, 4, 2, 5)
    return np.ascontiguousarray(grid.reshape(count, channels, height, width))


def _common_divisors(height: int, width: int) -> list[int]:
    return [k for k in range(1, math.gcd(height, width) + 1) if height % k == 0 and width % k == 0]
