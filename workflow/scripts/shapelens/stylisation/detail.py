"""Whose texture a stylised image has: its detail, told from shape by size alone, is exchanged for the style's.

AdaIN rescales what the content's features hold: it can neither take a regular pattern away nor make one that the
content lacks, and a decoder loses faint ones. So the detail of what was decoded makes way for noise that has the
spectrum of the style's detail.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shapelens.seeds import generator

ROUNDS = 4
"""Rounds of the filter; four are enough (Zhang et al. 2014, §3.2)."""
EDGE = 0.1
"""Difference of colours, as a distance in [0, 1]³, at which two pixels begin to lie on different sides of an edge."""


def coarse(images: Tensor, scale: float) -> Tensor:
    """Take away detail and keep the edges of what is larger, however faint: rolling guidance (Zhang et al. 2014).

    A Gaussian removes what is smaller than ``scale``; then each round averages the image over near pixels that are
    alike in the result of the round before, which sharpens the edges that are left and brings no detail back.

    Args:
        images: (N, 3, H, W) float in [0, 1].
        scale: deviation of the Gaussian in pixels.

    Returns:
        (N, 3, H, W), float; averages at the border are over pixels of the image alone.
    """
    reach = min(math.ceil(2 * scale), min(images.shape[-2:]) - 1)
    steps = range(-reach, reach + 1)
    # Two pixels weigh the same for each other, so each pair is met once.
    shifts = [shift for shift in itertools.product(steps, steps) if shift > (0, 0)]
    guidance = _averaged(images, None, shifts, scale)
    for _ in range(ROUNDS):
        guidance = _averaged(images, guidance, shifts, scale)
    return guidance


def _averaged(images: Tensor, guidance: Tensor | None, shifts: Sequence[tuple[int, int]], scale: float) -> Tensor:
    """Average each pixel with its neighbours, by nearness and by likeness in the guidance; None: by nearness."""
    total, weight = images.clone(), torch.ones_like(images[:, :1])
    for down, across in shifts:
        (here, there), (left, right) = _overlap(images.shape[-2], down), _overlap(images.shape[-1], across)
        near, far = (..., here, left), (..., there, right)
        alike = images.new_tensor(-(down**2 + across**2) / (2 * scale**2))
        if guidance is not None:
            apart = (guidance[far] - guidance[near]).square_().sum(1, keepdim=True)
            alike = alike + apart.mul_(-0.5 / EDGE**2)
        alike = alike.exp()
        total[near] += alike * images[far]
        total[far] += alike * images[near]
        weight[near] += alike
        weight[far] += alike
    return total / weight


def _overlap(length: int, shift: int) -> tuple[slice, slice]:
    """Return the places along a side that have a neighbour at ``shift``, and the neighbours."""
    first, last = max(0, -shift), max(0, min(length, length - shift))
    return slice(first, last), slice(first + shift, last + shift)


def noise_like(detail: Tensor, phases: Tensor) -> Tensor:
    """Return noise with the power spectrum of some detail, and nothing else of it (Galerne et al. 2011, random phase).

    Args:
        detail: (N, C, H, W). All channels keep their phases relative to each other, and so their correlations.
        phases: white noise (N, 1, H, W), whose Fourier phases are added.

    Returns:
        (N, C, H, W), of the detail's mean.
    """
    spectrum = torch.fft.fft2(phases)
    turns = spectrum / spectrum.abs().clamp_min(torch.finfo(phases.dtype).tiny)
    turns[..., 0, 0] = 1
    noise: Tensor = torch.fft.ifft2(torch.fft.fft2(detail) * turns).real
    return noise


@dataclass(frozen=True)
class Exchange:
    """Exchanges the detail of images for noise like that of their styles; ``scale`` in pixels, above 0."""

    scale: float
    data_seed: int

    def __call__(self, images: NDArray[np.generic], styles: NDArray[np.generic], first: int) -> NDArray[np.float32]:
        """Return images (N, 3, H, W) in [0, 1] under the styles' detail; both uint8, or float in [0, 1].

        ``first``: number of the first image in its set. The noise of image i depends on (data_seed, i) and the style.
        """
        image, style = _unit_range(images), _unit_range(styles)
        draws = [generator(self.data_seed, "style detail", first + i) for i in range(len(image))]
        drawn = np.stack([draw.standard_normal((1, *image.shape[-2:]), dtype=np.float32) for draw in draws])
        with torch.inference_mode():
            noise = noise_like(style - coarse(style, self.scale), torch.from_numpy(drawn))
            exchanged: NDArray[np.float32] = (coarse(image, self.scale) + noise).clamp(0, 1).numpy()
        return exchanged


def _unit_range(images: NDArray[np.generic]) -> Tensor:
    values = torch.from_numpy(np.array(images, dtype=np.float32))
    return values / 255 if images.dtype == np.uint8 else values
