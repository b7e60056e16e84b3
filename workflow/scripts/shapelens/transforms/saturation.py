"""Saturation: as the level rises above 2, texture fades and shape stays."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError

F = TypeVar("F", np.float32, np.float64)


def saturate(images: NDArray[F], level: float) -> NDArray[F]:
    """Return ½ sign(2v−1)·|2v−1|^(2/level) + ½ of every value v (Ding et al. 2019, section 4.1).

    The values 0, ½ and 1 stay where they are, exactly; level 2 is the identity, exactly; a larger level drives values
    to 0 and 1, a smaller one to ½. Levels compose: saturating at q ≥ 1 and then at p is saturating at pq/2.

    Args:
        images: float32 or float64 of any shape, in [0, 1].
        level: above 0, in no unit; infinity binarises.

    Returns:
        An array of the same shape, dtype and range.

    Raises:
        UserError: the level is not above 0.
        ValueError: the images are not float32 or float64.
    """
    if not level > 0:
        raise UserError(f"saturation level {level!r}: must be above 0 (2 leaves the image as it is)")
    if images.dtype not in (np.float32, np.float64):
        raise ValueError(f"images are {images.dtype}; saturate takes float32 or float64 in [0, 1]")
    if level == 2:
        return images.copy()  # 2v−1 rounds for small v, so the formula would be off by the last bit
    centred = 2 * images - 1
    with np.errstate(over="ignore", under="ignore"):  # at a tiny level the exponent is infinite and powers vanish
        strength = np.abs(centred) ** images.dtype.type(2 / level)
    return (np.sign(centred) * strength / 2 + 0.5).astype(images.dtype, copy=False)
