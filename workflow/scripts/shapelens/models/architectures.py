"""Networks: small residual nets of our own, those of the robustness literature, and libraries', imported when asked."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from shapelens.errors import UserError
from shapelens.models.from_libraries import timm_network, torchvision_network
from shapelens.models.spec import ARCHITECTURES, LEAST_SIDE_OF_PLACES, library_of

ONEDNN_LEAST_CHANNELS = 8
"""A bug of torch 2.15: with fewer input channels, channels last, on a CPU with AVX2 and without AVX-512, the weights'
gradient of a 1×1 convolution with a stride writes past its memory, and the process dies. Such a convolution is then
applied without a stride to every other pixel."""


def conv_norm(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """Apply a convolution without bias, then batch norm, as one convolution where the statistics are fixed.

    In evaluation mode batch norm is a scale and a shift per channel; folded into the weights it costs no pass over the
    activations, neither forward nor backward, and attacks spend most of their time there.
    """
    stride = conv.stride
    if conv.kernel_size == (1, 1) and conv.in_channels < ONEDNN_LEAST_CHANNELS:
        x, stride = x[:, :, :: stride[0], :: stride[1]], (1, 1)
    if norm.training or norm.running_mean is None or norm.running_var is None:
        normed: Tensor = norm(functional.conv2d(x, conv.weight, None, stride, conv.padding))
        return normed
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    bias = norm.bias - norm.running_mean * scale
    return functional.conv2d(x, conv.weight * scale[:, None, None, None], bias, stride, conv.padding)


class Block(nn.Module):
    """Two 3×3 convolutions with batch norm and a shortcut (He et al. 2016, Figure 2); named as torchvision's are."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        y = functional.relu(conv_norm(x, self.conv1, self.bn1), inplace=True)
        y = conv_norm(y, self.conv2, self.bn2)
        y += x if self.downsample is None else conv_norm(x, *self.downsample)
        return functional.relu(y, inplace=True)


class ResidualNet(nn.Module):
    """A residual net for small images: 3×3 stem of stride 1 without pooling, then stages that halve the side.

    A stem of stride 2 would blur the fine textures away before any layer sees them, and with them the texture cue.
    Its tensors are named as torchvision's ResNets name theirs.
    """

    def __init__(self, classes: int, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        channels = widths[0]
        self.stages = [f"layer{number}" for number in range(1, len(widths) + 1)]
        for number, (name, width) in enumerate(zip(self.stages, widths, strict=True)):
            first = Block(channels, width, 2 if number else 1)
            self.add_module(name, nn.Sequential(first, *(Block(width, width, 1) for _ in range(blocks - 1))))
            channels = width
        self.fc = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        x = functional.relu(conv_norm(x, self.conv1, self.bn1), inplace=True)
        for name in self.stages:
            x = self.get_submodule(name)(x)
        # The mean, not adaptive pooling: its gradient is deterministic on every device.
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class Local(nn.Module):
    """An unpadded convolution with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H − kernel + 1, W − kernel + 1)."""
        return functional.relu(conv_norm(x, self.conv, self.bn), inplace=True)


class BagNet(nn.Module):
    """A network that sees an image as a bag of small patches (Brendel and Bethge 2019): it cannot see shape.

    Unpadded 3×3 convolutions give each place a receptive field of a few pixels, a 1×1 head gives each place logits, and
    the answer is their mean over places: whatever lies further apart than the receptive field is never compared.
    With a receptive field of one pixel, which 1×1 convolutions have, it sees the colours of single pixels alone.
    """

    def __init__(self, classes: int, width: int, receptive_field: int) -> None:
        super().__init__()
        self.receptive_field = receptive_field
        kernels = [3] * (receptive_field // 2) or [1, 1]
        self.layers = nn.Sequential(
            *(Local(width if number else 3, width, kernel) for number, kernel in enumerate(kernels))
        )
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes).

        Raises UserError for images so small that there are fewer than four places along a side.
        """
        largest = min(x.shape[-2:]) - LEAST_SIDE_OF_PLACES + 1
        if self.receptive_field > largest:
            raise UserError(
                f"receptive_field: {self.receptive_field} pixels of images of {min(x.shape[-2:])}: a patch is nearly "
                f"the whole image; allowed: up to {largest}"
            )
        # The head is linear, so the mean over places may be taken before it.
        logits: Tensor = self.fc(self.layers(x).mean((2, 3)))
        return logits


class PreActBlock(nn.Module):
    """Batch norm and ReLU before each of two 3×3 convolutions (He et al. 2016b, Figure 4e).

    ``raw_shortcut``: the shortcut's convolution sees the block's input instead of its activation.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, raw_shortcut: bool = False) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.raw_shortcut = raw_shortcut
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        active = functional.relu(self.bn1(x))
        y: Tensor = self.conv2(functional.relu(self.bn2(self.conv1(active))))
        if self.downsample is None:
            return y + x
        shortcut: Tensor = self.downsample(x if self.raw_shortcut else active)
        return y + shortcut


