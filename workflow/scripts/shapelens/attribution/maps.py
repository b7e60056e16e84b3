"""Saliency maps: gradients of a class's score with respect to the network's input.

A model's copy from ``models.for_gradients.fused`` gives the same maps but for rounding, faster.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from shapelens.models.evaluation_mode import still
from shapelens.models.for_gradients import fits_cache

Score = Literal["log-probability", "probability", "logit"]
"""What is explained: log p_c, p_c (softmax), or the logit of the class c."""


def grad(model: nn.Module, x: Tensor, target: Tensor, *, score: Score = "log-probability") -> Tensor:
    """Return ∂S_c/∂x, signed (Simonyan et al. 2013, section 3).

    Args:
        model: maps (N, C, H, W) to logits (N, classes); used in evaluation mode and left as it was.
        x: (N, C, H, W), at the network's input size.
        target: int64 (N,), the class c of each image.
        score: what S_c is.

    Returns:
        (N, C, H, W) of the dtype of x.
    """
    with still(model):
        return _gradients(model, x, target, score)


def smoothgrad(
    model: nn.Module,
    x: Tensor,
    target: Tensor,
    *,
    samples: int = 100,
    sigma: float = 0.1,
    generator: torch.Generator | None = None,
    noise: Tensor | None = None,
    score: Score = "log-probability",
    chunk: int | None = None,
) -> Tensor:
    """Return the mean of ∂S_c/∂x at x + g, signed, g ~ N(0, s²), s = sigma·(max x − min x) of each image.

    Smilkov et al. 2017, section 3. The noisy images are not clipped. The chunk changes nothing but rounding.

    Args:
        model: maps (B, C, H, W) to logits (B, classes); used in evaluation mode and left as it was.
        x: (N, C, H, W), at the network's input size.
        target: int64 (N,), the class c of each image.
        samples: noisy copies of each image.
        sigma: noise as a share of each image's own range.
        generator: draws the noise, or
        noise: (samples, N, C, H, W), standard normal; exactly one of the two.
        score: what S_c is.
        chunk: noisy images per pass; None: what is fast on the device.

    Returns:
        (N, C, H, W) of the dtype of x.

    Raises:
        ValueError: both or neither of generator and noise, or noise of another shape.
    """
    if (generator is None) == (noise is None):
        raise ValueError("smoothgrad takes either a generator or the noise itself")
    if noise is not None and noise.shape != (samples, *x.shape):
        raise ValueError(f"noise has shape {tuple(noise.shape)}; {(samples, *x.shape)} is needed")
    x = x.detach()
    chunk = chunk or default_chunk(x)
    together = max(1, chunk // len(x))
    flat = x.flatten(1)
    scale = (sigma * (flat.amax(1) - flat.amin(1))).view(-1, 1, 1, 1)
    total = torch.zeros_like(x)
    with still(model):
        for first in range(0, samples, together):
            count = min(together, samples - first)
            if noise is not None:
                g = noise[first : first + count].to(x)
            else:
                # Sample by sample, so that the chunk does not change what is drawn.
                g = torch.stack([_normal(x, generator) for _ in range(count)])
            total += stacked_gradients(model, torch.addcmul(x, scale, g), target, score, chunk).sum(0)
    return total / samples


def stacked_gradients(model: nn.Module, versions: Tensor, target: Tensor, score: Score, chunk: int) -> Tensor:
    """Return ∂S_c/∂x of several versions of the same images (V, N, C, H, W), of that shape.

    At most ``chunk`` images go through the model at once; it is to be held still.
    """
    images = versions.flatten(0, 1)
    if images.device.type == "cpu":
        images = images.contiguous(memory_format=torch.channels_last)  # a fifth faster there
    targets = target.repeat(len(versions))
    parts = [
        _gradients(model, part, c, score)
        for part, c in zip(torch.split(images, chunk), torch.split(targets, chunk), strict=True)
    ]
    return torch.unflatten(torch.cat(parts), 0, versions.shape[:2])


def class_scores(logits: Tensor, target: Tensor, score: Score) -> Tensor:
    """Return S_c (N,) of logits (N, classes) for the class c of each image."""
    if score == "log-probability":
        logits = torch.log_softmax(logits, dim=1)
    elif score == "probability":
        logits = torch.softmax(logits, dim=1)
    return logits.gather(1, target[:, None]).squeeze(1)


def default_chunk(x: Tensor) -> int:
    """Return how many images go through a network at once: what fits a CPU's caches, or fills a GPU."""
    if x.device.type == "cpu":
        return fits_cache(x)
    return max(64, 2**22 // (x.shape[-2] * x.shape[-1]))


def _normal(x: Tensor, generator: torch.Generator | None) -> Tensor:
    where = x.device if generator is None else generator.device
    return torch.randn(x.shape, generator=generator, device=where, dtype=x.dtype).to(x.device)


def _gradients(model: nn.Module, x: Tensor, target: Tensor, score: Score) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        # Images do not interact in evaluation mode, so the gradient of the sum holds every image's own.
        (gradient,) = torch.autograd.grad(class_scores(model(x), target, score).sum(), x)
    return gradient
