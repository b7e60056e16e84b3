"""How the instruments that optimise images go about it (torch-free)."""

import math
from typing import Literal

from pydantic import Field

from shapelens.instruments.spec import InstrumentSpec
from shapelens.spec import Number


class Way(InstrumentSpec):
    """Projected gradient ascent in ℓ2, within the box [0, 1]."""

    eps: Number | None = Field(default=None, gt=0)
    """Radius of the ℓ2 ball around the start, absolute at the network's input size; by default the box [0, 1] alone
    bounds an image."""
    step: Number = Field(default=1.0, gt=0)
    """Length of a step in ℓ2."""
    iterations: int = Field(default=400, ge=0)
    """Number of steps."""
    keep: Literal["best", "last"] = "best"
    """Of each image, the iterate that reached most, or the last one."""
    frames: int = Field(default=12, ge=2)
    """Pictures of the way that are kept to look at, closer together at its beginning."""

    def problems(self, path: str, side: int) -> list[str]:
        """Return which lengths are beyond any distance between two images."""
        most = math.sqrt(3 * side**2)
        remedy = {"eps": "leave it out, and the box [0, 1] alone bounds the images", "step": "allowed: less"}
        return [
            f"{path}.{key}: {length:g} is more than {most:.3g}, the largest ℓ2 distance between two images of "
            f"{side}×{side} pixels; {remedy[key]}"
            for key, length in (("eps", self.eps), ("step", self.step))
            if length is not None and length > most
        ]
