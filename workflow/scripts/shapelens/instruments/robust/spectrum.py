"""How much of an image's or a perturbation's energy lies at high frequencies."""

import torch
from torch import Tensor

from shapelens.transforms.fourier import squared_radii


def share_above(images: Tensor, radius: float) -> Tensor:
    """Return the share of each image's spectral energy further than ``radius`` from zero frequency.

    The zero frequency itself (the mean of each channel) is left out of both sides of the ratio.

    Args:
        images: (N, C, H, W).
        radius: in cycles per image, as in ``transforms.fourier``.

    Returns:
        float64 (N,) in [0, 1]; NaN where an image has no energy but its mean's, such as a perturbation of zero.
    """
    height, width = images.shape[-2:]
    radii = torch.from_numpy(squared_radii(height, width)).to(images.device)
    power = torch.fft.rfft2(images.double()).abs().square()
    power[..., 1 : (width + 1) // 2] *= 2  # these columns stand for their conjugates, too
    everything = power.sum((1, 2, 3))
    moving = power.masked_fill(radii == 0, 0).sum((1, 2, 3))
    high = (power * (radii > radius**2)).sum((1, 2, 3))
    # A constant image leaves rounding of about 1e-32 of its energy.
    return torch.where(moving > 1e-24 * everything, high / moving, torch.nan)
