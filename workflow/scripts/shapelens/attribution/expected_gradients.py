"""Expected gradients (Erion et al. 2021; SHAP's ``GradientExplainer``): gradients between images and a background."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.attribution.maps import Score, class_scores, default_chunk, stacked_gradients
from shapelens.models.evaluation_mode import still


@dataclass(frozen=True)
class Expected:
    """Estimated maps, and how far sampling leaves them from their limit."""

    maps: Tensor
    """(N, C, H, W), signed, of the dtype of the images."""
    errors: Tensor
    """(N, C, H, W): the standard error of each value."""
    sum_errors: Tensor
    """(N,) float64: the standard error of each map's sum."""


def expected_gradients(
    model: nn.Module,
    x: Tensor,
    target: Tensor,
    *,
    background: Tensor,
    chosen: Tensor,
    places: Tensor,
    score: Score = "logit",
    chunk: int | None = None,
) -> Expected:
    """Return the mean of (x − b) · ∂S_c/∂x at b + a·(x − b), b drawn from the background and a from [0, 1].

    The limit of many samples is the mean over the background of what Integrated Gradients give with each of its images
    as baseline, so its sum is S_c(x) − mean S_c(b). The draws are independent, so the spread of the samples says how
    far the mean of a finite number is from that. Memory does not grow with the samples or the background: of that only
    ``chunk`` images are on the device. The chunk changes nothing but rounding.

    Args:
        model: maps (B, C, H, W) to logits (B, classes); used in evaluation mode and left as it was.
        x: (N, C, H, W), at the network's input size.
        target: int64 (N,), the class c of each image.
        background: (K, C, H, W) of the dtype of x, on any device.
        chosen: int64 (samples, N), which background image each sample starts from; at least two samples.
        places: float64 (samples, N) in [0, 1], how far along the way to the image.
        score: what S_c is.
        chunk: images per pass; None: what is fast on the device.

    Raises:
        ValueError: images or draws of shapes that do not fit, or fewer than two samples.
    """
    if background.ndim != 4 or not len(background) or background.shape[1:] != x.shape[1:]:
        raise ValueError(f"the background has shape {tuple(background.shape)}; {('K', *x.shape[1:])} is needed")
    if chosen.shape != places.shape or chosen.ndim != 2 or chosen.shape[1] != len(x) or len(chosen) < 2:
        raise ValueError(
            f"chosen and places have shapes {tuple(chosen.shape)} and {tuple(places.shape)}; "
            f"{('samples', len(x))}, samples at least 2, is needed"
        )
    x = x.detach()
    chunk = chunk or default_chunk(x)
    found = Spread.of(x)
    sums = Spread.of(torch.empty(len(x), dtype=torch.float64))
    with still(model):
        for part in torch.split(torch.arange(len(chosen)), max(1, chunk // len(x))):
            starts = background[chosen[part].to(background.device)].to(x)
            way = x - starts
            a = places[part].to(x).view(*chosen[part].shape, 1, 1, 1)
            each = way * stacked_gradients(model, starts + a * way, target, score, chunk)
            found.add(each)
            sums.add(each.sum((2, 3, 4), dtype=torch.float64).cpu())
    return Expected(found.mean, found.error(), sums.error())


class Spread:
    """Mean and standard error of samples that come in parts, without keeping them (Chan et al. 1983)."""

    def __init__(self, mean: Tensor, squares: Tensor) -> None:
        self.count, self.mean, self.squares = 0, mean, squares

    @classmethod
    def of(cls, like: Tensor) -> "Spread":
        """Return a spread of no samples yet, each of the shape and dtype of ``like``."""
        return cls(torch.zeros_like(like), torch.zeros_like(like))

    def add(self, samples: Tensor) -> None:
        """Take in samples, stacked along the first axis."""
        count, mean = len(samples), samples.mean(0)
        total = self.count + count
        step = mean - self.mean
        self.squares = self.squares + (samples - mean).square().sum(0) + step.square() * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total

    def error(self) -> Tensor:
        """Return the standard error of the mean; two samples are the least."""
        return (self.squares / ((self.count - 1) * self.count)).sqrt()


@torch.no_grad()
def mean_scores(model: nn.Module, images: Tensor, device: torch.device, score: Score, chunk: int) -> Tensor:
    """Return the mean of S_c over images (K, C, H, W), float64 (classes,), for every class c; ``chunk`` at a time."""
    with still(model):
        logits = torch.cat([model(part.to(device)).double().cpu() for part in torch.split(images, chunk)])
    classes = torch.arange(logits.shape[1])
    return torch.stack([class_scores(logits, c.expand(len(logits)), score).mean() for c in classes])


@torch.no_grad()
def scores_of(model: nn.Module, x: Tensor, target: Tensor, score: Score, chunk: int) -> Tensor:
    """Return S_c of images (N, C, H, W), each of its own class c; float64 (N,)."""
    with still(model):
        logits = torch.cat([model(part).double() for part in torch.split(x, chunk)])
    return class_scores(logits, target, score).cpu()


def draw_samples(
    samples: int, background: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw (samples,) indices of background images and places in [0, 1]; more samples continue those of fewer."""
    drawn = rng.random((samples, 2))
    # rounding could carry the largest float below 1 to the number itself
    chosen = np.minimum((drawn[:, 0] * background).astype(np.int64), background - 1)
    return chosen, drawn[:, 1]
