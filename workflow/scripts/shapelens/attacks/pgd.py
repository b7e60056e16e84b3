"""Projected gradient descent within a norm ball; one function for training, evaluation and image synthesis.

Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks", §2; with one step from the image
itself in ℓ∞ it is FGSM (Goodfellow et al. 2015, §4).
"""

import torch
from torch import Tensor, nn

from shapelens.attacks.losses import Loss, cross_entropy
from shapelens.attacks.spec import Attack
from shapelens.models.evaluation_mode import frozen


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


def step(delta: Tensor, gradient: Tensor, attack: Attack) -> Tensor:
    """Take one step of gradient ascent: ``attack.step`` times the gradient's sign, or times the unit gradient."""
    direction = gradient.sign() if attack.norm == "inf" or attack.direction == "sign" else unit(gradient)
    return delta + (attack.step or 0.0) * direction


def random_start(x: Tensor, norm: str, eps: float, generator: torch.Generator | None) -> Tensor:
    """Draw one perturbation per image, uniform in the ball: ℓ2 radii follow eps·u^(1/d), u uniform."""
    if norm == "inf":
        uniform = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return (2 * uniform - 1) * eps
    direction = unit(torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype))
    uniform = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype)
    radius = eps * uniform ** (1 / x[0].numel())
    return direction * radius.view(-1, *[1] * (x.ndim - 1))


def perturb(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    attack: Attack,
    generator: torch.Generator | None,
    *,
    loss: Loss | None = None,
) -> Tensor:
    """Return images near ``x`` with a higher loss: within ``attack.eps`` of ``x`` and within [0, 1].

    ``x``: (N, C, H, W) in [0, 1], at the network's input size; ``y``: labels (N,); ``attack``: with every default
    filled in (``attack.resolved(side)``); ``generator``: on the device of ``x``, used by random starts only (None:
    torch's global one). ``loss``: what is maximised; by default the cross-entropy. Each step is projected onto the
    ball, then clipped to [0, 1]. Of several restarts each image keeps the worst: a misclassified one before any other,
    then the highest loss. The model's weights, gradients, modes and batch-norm statistics are left as they were. Under
    autocast only the network computes in low precision; the perturbation stays in the type of ``x``.

    Raises ValueError for an unresolved attack or images outside [0, 1], FloatingPointError for a gradient that is
    not finite.
    """
    if attack.eps_reference_side is not None or (attack.eps > 0 and attack.step is None):
        raise ValueError("attack: its step and eps are not yet absolute; pass attack.resolved(side)")
    x = x.detach()
    low, high = x.aminmax()
    if low < -1e-6 or high > 1 + 1e-6:
        raise ValueError(f"x: images lie in [{low:g}, {high:g}], not in [0, 1]; attack them before normalisation")
    objective = loss or cross_entropy
    if attack.eps == 0:
        return x.clamp(0, 1)
    with frozen(model), torch.enable_grad():
        best = climb(model, x, y, attack, generator, objective)
        if attack.restarts == 1:
            return best
        score = judge(model, best, y, objective)
        for _ in range(attack.restarts - 1):
            rival = climb(model, x, y, attack, generator, objective)
            rival_score = judge(model, rival, y, objective)
            worse = (rival_score[0] > score[0]) | ((rival_score[0] == score[0]) & (rival_score[1] > score[1]))
            best = torch.where(worse.view(-1, *[1] * (x.ndim - 1)), rival, best)
            score = torch.where(worse, rival_score, score)
        return best


def climb(
    model: nn.Module, x: Tensor, y: Tensor, attack: Attack, generator: torch.Generator | None, objective: Loss
) -> Tensor:
    """Attack a frozen model from one start; see ``perturb``."""
    adversarial = x
    if attack.random_start:
        adversarial = (x + random_start(x, attack.norm, attack.eps, generator)).clamp(0, 1)
    finite = torch.ones((), dtype=torch.bool, device=x.device)
    for _ in range(attack.steps):
        adversarial = adversarial.detach().requires_grad_()
        total = objective(_logits(model, adversarial), y).sum()
        (gradient,) = torch.autograd.grad(total, adversarial)
        finite &= gradient.isfinite().all()
        delta = project(step(adversarial.detach() - x, gradient, attack), attack.norm, attack.eps)
        adversarial = (x + delta).clamp(0, 1)
    # Checked once at the end: each check would wait for the GPU.
    if not finite:
        raise FloatingPointError(
            "the attack met a gradient that is not finite: the model's weights or outputs overflow; "
            "train with a lower lr or with precision: fp32"
        )
    return adversarial


@torch.no_grad()
def judge(model: nn.Module, x: Tensor, y: Tensor, objective: Loss) -> Tensor:
    """Return (2, N): whether each image is misclassified, and its loss."""
    logits = _logits(model, x)
    return torch.stack([(logits.argmax(1) != y).to(logits.dtype), objective(logits, y).to(logits.dtype)])


def _logits(model: nn.Module, x: Tensor) -> Tensor:
    logits: Tensor = model(x)
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
