"""Specs of networks (torch-free)."""

from typing import Literal

from pydantic import Field

from shapelens.spec import Spec

ARCHITECTURES = ("resnet-small", "resnet18-cifar", "resnet18", "resnet50")


class Network(Spec):
    """An architecture with its input normalisation."""

    arch: Literal["resnet-small", "resnet18-cifar", "resnet18", "resnet50"] = "resnet-small"
    """Architecture: a three-stage residual net, the CIFAR form of ResNet-18 (3×3 stem, no max pool), or
    torchvision's ResNet-18 and -50."""
    width: int = Field(default=16, ge=1)
    """Channels of the first stage; resnet-small only."""
    input_size: int | None = Field(default=None, ge=8)
    """Side to which images are resized, bilinearly, before the network and before any attack; None: as stored."""
    normalisation: Literal["dataset", "imagenet", "per-image", "none"] = "dataset"
    """Input normalisation, a layer of the model: by the training images' channel statistics, by ImageNet's, by
    each image's own, or not at all."""
    weights: str | None = None
    """Initial weights: a torchvision enum such as ``ResNet18_Weights.IMAGENET1K_V1``, or a local .safetensors or
    .pth file. None: random."""


class Finished(Spec):
    """A model trained elsewhere, measured and never trained here."""

    weights: str
    """``torchvision:ResNet18_Weights.IMAGENET1K_V1``, ``timm:NAME``, or a path to a .safetensors or .pth file."""
    arch: Literal["resnet-small", "resnet18-cifar", "resnet18", "resnet50"] | None = None
    """Architecture of a weights file."""
    width: int = Field(default=16, ge=1)
    """Channels of the first stage; resnet-small only."""
    input_size: int | None = Field(default=None, ge=8)
    """Side to which images are resized before the network; None: as stored."""
    normalisation: Literal["dataset", "imagenet", "per-image", "none"] = "imagenet"
    """Input normalisation that the model was trained with; timm models bring their own."""
    class_indices: tuple[int, ...] | None = None
    """For each class of the dataset, in order, its index among the model's outputs. None: outputs are the classes."""


class FinishedJob(Spec):
    """What the job that converts a finished model is given."""

    finished: Finished
    content: str
    """Digest of its weights file, or its name where it comes from a library."""
