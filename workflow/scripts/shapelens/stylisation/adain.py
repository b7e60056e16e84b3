"""Adaptive instance normalisation (Huang & Belongie 2017): features take on another image's channel statistics."""

from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDING = 32
"""A channel is constant where its deviation, relative to its size, is at most this many machine epsilons: rounding."""


@dataclass(frozen=True)
class Moments:
    """Mean and deviation of each channel of each image: (N, C, 1, 1) each, in float32 or float64."""

    mean: Tensor
    deviation: Tensor

    def take(self, rows: Tensor | slice) -> "Moments":
        """Return the statistics of some of the images."""
        return Moments(self.mean[rows], self.deviation[rows])

    def to(self, device: torch.device | str) -> "Moments":
        """Return the statistics on a device."""
        return Moments(self.mean.to(device), self.deviation.to(device))


def moments(features: Tensor) -> Moments:
    """Return the channel statistics of features (N, C, H, W); half precision is summed in float32.

    The deviation is that of the whole channel (divided by H·W), with nothing added under the root: an offset there, as
    published code has it, would pull weak channels towards the content's statistics.
    """
    values = features if features.dtype == torch.float64 else features.float()
    variance, mean = torch.var_mean(values, dim=(2, 3), correction=0, keepdim=True)
    return Moments(mean, variance.sqrt())


def adain(content: Tensor, style: Moments) -> Tensor:
    """Return content features with the style's channel means and deviations (Huang & Belongie 2017, eq. 8).

    Args:
        content: features (N, C, H, W).
        style: statistics of N images, or of one for all.

    Returns:
        (N, C, H, W) in the content's type. A channel that is constant in the content becomes the style's mean: it has
        no pattern that could be given the style's deviation.
    """
    own = moments(content)
    size = (own.mean.square() + own.deviation.square()).sqrt()
    constant = own.deviation <= ROUNDING * torch.finfo(own.mean.dtype).eps * size
    scale = torch.where(constant, 0.0, style.deviation / torch.where(constant, 1.0, own.deviation))
    return ((content - own.mean) * scale + style.mean).to(content.dtype)


def blend(content: Tensor, style: Moments, alpha: float) -> Tensor:
    """Return alpha·AdaIN + (1 − alpha)·content (ibid., eq. 14); 0 leaves the features as they are."""
    if alpha == 0:
        return content
    styled = adain(content, style)
    return styled if alpha == 1 else torch.lerp(content, styled, alpha)
