"""Input normalisation as a layer, so that every image outside a model is in [0, 1]."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from shapelens.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CHANNELS = ("red", "green", "blue")
KINDS = ("dataset", "imagenet", "per-image", "none")


class Normalise(nn.Module):
    """(x − mean) / std by channel; ``mean`` and ``std`` (3,) are buffers and are saved with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if not std:
            raise UserError(
                "normalisation: dataset needs training images, to take mean and standard deviation of, and there are "
                f"none; allowed here: {', '.join(kind for kind in KINDS if kind != 'dataset')}"
            )
        if min(std) <= 0:
            constant = ", ".join(CHANNELS[n] for n, value in enumerate(std) if value <= 0)
            raise UserError(
                f"normalisation: the standard deviations must be positive, not {list(std)}: {constant} is the same in "
                "every pixel. Set network.normalisation to none, imagenet or per-image"
            )
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) in [0, 1] to the range that the network was trained with."""
        return (x - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)


class Luma(nn.Module):
    """Colour images made grey for a network of one channel: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), as Pillow does.

    A grey image, whose channels are equal, keeps its values.
    """

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to (N, 1, H, W)."""
        return (x * self.weights.to(x.dtype)).sum(1, keepdim=True)


class Standardise(nn.Module):
    """(x − mean of the image) / max(its standard deviation, 1/(255·√(C·H·W))).

    The floor, for uniform images, is TensorFlow's ``per_image_standardization`` for values up to 255, at our scale.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to mean 0 and standard deviation 1 each."""
        mean = x.mean((1, 2, 3), keepdim=True)
        # The square root of a variance of zero has no gradient, so the floor is under the root.
        variance = (x - mean).square().mean((1, 2, 3), keepdim=True).clamp_min(1 / (255**2 * x[0].numel()))
        return (x - mean) / variance.sqrt()


def normalisation(kind: str, mean: Sequence[float], std: Sequence[float], channels: int = 3) -> nn.Module:
    """Return the layer for ``dataset`` (uses ``mean`` and ``std``), ``imagenet``, ``per-image`` or ``none``.

    ``channels``: of the network; with 1, images are made grey first.
    """
    if kind == "dataset":
        layer: nn.Module = Normalise(mean, std)
    elif kind == "imagenet":
        layer = Normalise(IMAGENET_MEAN, IMAGENET_STD)
    elif kind == "per-image":
        layer = Standardise()
    elif kind == "none":
        layer = nn.Identity()
    else:
        raise UserError(f"normalisation: {kind!r} is not known; allowed are {', '.join(KINDS)}")
    return layer if channels == 3 else nn.Sequential(Luma(), layer)
