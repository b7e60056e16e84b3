"""The flow-field adversary: images deformed by a small displacement of every pixel.

Xiao et al. 2018, "Spatially Transformed Adversarial Examples", §3: bilinear sampling (eq. 1), the flow's total
variation (eq. 4) and L-BFGS. The bound on the flow's length is ours; so are the projected steps. A flow (N, 2, H, W)
is in pixels of the image: first the displacement along the columns, then along the rows.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS

from shapelens.attacks.losses import Loss, cross_entropy
from shapelens.attacks.spec import SpatialAttack
from shapelens.models.evaluation_mode import frozen

LBFGS_ITERATIONS = 10
"""Iterations of one L-BFGS call, as in the released code."""


class _Sample(torch.autograd.Function):
    """Bilinear sampling whose gradient reaches the flow alone.

    torch's grid_sample takes coordinates in [-1, 1], whose rounding makes even shifts by whole pixels inexact.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, flow: Tensor) -> Tensor:
        n, c, h, w = x.shape
        left, right, across, inside_x = _place(torch.arange(w, device=flow.device) + flow[:, 0], w)
        top, bottom, down, inside_y = _place(torch.arange(h, device=flow.device).view(h, 1) + flow[:, 1], h)
        pixels = x.reshape(n, c, h * w)

        def fetch(row: Tensor, column: Tensor) -> Tensor:
            return pixels.gather(2, (row * w + column).view(n, 1, -1).expand(-1, c, -1)).view(n, c, h, w)

        top_left, top_right = fetch(top, left), fetch(top, right)
        bottom_left, bottom_right = fetch(bottom, left), fetch(bottom, right)
        # lerp, unlike a + t·(b − a), is exact at both ends.
        above, below = torch.lerp(top_left, top_right, across), torch.lerp(bottom_left, bottom_right, across)
        slope_x = torch.lerp(top_right - top_left, bottom_right - bottom_left, down) * inside_x
        ctx.save_for_backward(slope_x, (below - above) * inside_y)
        return torch.lerp(above, below, down)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, torch.stack([(gradients[0] * slope).sum(1) for slope in ctx.saved_tensors], 1)


