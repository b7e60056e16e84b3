"""Spec of representation inversion (torch-free)."""

from pydantic import Field

from shapelens.instruments.ways import Way
from shapelens.spec import Number


class Inversion(Way):
    """Representation inversion (Engstrom et al. 2019, Boychev 2022): a start is driven to a target's representation.

    Boychev takes 10 000 iterations of length 1 in ℓ2, keeps the last iterate, and shows one target.
    """

    targets: int | tuple[int, ...] = 50
    """Number of clean test images, drawn with data_seed and stratified, or their indices."""
    sources: int = Field(default=2, ge=0)
    """Test images of other classes that each target is approached from."""
    noise: int = Field(default=1, ge=0)
    """Starts of noise, pixels uniform in [0.5, 0.55], for each target."""
    step: Number = Field(default=1.0, gt=0)
    """Length of a step in ℓ2; the distance that remains is of this size at least."""
    straight_through: bool = True
    """Whether gradients pass the last ReLU as if it were not there, so that a silent unit can be woken."""
    shown: int = Field(default=6, ge=1)
    """Number of targets whose images, and the way to them, are kept to look at."""
