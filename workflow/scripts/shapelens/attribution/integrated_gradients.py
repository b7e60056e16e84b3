"""Integrated Gradients (Sundararajan et al. 2017): gradients averaged along the way from a baseline to the image."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.attribution.maps import Score, class_scores, default_chunk, stacked_gradients
from shapelens.models.evaluation_mode import still

Rule = Literal["midpoint", "trapezoid"]
"""Where the gradients are taken: amid n equal steps, or at the n ends of n − 1 steps, the outermost counting half."""
Baseline = Literal["black", "grey", "uniform"]


def integrated_gradients(
    model: nn.Module,
    x: Tensor,
    target: Tensor,
    *,
    baselines: Tensor,
    points: int = 50,
    score: Score = "log-probability",
    rule: Rule = "midpoint",
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return (x − b) · mean of ∂S_c/∂x along the straight way from b to x, averaged over the baselines b; and its gap.

    The maps would sum to S_c(x) − mean S_c(b), were the way followed without steps (completeness). The gap says how far
    they are from it, in units of the score: |Σ map − (S_c(x) − mean S_c(b))|. Both rules are exact for scores that are
    linear or quadratic along the way; with more points the gap of a smooth score falls as 1/points². The chunk changes
    nothing but rounding.

    Args:
        model: maps (B, C, H, W) to logits (B, classes); used in evaluation mode and left as it was.
        x: (N, C, H, W), at the network's input size.
        target: int64 (N,), the class c of each image.
        baselines: (K, N, C, H, W), or (K, 1, C, H, W) for the same ones for every image.
        points: gradients along each way; m steps of the trapezoid have m + 1.
        score: what S_c is.
        rule: where along the way the gradients are taken, and how they are weighted.
        chunk: images per pass; None: what is fast on the device.

    Returns:
        The maps (N, C, H, W), signed, of the dtype of x, and the gaps (N,) in float64.

    Raises:
        ValueError: baselines of another shape, or fewer points than the rule needs.
    """
    if baselines.ndim != 5 or not len(baselines) or baselines.shape[1:] not in (x.shape, (1, *x.shape[1:])):
        raise ValueError(
            f"baselines have shape {tuple(baselines.shape)}; for images of shape {tuple(x.shape)} they need "
            f"{('K', *x.shape)} or {('K', 1, *x.shape[1:])}, K at least 1"
        )
    places, weights = (part.to(x).view(-1, 1, 1, 1, 1) for part in path(rule, points))
    x, baselines = x.detach(), baselines.detach().to(x)
    chunk = chunk or default_chunk(x)
    together = max(1, chunk // len(x))
    maps = torch.zeros_like(x)
    with still(model):
        for baseline in baselines:
            way = x - baseline
            mean = torch.zeros_like(x)
            for a, w in zip(torch.split(places, together), torch.split(weights, together), strict=True):
                mean += (w * stacked_gradients(model, baseline + a * way, target, score, chunk)).sum(0)
            maps += way * mean
        maps /= len(baselines)
        ends = _scores(model, x[None], target, score, chunk)[0]
        starts = _scores(model, baselines, target, score, chunk).mean(0)
    return maps, (maps.double().sum((1, 2, 3)) - (ends - starts)).abs()


def path(rule: Rule, points: int) -> tuple[Tensor, Tensor]:
    """Return the places in [0, 1] where gradients are taken, and their weights, which sum to 1; both float64 (points,).

    Raises ValueError for fewer points than the rule needs.
    """
    least = 2 if rule == "trapezoid" else 1
    if points < least:
        raise ValueError(f"points: the {rule} rule needs at least {least}, not {points}")
    weights = torch.ones(points, dtype=torch.float64)
    if rule == "midpoint":
        places = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    else:
        places = torch.linspace(0, 1, points, dtype=torch.float64)
        weights[0] = weights[-1] = 0.5
    return places, weights / weights.sum()


def draw_baselines(kind: Baseline, count: int, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return baselines (count, C, H, W) for one image of a shape (C, H, W) in [0, 1].

    ``black`` is 0 and ``grey`` ½ everywhere, so one of them is enough; ``uniform`` draws every value from [0, 1).
    """
    if kind == "uniform":
        return rng.random((count, *shape), dtype=np.float32)
    return np.full((count, *shape), 0.0 if kind == "black" else 0.5, dtype=np.float32)


@torch.no_grad()
def _scores(model: nn.Module, versions: Tensor, target: Tensor, score: Score, chunk: int) -> Tensor:
    """Return S_c (V, N) in float64 of versions (V, N or 1, C, H, W); what all images share is computed once."""
    logits = torch.cat([model(part) for part in torch.split(versions.flatten(0, 1), chunk)])
    logits = torch.unflatten(logits.double(), 0, versions.shape[:2]).expand(-1, len(target), -1)
    return torch.stack([class_scores(of_version, target, score) for of_version in logits])
