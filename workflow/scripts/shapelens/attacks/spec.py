"""Threat models (torch-free)."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from shapelens.spec import Number, Spec


class Attack(Spec):
    """A norm-bounded adversary on images in [0, 1]: PGD (Madry et al. 2018), or FGSM with one step.

    FGSM (Goodfellow et al. 2015) is ``steps: 1, random_start: false`` with ``step`` equal to ``eps``.
    """

    norm: Literal["inf", "l2"] = "inf"
    """Norm of the perturbation."""
    eps: Number = Field(ge=0)
    """Radius of the ball, for images in [0, 1]; ``8/255`` may be written as it stands."""
    step: Number | None = Field(default=None, gt=0)
    """Step length; by default eps for one step, else 2.5·eps/steps. Of ℓ2 steps by sign it is the change of each
    pixel, by default eps/(2·255) with eps meant at 224×224, as the authors' released code has it."""
    steps: int = Field(default=20, ge=1)
    """Number of gradient steps."""
    random_start: bool = True
    """Start uniformly in the ball; else at the image."""
    restarts: int = Field(default=1, ge=1)
    """Number of starts; the worst result of each image is kept."""
    direction: Literal["gradient", "sign"] | None = None
    """Direction of an ℓ2 step; ``sign`` is what the authors' released code did. ℓ∞ always uses the sign."""
    eps_reference_side: int | None = None
    """Side of the square images for which an ℓ2 eps is meant; it is scaled by side/reference to keep the
    root-mean-square change per pixel. None: eps is absolute at the input's own size."""

    @model_validator(mode="after")
    def _check(self) -> "Attack":
        if self.norm == "inf" and self.direction == "gradient":
            raise ValueError("direction: an ℓ∞ step follows the sign; leave direction out, or use norm: l2")
        if self.norm == "inf" and self.eps > 1:
            raise ValueError(
                f"eps: {self.eps:g} is above 1, the whole range of a pixel; did you mean {self.eps:g}/255?"
            )
        by_sign = self.norm == "inf" or self.direction == "sign"
        if by_sign and self.step is not None and self.step > 1:
            raise ValueError(
                f"step: {self.step:g} is above 1, the whole range of a pixel; did you mean {self.step:g}/255?"
            )
        if self.norm == "inf" and self.eps_reference_side is not None:
            raise ValueError("eps_reference_side: only an ℓ2 eps is scaled with the side")
        return self

    def resolved(self, side: int) -> "Attack":
        """Return the attack with every default filled in, eps and step absolute at ``side`` pixels."""
        scale = 1.0 if self.eps_reference_side is None else side / self.eps_reference_side
        eps = self.eps * scale
        if self.norm == "l2" and self.direction == "sign":
            # A change per pixel is the same at every side, so this step does not scale with eps.
            step: float | None = self.step if self.step is not None else eps * 224 / side / (2 * 255)
        elif self.step is not None:
            step = self.step * scale
        else:
            step = eps if self.steps == 1 else 2.5 * eps / self.steps
        return self.model_copy(
            update={
                "eps": eps,
                "step": step or None,
                "direction": self.direction or ("sign" if self.norm == "inf" else "gradient"),
                "eps_reference_side": None,
            }
        )

    @property
    def family(self) -> str:
        """``fgsm`` for one step from the image, else ``pgd-inf`` or ``pgd-l2``."""
        if self.steps == 1 and self.norm == "inf":
            return "fgsm"
        return f"pgd-{self.norm}"


def beyond_l2(path: str, attack: Attack, side: int) -> list[str]:
    """Return what is wrong with an ℓ2 attack whose radius or step is longer than any distance between two images.

    Two images of side n in [0, 1] are at most √(3·n²) apart. ``path``: the attack's key in the config; ``side``: of the
    network's input.
    """
    at = attack.eps_reference_side or side
    most = math.sqrt(3 * at**2)
    lengths = {"eps": attack.eps, **({} if attack.direction == "sign" else {"step": attack.step or 0.0})}
    return [
        f"{path}.{key}: {length:g} is more than {most:.3g}, the largest ℓ2 distance between two images of {at}×{at} "
        f"pixels; did you mean {length:g}/255?"
        for key, length in lengths.items()
        if attack.norm == "l2" and length > most
    ]


