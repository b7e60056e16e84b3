"""Spec of the attack of robust accuracy (torch-free)."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from shapelens.attacks.spec import Attack
from shapelens.instruments.spec import InstrumentSpec
from shapelens.spec import Number

STEP = 2 / 255
"""Step of the default attack, as in Table 1 of Zhang and Zhu (2019)."""


class Robustness(InstrumentSpec, Attack):
    """The attack of robust accuracy (Table 1): PGD with 40 steps by default."""

    eps: Number = Field(default=8 / 255, ge=0)
    """Radius of the ball, for images in [0, 1]; by default 8/255 of ℓ∞; ℓ2 has no default."""
    step: Number | None = Field(default=None, gt=0)
    """Step length; by default 2/255 where eps is the default, else as in a training adversary: eps for one step, else
    2.5·eps/steps."""
    steps: int = Field(default=40, ge=1)
    """Number of gradient steps."""
    robust_attack: Literal["pgd", "autoattack"] = "pgd"
    """``pgd``, or AutoAttack (Croce and Hein 2020), stronger and slower."""
    limit: int | None = Field(default=None, ge=1)
    """Attack only the first n test images; None: all."""
    batch: int = Field(default=256, ge=1)
    """Images attacked at once; random starts are drawn batch by batch, so it decides them."""
    frequency_radius: Number | None = Field(default=None, gt=0)
    """Radius, in cycles per image, above which energy counts as high-frequency; None: that of the low-pass set, or
    an eighth of the side."""
    models: Literal["all", "exemplars"] | tuple[str, ...] = "all"
    """Models that are attacked, by name; ``all``; or ``exemplars``: the standard and the underfit model, and the
    strongest of each kind of adversary."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, raw: Any) -> Any:
        """Take the default step with the default eps, which is one of ℓ∞ alone."""
        if not isinstance(raw, Mapping) or "eps" in raw:
            return raw
        if raw.get("norm", "inf") == "l2":
            raise ValueError("eps: 8/255, the default, is meant for norm: inf; an ℓ2 attack needs its own")
        return {"step": STEP, **raw}
