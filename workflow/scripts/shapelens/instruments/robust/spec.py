"""Spec of the attack of robust accuracy (torch-free)."""

from typing import Literal

from pydantic import Field

from shapelens.attacks.spec import Attack
from shapelens.instruments.spec import InstrumentSpec


class Robustness(InstrumentSpec, Attack):
    """The attack of robust accuracy (Table 1): PGD with 40 steps by default."""

    steps: int = Field(default=40, ge=1)
    """Number of gradient steps."""
    robust_attack: Literal["pgd", "autoattack"] = "pgd"
    """``pgd``, or AutoAttack (Croce and Hein 2020), stronger and slower."""
    limit: int | None = Field(default=None, ge=1)
    """Attack only the first n test images; None: all."""
    batch: int = Field(default=256, ge=1)
    """Images attacked at once; random starts are drawn batch by batch, so it decides them."""
    frequency_radius: float | None = Field(default=None, gt=0)
    """Radius, in cycles per image, above which energy counts as high-frequency; None: that of the low-pass set, or
    an eighth of the side."""
    models: Literal["all", "exemplars"] | tuple[str, ...] = "all"
    """Models that are attacked, by name; ``all``; or ``exemplars``: the standard and the underfit model, and the
    strongest of each kind of adversary."""
