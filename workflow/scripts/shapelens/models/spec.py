"""Specs of networks (torch-free)."""

from typing import Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from shapelens.spec import Spec

ARCHITECTURES = ("resnet-small", "resnet18-cifar", "resnet18", "resnet50", "bagnet")
LEAST_SIDE_OF_PLACES = 4
"""Fewest places along each side at which a BagNet looks; with fewer, what it sees is no longer local."""


class Network(Spec):
    """An architecture with its input normalisation."""

    arch: Literal["resnet-small", "resnet18-cifar", "resnet18", "resnet50", "bagnet"] = "resnet-small"
    """Architecture: a three-stage residual net, the CIFAR form of ResNet-18 (3×3 stem, no max pool), torchvision's
    ResNet-18 and -50, or a BagNet (Brendel and Bethge 2019), which averages what it sees in patches of
    ``receptive_field`` pixels and so cannot see shape."""
    width: int = Field(default=16, ge=1)
    """Channels of the first stage of resnet-small, and of every layer of a BagNet."""
    receptive_field: tuple[PositiveInt, ...] = ()
    """bagnet only: side of the patches that it sees, in pixels, odd. Of several the smallest is kept that still learns
    the classes: at least nine tenths of what the best of them has above chance on the validation images."""
    input_size: int | None = Field(default=None, ge=8)
    """Side to which images are resized, bilinearly, before the network and before any attack; None: as stored."""
    normalisation: Literal["dataset", "imagenet", "per-image", "none"] = "dataset"
    """Input normalisation, a layer of the model: by the training images' channel statistics, by ImageNet's, by
    each image's own, or not at all."""
    weights: str | None = None
    """Initial weights: a torchvision enum such as ``ResNet18_Weights.IMAGENET1K_V1``, or a local .safetensors or
    .pth file. None: random."""

    @field_validator("receptive_field", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        """Take one number for a list of one."""
        return (value,) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _check(self) -> "Network":
        if (self.arch == "bagnet") != bool(self.receptive_field):
            raise ValueError(
                "receptive_field: a BagNet needs it, and no other network has it; write for instance "
                "`arch: bagnet, receptive_field: 9`, or leave it out"
            )
        if even := [str(side) for side in self.receptive_field if side % 2 == 0]:
            raise ValueError(
                f"receptive_field: {', '.join(even)} is even; allowed are odd numbers of pixels: 1, 3, 5, …"
            )
        if self.arch == "bagnet" and self.weights is not None:
            raise ValueError("weights: a BagNet is trained from random weights; leave the key out")
        return self


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
