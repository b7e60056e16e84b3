"""Which checkpoint is kept; the test set has no part in it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

log = logging.getLogger("shapelens")

Row = dict[str, float | int | None]
"""One validation: epoch, step, lr, loss, and the three validation accuracies (None where there is no adversary).

``penalty``, the mean of what was added to the loss, is there only where the training has a penalty.
"""


@dataclass(frozen=True)
class Target:
    """The clean validation accuracy of the model that a matched model stops at."""

    model: str
    accuracy: float


@dataclass(frozen=True)
class Best:
    """The checkpoint to keep so far."""

    score: float
    row: Row
    weights: dict[str, Tensor]


def criterion(adversarial: bool, target: Target | None) -> str:
    """Return ``match`` for a model with a target, ``pgd`` for one with an adversary, else ``clean``."""
    return "match" if target is not None else "pgd" if adversarial else "clean"


def score(criterion: str, clean: float, pgd: float | None, target: Target | None) -> float:
    """Return what the kept checkpoint has most of: PGD accuracy, clean accuracy, or nearness to the target."""
    if criterion == "match":
        assert target is not None
        return -abs(clean - target.accuracy)
    if criterion == "pgd":
        assert pgd is not None
        return pgd
    return clean


def is_enough(rows: Sequence[Row], target: Target, tolerance: float, patience: int) -> bool:
    """Say whether a matched model's training may stop.

    That is at the first validation at or above the target. If that one overshot, and none so far lies within
    ``tolerance``, training goes on until one does, for at most ``patience`` steps: early in training the accuracy jumps
    from one step to the next, up and down.
    """
    accuracies = [float(row["validation_accuracy"] or 0.0) for row in rows]
    crossed = next((row["step"] for row, found in zip(rows, accuracies, strict=True) if found >= target.accuracy), None)
    if crossed is None:
        return False
    nearest = min(abs(found - target.accuracy) for found in accuracies)
    return is_matched(nearest, tolerance) or int(rows[-1]["step"] or 0) >= int(crossed) + patience


def is_matched(gap: float, tolerance: float) -> bool:
    """Compare a gap with the tolerance; both are counts over the same images, so equality must not fail by rounding."""
    return abs(gap) <= tolerance + 1e-9


def collapsed(fgsm: float | int | None, pgd: float | int | None) -> bool:
    """Say whether PGD accuracy is below a tenth of FGSM accuracy: the model is robust to single steps only."""
    return fgsm is not None and pgd is not None and pgd < fgsm / 10


def describe(
    row: Mapping[str, float | int | None], criterion: str, target: Target | None, tolerance: float
) -> dict[str, Any]:
    """Return selection.json's account of the kept checkpoint; warn where a target was not met within ``tolerance``.

    ``gap`` is the reached clean validation accuracy minus the target's.
    """
    match = None
    if target is not None:
        reached = float(row["validation_accuracy"] or 0.0)
        gap = reached - target.accuracy
        matched = is_matched(gap, tolerance)
        match = {
            "model": target.model,
            "target": target.accuracy,
            "reached": reached,
            "gap": round(gap, 12),
            "matched": matched,
        }
        if not matched:
            log.warning(
                "not matched: the nearest validation accuracy is %.3f, but %s has %.3f; validate more often "
                "(training.match_every) or train longer (training.epochs)",
                *(reached, target.model, target.accuracy),
            )
    return {
        **{key: row[key] for key in ("step", "epoch", "validation_accuracy", "validation_fgsm", "validation_pgd")},
        "criterion": criterion,
        "collapsed": collapsed(row["validation_fgsm"], row["validation_pgd"]),
        "match": match,
    }
