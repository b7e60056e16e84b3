"""Encoder and decoder of the stylisation: one builder by stages, whose largest instance is the published VGG-19.

Modules stand in a sequence and are named by their place in it, as in the published files, so that these load by name.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from shapelens.errors import UserError


class Layout(NamedTuple):
    """Stages of an encoder; between two stages the side is halved.

    ``widths``: channels of each stage. ``convolutions``: 3×3 convolutions of each stage but the last, which has one.
    """

    widths: tuple[int, ...]
    convolutions: tuple[int, ...]

    def counts(self) -> tuple[tuple[int, int], ...]:
        """Return the width and the number of 3×3 convolutions of each stage."""
        return tuple(zip(self.widths, (*self.convolutions, 1), strict=True))


VGG19 = Layout((64, 128, 256, 512), (2, 2, 4))
"""VGG-19 up to relu4_1 (Simonyan & Zisserman 2015, configuration E), which Huang & Belongie 2017 encode with."""


class Encoder(nn.Sequential):
    """A 1×1 convolution that normalises colours, then stages of reflection padding, 3×3 convolution and ReLU.

    ``taps``: places of the first ReLU of each stage (relu1_1, relu2_1, …); the last one ends the encoder.
    """

    def __init__(self, layout: Layout) -> None:
        modules: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
        taps = []
        channels = 3
        for stage, (width, count) in enumerate(layout.counts()):
            if stage:
                modules.append(nn.MaxPool2d(2, ceil_mode=True))
            for number in range(count):
                modules += [nn.ReflectionPad2d(1), nn.Conv2d(channels, width, 3), nn.ReLU()]
                channels = width
                if number == 0:
                    taps.append(len(modules) - 1)
        super().__init__(*modules)
        self.taps = tuple(taps)
        self.layout = layout

    def stages(self, images: Tensor) -> list[Tensor]:
        """Return the features at each tap: (N, width, H/2^k, W/2^k), sides rounded up; the last is the encoding."""
        found = []
        x = images
        for place, module in enumerate(self):
            x = module(x)
            if place in self.taps:
                found.append(x)
        return found


class Decoder(nn.Sequential):
    """The encoder's 3×3 convolutions in reverse; where the encoder halves the side, this upsamples by 2 (nearest).

    Maps an encoding to images whose sides are those of the encoded image, rounded up to a multiple of the encoder's
    reduction; the caller crops them.
    """

    def __init__(self, layout: Layout) -> None:
        chain = [3]
        halved = []
        for stage, (width, count) in enumerate(layout.counts()):
            if stage:
                halved.append(len(chain) - 1)
            chain += [width] * count
        modules: list[nn.Module] = []
        for number, (outputs, inputs) in reversed(list(enumerate(pairwise(chain)))):
            modules += [nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3)]
            if number:
                modules.append(nn.ReLU())
            if number in halved:
                modules.append(nn.UpsamplingNearest2d(scale_factor=2))
        super().__init__(*modules)
        self.layout = layout


class StyleNet(NamedTuple):
    """An encoder and the decoder that was trained with it."""

    encoder: Encoder
    decoder: Decoder

    def to(self, device: torch.device | str) -> "StyleNet":
        """Return the networks on a device, laid out channels last, without gradients, in evaluation mode."""
        for network in self:
            network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
        return self


def build(layout: Layout, mean: Sequence[float], std: Sequence[float], seed: int) -> StyleNet:
    """Build both networks with random weights from ``seed``; torch's global generator is left as it was.

    ``mean``, ``std``: channel statistics of the training images, which the encoder's first layer removes for good.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        encoder, decoder = Encoder(layout), Decoder(layout)
        for conv in convolutions(encoder) + convolutions(decoder):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        scale = 1 / torch.tensor(std)
        colours, last = encoder[0], convolutions(decoder)[-1]
        encoder.load_state_dict(
            {"0.weight": torch.diag(scale)[:, :, None, None], "0.bias": -torch.tensor(mean) * scale}, strict=False
        )
        colours.requires_grad_(False)
        # The first decoded images are then the mean colour with a little noise, and no steps are spent on learning it.
        last.weight.mul_(0.3)
        last.bias.copy_(torch.tensor(mean))  # type: ignore[union-attr]
    return StyleNet(encoder, decoder)


def convolutions(network: nn.Sequential) -> list[nn.Conv2d]:
    """Return a network's 3×3 convolutions, in order."""
    return [module for module in network if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)]


def least_side(layout: Layout) -> int:
    """Return the least side of an image: reflection needs two pixels in the last stage."""
    return int(2 ** (len(layout.widths) - 1)) + 1


def check_side(layout: Layout, height: int, width: int) -> None:
    """Raise UserError for images that are too small for an encoder."""
    least = least_side(layout)
    if min(height, width) < least:
        raise UserError(
            f"stylisation: images of {height}×{width} pixels are too small for an encoder of {len(layout.widths)} "
            f"stages, which needs {least}; use fewer stages (widths)"
        )
