"""The shape ruler's training images: their texture is replaced at random, so that only shape is left to be learned.

After Geirhos et al. (2019), who trained on stylised images for the same reason; this needs no style networks. It takes
the adversary's place in the training loop: what changes the images of a minibatch before the model sees them.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shapelens.training.spec import RETEXTURED, TrainingRun

CUT = (0.75, 1.25)
"""Range of the radius beyond which modes are replaced, in eighths of the side: 3 to 5 cycles for an image of 32
pixels."""
SATURATION = (8.0, 1024.0)
"""Range of the saturation level, drawn evenly on a logarithmic scale."""


@dataclass(frozen=True)
class Retexturing:
    """Replaces the texture of minibatches; ``side``: of the images at the network's input, in pixels."""

    side: int

    def attack(self, model: nn.Module, x: Tensor, y: Tensor, step: int, seed: int) -> Tensor:
        """Return the images with the texture of each replaced, all in the same of three ways, drawn from ``seed``.

        The modes beyond a radius are those of another image of the minibatch, drawn at random; or they are removed; or
        values are saturated. Result in [0, 1], as float32.
        """
        rng = torch.Generator().manual_seed(seed)
        way = int(torch.randint(3, (), generator=rng))
        share = float(torch.rand((), generator=rng))
        if way == 0:
            return saturated(x, level_at(share))
        radius = (CUT[0] + share * (CUT[1] - CUT[0])) * self.side / 8
        other = x[torch.randperm(len(x), generator=rng).to(x.device)] if way == 1 else None
        return hybrids(x, other, radius)

    def check(self, model: nn.Module, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return saturated validation images, and hybrids, by which checkpoints are chosen.

        The history has their accuracies as ``validation_fgsm`` and ``validation_pgd``.
        """
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)).to(x.device)
        return saturated(x, SATURATION[1]), hybrids(x, x[order], self.side / 8)


def level_at(share: float) -> float:
    """Return the saturation level at a share of the way along SATURATION, on a logarithmic scale."""
    low, high = (math.log(end) for end in SATURATION)
    return math.exp(low + share * (high - low))


def saturated(x: Tensor, level: float) -> Tensor:
    """Return ``transforms.saturation.saturate`` of images (N, 3, H, W) in [0, 1] on their device."""
    centred = 2 * x.float() - 1
    return torch.sign(centred) * centred.abs() ** (2 / level) / 2 + 0.5


def hybrids(x: Tensor, other: Tensor | None, radius: float) -> Tensor:
    """Return the modes of ``x`` within ``radius`` cycles per image, and those of ``other`` beyond it, if there is one.

    Both (N, 3, H, W) in [0, 1]; see ``transforms.mixed``. Clipped to [0, 1].
    """
    height, width = x.shape[-2:]
    rows = torch.fft.fftfreq(height, 1 / height, device=x.device)
    columns = torch.fft.rfftfreq(width, 1 / width, device=x.device)
    within = rows[:, None] ** 2 + columns[None, :] ** 2 <= radius * radius
    # Without autocast, whose bfloat16 the Fourier transform does not know.
    spectrum = torch.fft.rfft2(x.float()) * within
    if other is not None:
        spectrum = spectrum + torch.fft.rfft2(other.float()) * ~within
    made: Tensor = torch.fft.irfft2(spectrum, s=(height, width))
    return made.clamp(0, 1)


def retexturing(run: TrainingRun, side: int) -> Retexturing:
    """Build what replaces the texture of a run's training images of ``side`` pixels at the network's input."""
    if run.images != RETEXTURED:
        raise ValueError(f"{run.model}: its training images keep their texture")
    return Retexturing(side)
