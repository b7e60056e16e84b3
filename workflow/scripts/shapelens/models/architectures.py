"""Networks: small residual nets of our own, and torchvision's, imported only when asked for."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from shapelens.errors import UserError
from shapelens.models.spec import ARCHITECTURES


class Block(nn.Module):
    """Two 3×3 convolutions with batch norm and a shortcut (He et al. 2016, Figure 2, "basic block")."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResidualNet(nn.Module):
    """A residual net for small images: 3×3 stem of stride 1 without pooling, then stages that halve the side.

    A stem of stride 2 would blur the fine textures away before any layer sees them, and with them the texture cue.
    """

    def __init__(self, classes: int, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        layers: list[nn.Module] = []
        channels = widths[0]
        for stage, width in enumerate(widths):
            for index in range(blocks):
                layers.append(Block(channels, width, 2 if stage and not index else 1))
                channels = width
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        x = self.layers(functional.relu(self.bn1(self.conv1(x))))
        # The mean, not adaptive pooling: its gradient is deterministic on every device.
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def build(arch: str, classes: int, width: int = 16, *, seed: int = 0) -> nn.Module:
    """Build a network with random weights drawn from ``seed``; torch's global generator is left as it was.

    ``resnet-small``: three stages of one block with width·(1, 2, 4) channels. ``resnet18-cifar``: four stages of two
    blocks with 64, 128, 256, 512. ``resnet18``, ``resnet50``: torchvision's. The last layer is called ``fc``.
    Raises UserError for another name, or where torchvision is needed and missing.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if arch == "resnet-small":
            return ResidualNet(classes, (width, 2 * width, 4 * width), blocks=1)
        if arch == "resnet18-cifar":
            return ResidualNet(classes, (64, 128, 256, 512), blocks=2)
        if arch in ARCHITECTURES:
            return torchvision_network(arch, classes)
    raise UserError(f"arch: {arch!r} is not known; allowed are {', '.join(ARCHITECTURES)}")


def torchvision_network(name: str, outputs: int) -> nn.Module:
    """Build any of torchvision's classifiers by name, with random weights."""
    try:
        from torchvision import models
    except ImportError:
        raise UserError(f"{name}: needs the package torchvision; install shapelens[torchvision]") from None
    network: nn.Module = models.get_model(name, weights=None, num_classes=outputs)
    return network