class PreActResNet18(nn.Module):
    """ResNet-18 of pre-activation blocks for small images, as the robustness literature has it (Rice et al. 2020).

    ``last_norm``: a batch norm and ReLU after the last block.
    """

    def __init__(self, classes: int, *, last_norm: bool = True, raw_shortcut: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        widths = (64, 64, 128, 256, 512)
        for number in range(1, 5):
            inputs, outputs = widths[number - 1 : number + 1]
            first = PreActBlock(inputs, outputs, 2 if number > 1 else 1, raw_shortcut)
            self.add_module(f"layer{number}", nn.Sequential(first, PreActBlock(outputs, outputs, 1)))
        self.bn = nn.BatchNorm2d(512) if last_norm else None
        self.fc = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        x = self.conv1(x)
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        if self.bn is not None:
            x = functional.relu(self.bn(x))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class WideBlock(PreActBlock):
    """The block of a wide residual net, which differs in its widths alone (Zagoruyko and Komodakis 2016, Figure 1c)."""


class WideStage(nn.Module):
    """Blocks of one width; its tensors are named as in TRADES' code (Zhang et al. 2019), which RobustBench shares."""

    def __init__(self, inputs: int, outputs: int, stride: int, blocks: int) -> None:
        super().__init__()
        first = WideBlock(inputs, outputs, stride)
        self.layer = nn.Sequential(first, *(WideBlock(outputs, outputs, 1) for _ in range(blocks - 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        y: Tensor = self.layer(x)
        return y


class WideResNet(nn.Module):
    """WideResNet-depth-factor for small images (Zagoruyko and Komodakis 2016, Table 1), without dropout."""

    def __init__(self, classes: int, depth: int, factor: int) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.block1 = WideStage(16, 16 * factor, 1, blocks)
        self.block2 = WideStage(16 * factor, 32 * factor, 2, blocks)
        self.block3 = WideStage(32 * factor, 64 * factor, 2, blocks)
        self.bn1 = nn.BatchNorm2d(64 * factor)
        self.fc = nn.Linear(64 * factor, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        logits: Tensor = self.fc(functional.relu(self.bn1(x)).mean((2, 3)))
        return logits


def build(
    arch: str,
    classes: int,
    width: int = 16,
    *,
    receptive_field: Sequence[int] = (),
    channels: int = 3,
    seed: int = 0,
) -> nn.Module:
    """Build a network with random weights drawn from ``seed``; torch's global generator is left as it was.

    ``arch``: see ``models.spec.Network``. ``channels``: of its images. The last layer of our own is called ``fc``.
    Raises UserError for another name, or where a library is needed and missing.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        library, name = library_of(arch)
        if library == "timm":
            return timm_network(name, num_classes=classes, in_chans=channels)
        if library == "torchvision":
            return _with_channels(torchvision_network(name, classes), channels)
        return _with_channels(_own(arch, classes, width, receptive_field), channels)


def _own(arch: str, classes: int, width: int, receptive_field: Sequence[int]) -> nn.Module:
    if arch == "resnet-small":
        return ResidualNet(classes, (width, 2 * width, 4 * width), blocks=1)
    if arch == "resnet18-cifar":
        return ResidualNet(classes, (64, 128, 256, 512), blocks=2)
    if arch == "resnet50-cifar":
        network = torchvision_network("resnet50", classes)
        network.conv1, network.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
        return network
    if arch == "bagnet":
        (side,) = receptive_field
        return BagNet(classes, width, side)
    if arch.startswith("preact-resnet18"):
        return PreActResNet18(classes, last_norm=arch == "preact-resnet18", raw_shortcut=arch == "preact-resnet18-v1")
    if arch.startswith("wide-resnet-"):
        depth, factor = map(int, arch.split("-")[2:])
        return WideResNet(classes, depth, factor)
    if arch in ARCHITECTURES:
        return torchvision_network(arch, classes)
    raise UserError(f"arch: {arch!r} is not known; allowed are {', '.join(ARCHITECTURES)}, torchvision:NAME, timm:NAME")


def _with_channels(network: nn.Module, channels: int) -> nn.Module:
    """Replace a network's first convolution by one of images with another number of channels."""
    if channels == 3:
        return network
    name, old = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    new = nn.Conv2d(channels, old.out_channels, 1, bias=old.bias is not None)
    new.kernel_size, new.stride, new.padding = old.kernel_size, old.stride, old.padding
    new._reversed_padding_repeated_twice = old._reversed_padding_repeated_twice
    new.weight = nn.Parameter(torch.empty(old.out_channels, channels, *old.kernel_size))
    new.reset_parameters()
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, new)
    return network
