"""What is said of images as they were before they were brought to one size: too small ones, and too dark ones."""

from collections.abc import Sequence
from typing import NamedTuple

FULL = 2**16
HALF_USED = 2**14
"""Sixteen-bit images whose largest value is below this, a quarter of what they could hold, look nearly black."""


class Look(NamedTuple):
    """An image as its file has it."""

    side: int
    """The short side, in pixels."""
    deep: int | None = None
    """Its largest value where it has 16 bits for each pixel, else None."""


def said_of_pixels(looks: Sequence[Look], resize: int) -> list[str]:
    """Return in words which images were enlarged to a short side of ``resize``, and whether 16 bits are used."""
    said = []
    if small := [look.side for look in looks if look.side < resize]:
        said.append(
            f"{len(small)} of {len(looks)} images are smaller than {resize} pixels (the smallest {min(small)}) and "
            "were enlarged, which blurs their texture"
        )
    deep = [look.deep for look in looks if look.deep is not None]
    if deep and max(deep) < HALF_USED:
        factor = FULL // 2 ** max(1, max(deep).bit_length())
        said.append(
            f"{len(deep)} images have 16 bits for each pixel and no value above {max(deep)} of {FULL - 1}, so they are "
            f"nearly black; if they are a camera's {max(deep).bit_length()} bits, multiply them by {factor}"
        )
    return said
