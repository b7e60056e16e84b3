"""What figures and tables know of each model: its name, its family, its place in the order (torch-free)."""

from collections.abc import Sequence
from typing import Literal

from shapelens.spec import Spec

Family = Literal["standard", "underfit", "pgd-inf", "pgd-l2", "fgsm", "spatial", "finished", "calibration", "judge"]

FAMILIES: dict[str, str] = {
    "standard": "Standard",
    "underfit": "Underfit",
    "pgd-inf": "PGD-ℓ∞",
    "pgd-l2": "PGD-ℓ2",
    "fgsm": "FGSM",
    "spatial": "Spatial",
    "finished": "Finished",
    "calibration": "Calibration",
    "judge": "Judge",
}
"""Families in their usual order, with their headings."""


Cue = Literal["texture", "shape", "colour"]

RULERS: dict[str, Cue] = {
    "calibration-texture": "texture",
    "calibration-shape": "shape",
    "calibration-colour": "colour",
}
"""The models that show what a test set leaves of each cue: each can read the one cue and cannot use shape, or texture,
or either."""
MODEL_OF: dict[Cue, str] = {cue: model for model, cue in RULERS.items()}
ENDS: tuple[Cue, Cue] = ("texture", "shape")
"""The cues whose rulers read the low and the high end of a scale of shape bias."""


JUDGE = "judge"
"""The name of the model that is no subject of the study: in its features images are compared that other models made."""


class ModelInfo(Spec):
    """One model of the grid, as figures and tables see it."""

    name: str
    """Name in the config and in every file."""
    label: str = ""
    """Name as readers see it; empty or equal to ``name``: made from family and eps."""
    family: Family
    """Kind of training; decides colour and marker."""
    eps: float | None = None
    """Radius of the training adversary for images in [0, 1]; decides shade and width of lines."""
    budget: float | None = None
    """Longest displacement of a spatial training adversary, in pixels; decides them there."""
    seeds: tuple[int, ...] = (0,)
    """Training seeds that were measured."""

    @property
    def title(self) -> str:
        """Name as readers see it, on one line."""
        if self.label not in ("", self.name):
            return self.label
        if self.eps is not None and self.family in ("pgd-inf", "pgd-l2", "fgsm"):
            return f"{FAMILIES[self.family]} {radius(self.family, self.eps)}"
        if self.budget is not None and self.family == "spatial":
            return f"{FAMILIES[self.family]} {self.budget:g}\N{NO-BREAK SPACE}px"
        if self.family in ("standard", "underfit", "judge") and self.name == self.family:
            return FAMILIES[self.family]
        if self.family == "calibration":
            return self.name.replace("-", " ").capitalize()
        return self.name

    @property
    def strength(self) -> float:
        """How much the training adversary may change, in the unit of the model's family; 0 without one."""
        return self.eps or self.budget or 0.0

    @property
    def heading(self) -> str:
        """The title broken into two lines at its last blank, for narrow columns."""
        return "\n".join(self.title.rsplit(" ", 1))


def radius(family: str, eps: float) -> str:
    """Write a radius as the field does: in 255ths for ℓ∞ and FGSM, plain for ℓ2."""
    return f"{eps:g}" if family == "pgd-l2" else f"{eps * 255:.3g}/255"


def strongest(models: Sequence[ModelInfo], family: Family) -> ModelInfo | None:
    """Return the model of a family whose adversary may change most, or None where the family is empty."""
    return max((m for m in models if m.family == family), key=lambda m: m.strength, default=None)


def exemplars(models: Sequence[ModelInfo]) -> list[ModelInfo]:
    """Return the few models that Figures 2 and 6 show: standard, underfit and the strongest of PGD-ℓ∞.

    Where a grid has none of these, its first three models stand in.
    """
    wanted: list[Family] = ["standard", "underfit", "pgd-inf"]
    found = [m for m in (strongest(models, family) for family in wanted) if m is not None]
    return found or list(models[:3])


def opposites(models: Sequence[ModelInfo]) -> list[ModelInfo]:
    """Return the models of Figure 8: standard, the strongest of PGD-ℓ∞, and the spatially trained one."""
    wanted: list[Family] = ["standard", "pgd-inf", "spatial"]
    return [m for m in (strongest(models, family) for family in wanted) if m is not None]


def seeds_text(models: Sequence[ModelInfo]) -> str:
    """Return the training seeds in words, such as ``seeds 0, 1``; finished models have none."""
    seeds = sorted({seed for m in models if m.family != "finished" for seed in m.seeds})
    if not seeds:
        return ""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
