"""What is said of images as they were before they were brought to one size: too small ones, and too dark ones."""

from collections.abc import Sequence
from typing import NamedTuple

FULL = 2**16
LENGTHY = 3
"""Long side by short side from which a centre square shows a third of an image at most."""
DARK_BELOW = 2**14
"""Sixteen-bit images whose largest value is below this, a quarter of what they could hold, look nearly black."""


class Look(NamedTuple):
    """An image as its file has it."""

    side: int
    """The short side, in pixels."""
    deep: int | None = None
    """Its largest value where it has 16 bits for each pixel, else None."""
    long: int = 0
    """The long side, in pixels."""
    frames: int = 1
    """Pictures in its file, of which the first is read."""


def said_of_pixels(looks: Sequence[Look], resize: int) -> list[str]:
    """Return in words which images were enlarged to a short side of ``resize``, cut to little, or nearly black."""
    said = []
    if small := [look.side for look in looks if look.side < resize]:
        said.append(
            f"{len(small)} of {len(looks)} images are smaller than {resize} pixels (the smallest {min(small)}) and "
            "were enlarged, which blurs their texture"
        )
    if lengthy := [look for look in looks if look.long >= LENGTHY * look.side]:
        said.append(
            f"{len(lengthy)} of {len(looks)} images are at least {LENGTHY} times as long as wide, and only the square "
            "in their middle is shown"
        )
    if several := [look.frames for look in looks if look.frames > 1]:
        said.append(f"{len(several)} files hold more than one picture (up to {max(several)}), and the first is read")
    deep = [look.deep for look in looks if look.deep is not None]
    if deep and max(deep) < DARK_BELOW:
        factor = FULL // 2 ** max(1, max(deep).bit_length())
        said.append(
            f"{len(deep)} images have 16 bits for each pixel and no value above {max(deep)} of {FULL - 1}, so they are "
            f"nearly black; if they are a camera's {max(deep).bit_length()} bits, multiply them by {factor}"
        )
    return said
