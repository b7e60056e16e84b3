"""Losses that attacks maximise. Kept apart so that editing one attack retrains no model of another."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps logits (N, classes) and labels (N,) to one loss per image (N,), which the attack maximises."""


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of each image."""
    return functional.cross_entropy(logits, y, reduction="none")
