"""Projected gradient descent within a norm ball: the attack of training and evaluation, a client of ``ascent``.

Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks", §2; with one step from the image
itself in ℓ∞ it is FGSM (Goodfellow et al. 2015, §4).
"""

import torch
from torch import Tensor, nn

from shapelens.attacks.ascent import Ascent, ascend, random_start
from shapelens.attacks.losses import Loss, cross_entropy
from shapelens.attacks.spec import Attack
from shapelens.models.evaluation_mode import frozen


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
    start = None
    if attack.random_start:
        start = (x + random_start(x, attack.norm, attack.eps, generator)).clamp(0, 1)
    ascent = Ascent(
        norm=attack.norm,
        eps=attack.eps,
        step=attack.step or 0.0,
        steps=attack.steps,
        by_sign=attack.direction == "sign",
    )
    return ascend(lambda images: objective(_logits(model, images), y), x, ascent, start=start).images


@torch.no_grad()
def judge(model: nn.Module, x: Tensor, y: Tensor, objective: Loss) -> Tensor:
    """Return (2, N): whether each image is misclassified, and its loss."""
    logits = _logits(model, x)
    return torch.stack([(logits.argmax(1) != y).to(logits.dtype), objective(logits, y).to(logits.dtype)])


def _logits(model: nn.Module, x: Tensor) -> Tensor:
    logits: Tensor = model(x)
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
