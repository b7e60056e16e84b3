"""Spec of direct feature visualisation (torch-free)."""

from typing import Literal

from pydantic import Field

from shapelens.instruments.ways import Way


class Features(Way):
    """Direct feature visualisation (Engstrom et al. 2019, Boychev 2022): an image is made that excites one unit most.

    Boychev takes 400 iterations of length 1 in ℓ2 from a grey image, and shows one unit.
    """

    units: int | tuple[int, ...] = Field(default=8)
    """Number of units of the representation, those with the largest mean over the clean test images first, or their
    indices."""
    start: Literal["grey", "noise"] = "grey"
    """What is changed: mid-grey, or pixels uniform in [0.45, 0.55], drawn with data_seed for each unit."""
    top: int = Field(default=3, ge=1)
    """Test images that excite a unit most, and least, that are kept to look at."""
    purity_images: int = Field(default=10, ge=2)
    """Test images that excite a unit most, of which it is asked how many are of one class."""
    straight_through: bool = True
    """Whether gradients pass the last ReLU as if it were not there, so that a silent unit can be woken."""