class SpatialAttack(Spec):
    """A flow-field adversary (Xiao et al. 2018): pixels are fetched from up to ``budget`` pixels away."""

    kind: Literal["spatial"]
    """``spatial``; an adversary without ``kind`` is bounded by a norm."""
    budget: Number = Field(ge=0)
    """Longest displacement of a pixel (Euclidean), in pixels of the network's input."""
    step: Number | None = Field(default=None, gt=0)
    """Pixels by which each displacement moves in a step; by default the budget for one step, else 2.5·budget/steps.
    Of ``lbfgs`` the learning rate, by default 0.5."""
    steps: int = Field(default=20, ge=1)
    """Number of gradient steps; of ``lbfgs`` the number of calls, of ten iterations each."""
    loss: Literal["margin", "cross-entropy"] = "margin"
    """What is maximised. ``margin``: the best wrong logit minus that of the label, as in the paper. The gradient of the
    cross-entropy, which the released code has, vanishes where the model is sure, so that only smoothness counts."""
    tv_weight: Number = Field(default=1.0, ge=0)
    """Weight of the flow's total variation against the loss: the mean over pixels of the lengths of the differences
    to their four neighbours, so it means the same at every side."""
    random_start: bool = False
    """Start at displacements uniform in the disc of radius ``budget``; else at the image, as the paper does."""
    solver: Literal["steps", "lbfgs"] = "steps"
    """``steps``: projected steps, the best of each image kept. ``lbfgs``: the paper's and the released code's, on the
    whole batch at once; several times slower."""
    budget_reference_side: int | None = Field(default=None, ge=1)
    """Side of the square images for which budget and step are meant; they are scaled by side/reference. None: they are
    absolute at the input's own size."""

    @model_validator(mode="before")
    @classmethod
    def _name_the_kind(cls, raw: Any) -> Any:
        """Refuse another kind before its keys are looked at."""
        kind = raw.get("kind", "spatial") if isinstance(raw, Mapping) else "spatial"
        if kind != "spatial":
            raise ValueError(
                f"kind: {kind!r} is unknown; allowed: spatial, or no kind at all for an adversary bounded by a norm"
                + ("; did you mean spatial?" if get_close_matches(str(kind), ["spatial"], cutoff=0.5) else "")
            )
        return raw

    def resolved(self, side: int) -> "SpatialAttack":
        """Return the attack with every default filled in, budget and step absolute at ``side`` pixels."""
        scale = 1.0 if self.budget_reference_side is None else side / self.budget_reference_side
        budget = self.budget * scale
        if self.solver == "lbfgs":
            step: float | None = self.step or 0.5
        elif self.step is not None:
            step = self.step * scale
        else:
            step = budget if self.steps == 1 else 2.5 * budget / self.steps
        return self.model_copy(update={"budget": budget, "step": step or None, "budget_reference_side": None})

    @property
    def family(self) -> str:
        """Always ``spatial``."""
        return "spatial"


def _tag(value: Any) -> str:
    spatial = "kind" in value if isinstance(value, Mapping) else isinstance(value, SpatialAttack)
    return SPATIAL_TAG if spatial else NORM_TAG


# No model's name has blanks, so messages about a key can leave these tags out of its path.
NORM_TAG, SPATIAL_TAG = "norm adversary", "spatial adversary"
AnyAttack = Annotated[
    Annotated[Attack, Tag(NORM_TAG)] | Annotated[SpatialAttack, Tag(SPATIAL_TAG)], Discriminator(_tag)
]
"""A training adversary: bounded by a norm, or with ``kind: spatial`` by the length of a flow."""
