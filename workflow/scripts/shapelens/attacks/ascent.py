"""Projected gradient ascent on images: the one optimiser of inputs, of attacks and of pictures of what a model reads.

Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks", §2, for any objective: PGD raises a
loss within a small ball, representation inversion (Engstrom et al. 2019) lowers a distance within the box alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Objective = Callable[[Tensor], Tensor]
"""Maps images (N, C, H, W) to one value each (N,), which is raised; no image's value may depend on another's."""


@dataclass(frozen=True)
class Ascent:
    """How images are optimised; lengths are absolute, in units of [0, 1] pixels."""

    norm: Literal["inf", "l2"]
    """Norm of the change."""
    step: float
    """Length of one step in ℓ2, or change of each pixel where steps are by sign."""
    steps: int
    eps: float = math.inf
    """Radius of the ball around the image that it may not leave; infinite: the box alone bounds it."""
    by_sign: bool = False
    """Whether an ℓ2 step follows the gradient's sign; ℓ∞ always does."""
    box: tuple[float, float] = (0.0, 1.0)
    """Least and greatest value of a pixel."""
    keep: Literal["last", "best"] = "last"
    """Of each image: the last iterate, or that of the highest value, start and end included."""
    snapshots: tuple[int, ...] = ()
    """Numbers of steps, ascending, after which what would be kept until then is noted; 0 is the start."""


class Climbed(NamedTuple):
    """What an ascent found."""

    images: Tensor
    """(N, C, H, W)."""
    snapshots: Tensor
    """(len(ascent.snapshots), N, C, H, W)."""


def ascend(objective: Objective, x: Tensor, ascent: Ascent, *, start: Tensor | None = None) -> Climbed:
    """Raise an objective of each image by projected steps along its gradient.

    ``x``: centre of the balls (N, C, H, W), without gradient; ``start``: where to begin, within ball and box; None: at
    ``x``. Each step is projected onto the ball, then clipped to the box. The caller holds the model still
    (``models.evaluation_mode``). The memory is that of one pass through the objective, whatever the number of steps.

    Raises FloatingPointError for a gradient that is not finite.
    """
    low, high = ascent.box
    now = kept = x if start is None else start
    reached = torch.full((len(x),), -math.inf, dtype=x.dtype, device=x.device)
    finite = torch.ones((), dtype=torch.bool, device=x.device)
    snapshots = []
    for number in range(ascent.steps + 1):
        climbs = number < ascent.steps
        now = now.detach().requires_grad_(climbs)
        if climbs or ascent.keep == "best":
            with torch.set_grad_enabled(climbs):
                value = objective(now)
        if ascent.keep == "best":
            better = value.detach() > reached
            kept = torch.where(better.view(-1, *[1] * (x.ndim - 1)), now.detach(), kept)
            reached = torch.where(better, value.detach().to(reached.dtype), reached)
        else:
            kept = now.detach()
        if number in ascent.snapshots:
            snapshots.append(kept)
        if climbs:
            (gradient,) = torch.autograd.grad(value.sum(), now)
            finite &= gradient.isfinite().all()
            delta = project(step(now.detach() - x, gradient, ascent), ascent.norm, ascent.eps)
            now = (x + delta).clamp(low, high)
    # Checked once at the end: each check would wait for the GPU.
    if not finite:
        raise FloatingPointError(
            "a gradient with respect to the images is not finite: the model's weights or outputs overflow; "
            "train with a lower lr or with precision: fp32"
        )
    return Climbed(kept, torch.stack(snapshots) if snapshots else x.new_empty(0, *x.shape))


def length(x: Tensor) -> Tensor:
    """Return the ℓ2 norm of each image of the batch, shaped (N, 1, 1, 1)."""
    norms: Tensor = torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), keepdim=True)
    return norms


def unit(x: Tensor) -> Tensor:
    """Scale each image of the batch to ℓ2 norm 1; zero stays zero, tiny gradients keep their direction."""
    tiny = torch.finfo(x.dtype).tiny
    x = x / x.abs().amax(dim=tuple(range(1, x.ndim)), keepdim=True).clamp_min(tiny)
    return x / length(x).clamp_min(tiny)


def project(delta: Tensor, norm: str, eps: float) -> Tensor:
    """Project each perturbation onto the ball of radius ``eps``; those inside stay as they are."""
    if norm == "inf":
        return delta.clamp(-eps, eps)
    norms = length(delta)
    return torch.where(norms > eps, delta * (eps / norms.clamp_min(torch.finfo(delta.dtype).tiny)), delta)


def step(delta: Tensor, gradient: Tensor, ascent: Ascent) -> Tensor:
    """Take one step of gradient ascent: ``ascent.step`` times the gradient's sign, or times the unit gradient."""
    direction = gradient.sign() if ascent.norm == "inf" or ascent.by_sign else unit(gradient)
    return delta + ascent.step * direction


def random_start(x: Tensor, norm: str, eps: float, generator: torch.Generator | None) -> Tensor:
    """Draw one perturbation per image, uniform in the ball: ℓ2 radii follow eps·u^(1/d), u uniform."""
    if norm == "inf":
        uniform = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return (2 * uniform - 1) * eps
    direction = unit(torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype))
    uniform = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype)
    radius = eps * uniform ** (1 / x[0].numel())
    return direction * radius.view(-1, *[1] * (x.ndim - 1))