def _place(at: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the two pixels around each coordinate, the fraction between them, and whether it lies inside the image.

    The last two are shaped (N, 1, H, W). At the last pixel the two are the one before it and itself, so that the slope
    there is taken from inside the image.
    """
    held = at.clamp(0, size - 1)
    first = held.floor().clamp(max=max(size - 2, 0))
    whole = first.long()
    return whole, (whole + 1).clamp(max=size - 1), (held - first).unsqueeze(1), (held == at).unsqueeze(1)


def sample(x: Tensor, flow: Tensor) -> Tensor:
    """Return the image whose pixel p has the value of ``x`` at p + flow(p); beyond the border it is replicated.

    ``x``: (N, C, H, W); ``flow``: (N, 2, H, W), finite, of the same type. Values between pixels are bilinear, so no
    value leaves the range of ``x`` by more than rounding. Zero flow returns ``x``, and a shift by whole pixels exactly
    those pixels. The gradient reaches the flow only; at a pixel's centre it is the slope towards the next pixel, at the
    last pixel the slope from the one before, and beyond the border zero.
    """
    result: Tensor = _Sample.apply(x, flow)
    return result


def total_variation(flow: Tensor) -> Tensor:
    """Return one roughness per flow (N,): the mean over pixels of Σ ‖f(p) − f(q)‖ over the four neighbours q.

    Xiao et al. 2018, eq. 4, which sums over pixels. The mean, in pixels of displacement per pixel of distance, is
    the same for the same deformation at every resolution, so one weight serves images of every size. Its gradient is
    zero where neighbours have the same displacement.
    """
    pairs = torch.zeros((), dtype=flow.dtype, device=flow.device)
    for axis in (2, 3):
        square = _square(flow.diff(dim=axis))
        apart = square > 0
        # The square root has no finite gradient at zero.
        pairs = pairs + (torch.where(apart, square, 1).sqrt() * apart).flatten(1).sum(1)
    # The sum over pixels counts each pair of neighbours twice.
    return 2 * pairs / (flow.shape[2] * flow.shape[3])


def _square(flow: Tensor) -> Tensor:
    """Return the squared length of each displacement, shaped (N, 1, H, W); far faster than a norm over two channels."""
    return flow[:, :1].square() + flow[:, 1:].square()


def project(flow: Tensor, budget: float) -> Tensor:
    """Project a flow: displacements longer than ``budget`` are shortened to it, the others stay as they are."""
    square = _square(flow)
    scale = budget / square.clamp_min(budget**2).sqrt()
    return flow * torch.where(square > budget**2, scale, 1)


def step(flow: Tensor, gradient: Tensor, far: float) -> Tensor:
    """Move each displacement ``far`` pixels along its own gradient: steepest ascent for a bound per pixel."""
    lengths = torch.hypot(gradient[:, :1], gradient[:, 1:])
    return flow + far * (gradient / lengths.clamp_min(torch.finfo(flow.dtype).tiny))


def random_flow(x: Tensor, budget: float, generator: torch.Generator | None) -> Tensor:
    """Draw a flow for each image, its displacements independent and uniform in the disc of radius ``budget``."""
    n, _, h, w = x.shape
    uniform = torch.rand((2, n, h, w), generator=generator, device=x.device, dtype=x.dtype)
    radius, angle = budget * uniform[0].sqrt(), 2 * torch.pi * uniform[1]
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Return the best wrong logit minus the label's, per image: above 0 where it is misclassified.

    Xiao et al. 2018, eq. 3, untargeted and without its bound κ, since training is on the worst case.
    """
    own = y.unsqueeze(1)
    return logits.scatter(1, own, -torch.inf).amax(1) - logits.gather(1, own).squeeze(1)


def deform(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    attack: SpatialAttack,
    generator: torch.Generator | None,
    *,
    loss: Loss | None = None,
) -> Tensor:
    """Return deformed images with a higher loss, within [0, 1]; see ``find_flow`` for what is maximised and how.

    ``x``: (N, C, H, W) in [0, 1], at the network's input size; ``y``: labels (N,); ``attack``: with every default
    filled in (``attack.resolved(side)``); ``generator``: on the device of ``x``, used by random starts only (None:
    torch's global one). ``loss``: what is maximised; by default what ``attack.loss`` names. The model's weights,
    gradients, modes and batch-norm statistics are left as they were. Under autocast only the network computes in low
    precision.

    Raises ValueError for an unresolved attack or images outside [0, 1], FloatingPointError for a gradient that is
    not finite.
    """
    if attack.budget_reference_side is not None or (attack.budget > 0 and attack.step is None):
        raise ValueError("attack: its step and budget are not yet absolute; pass attack.resolved(side)")
    x = x.detach()
    low, high = x.aminmax()
    if low < -1e-6 or high > 1 + 1e-6:
        raise ValueError(f"x: images lie in [{low:g}, {high:g}], not in [0, 1]; attack them before normalisation")
    if attack.budget == 0:
        return x.clamp(0, 1)
    return sample(x, find_flow(model, x, y, attack, generator, loss=loss)).clamp(0, 1)


def find_flow(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    attack: SpatialAttack,
    generator: torch.Generator | None,
    *,
    loss: Loss | None = None,
) -> Tensor:
    """Return flows (N, 2, H, W) within the budget that maximise loss(deformed image) − tv_weight · total variation.

    The arguments are those of ``deform``. ``solver: steps`` treats images independently and keeps the best iterate of
    each, start and end included: a misclassified one before any other, then the highest objective. ``solver: lbfgs``
    minimises the mean over the batch as one problem, as the released code does, so its result depends on the batch.
    """
    objective = loss or (margin if attack.loss == "margin" else cross_entropy)
    zero = x.new_zeros(len(x), 2, *x.shape[2:])
    start = random_flow(x, attack.budget, generator) if attack.random_start else zero
    with frozen(model), torch.enable_grad():
        solve = _by_lbfgs if attack.solver == "lbfgs" else _by_steps
        return solve(model, x, y, attack, start, objective)


def _by_steps(model: nn.Module, x: Tensor, y: Tensor, attack: SpatialAttack, flow: Tensor, objective: Loss) -> Tensor:
    finite = torch.ones((), dtype=torch.bool, device=x.device)
    best, best_wrong, best_value = (
        flow,
        torch.zeros_like(y, dtype=torch.bool),
        torch.full_like(x[:, 0, 0, 0], -torch.inf),
    )
    for number in range(attack.steps + 1):
        last = number == attack.steps
        flow = flow.detach().requires_grad_(not last)
        with torch.set_grad_enabled(not last):
            wrong, value = _judge(model, x, y, attack, flow, objective)
        reached = value.detach().to(best_value.dtype)
        better = (wrong > best_wrong) | ((wrong == best_wrong) & (reached > best_value))
        best = torch.where(better.view(-1, 1, 1, 1), flow.detach(), best)
        best_wrong, best_value = torch.where(better, wrong, best_wrong), torch.where(better, reached, best_value)
        if not last:
            (gradient,) = torch.autograd.grad(value.sum(), flow)
            finite &= gradient.isfinite().all()
            # A flow that is not finite points to no pixel.
            gradient = gradient.nan_to_num(0, 0, 0)
            flow = project(step(flow.detach(), gradient, attack.step or 0.0), attack.budget)
    # Checked once at the end: each check would wait for the GPU.
    if not finite:
        raise _not_finite()
    return best


def _by_lbfgs(model: nn.Module, x: Tensor, y: Tensor, attack: SpatialAttack, flow: Tensor, objective: Loss) -> Tensor:
    # The released code's unit of flow is half the image; the first L-BFGS step depends on it.
    half = max(max(x.shape[2:]) - 1, 1) / 2
    free = (flow / half).requires_grad_()
    solver = LBFGS([free], lr=attack.step or 0.0, max_iter=LBFGS_ITERATIONS)

    def closure() -> Tensor:
        _, value = _judge(model, x, y, attack, project(free * half, attack.budget), objective)
        cost = -value.mean()
        (free.grad,) = torch.autograd.grad(cost, free)
        if not free.grad.isfinite().all():
            raise _not_finite()
        return cost

    for _ in range(attack.steps):
        solver.step(closure)  # type: ignore[no-untyped-call]
    return project(free.detach() * half, attack.budget)


def _judge(
    model: nn.Module, x: Tensor, y: Tensor, attack: SpatialAttack, flow: Tensor, objective: Loss
) -> tuple[Tensor, Tensor]:
    """Return (N,) whether each deformed image is misclassified, and (N,) its objective."""
    logits: Tensor = model(sample(x, flow))
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    value = objective(logits, y)
    if attack.tv_weight:
        value = value - attack.tv_weight * total_variation(flow)
    return logits.detach().argmax(1) != y, value


def _not_finite() -> FloatingPointError:
    return FloatingPointError(
        "the attack met a gradient that is not finite: the model's weights or outputs overflow; "
        "train with a lower lr or with precision: fp32"
    )
