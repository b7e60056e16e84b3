"""Specs of networks (torch-free)."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    field_validator,
    model_validator,
)

from shapelens.spec import ClassName, Number, Spec, composed

ARCHITECTURES = (
    *("resnet-small", "resnet18-cifar", "resnet18", "resnet50", "bagnet"),
    *("resnet50-cifar", "preact-resnet18", "preact-resnet18-nobn", "preact-resnet18-v1"),
    *("wide-resnet-28-10", "wide-resnet-34-10"),
)
LIBRARIES = ("torchvision", "timm")
TWO_INPUTS = ("googlenet", "inception_v3")
"""Networks of torchvision whose builder normalises once more for its own weights: a bare file does not say whether."""
LEAST_SIDE_OF_PLACES = 4
"""Fewest places along each side at which a BagNet looks; with fewer, what it sees is no longer local."""
ENUM = re.compile(r"\w+_Weights\.\w+")
ORIGIN = re.compile(r"([A-Za-z][\w-]+):")
KINDS = ("dataset", "imagenet", "per-image", "none")
KIND_TAG, GIVEN_TAG = "kind of normalisation", "normalisation by mean and std"


def _channels(value: object) -> object:
    """Take one number for a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


Channels = Annotated[tuple[Number, ...], BeforeValidator(_channels)]


class MeanStd(Spec):
    """Input normalisation by (x − mean) / std, for images in [0, 1]."""

    mean: Channels
    """Mean: one number, or one for each channel."""
    std: Channels
    """Standard deviation: one number, or one for each channel."""

    @model_validator(mode="after")
    def _check(self) -> "MeanStd":
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, 3):
                raise ValueError(f"{name}: {len(values)} numbers; allowed: one, or one for each of three channels")
        if max(self.mean) > 1:
            raise ValueError(
                f"mean: {max(self.mean):g} is the mean of pixels from 0 to 255, and images are in [0, 1] here; divide "
                f"mean and std by 255: mean: {[round(value / 255, 4) for value in self.mean]}"
            )
        if min(self.mean) < 0:
            raise ValueError(f"mean: {min(self.mean):g} is below 0; it is subtracted from images in [0, 1]")
        if max(self.std) > 1:
            raise ValueError(
                f"std: {max(self.std):g} is above 1, as of pixels from 0 to 255, and images are in [0, 1] here; divide "
                f"it by 255: std: {[round(value / 255, 4) for value in self.std]}"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std: {min(self.std):g} is not above 0; without a normalisation write `none`")
        return self


def _tag(value: object) -> str:
    return GIVEN_TAG if isinstance(value, Mapping | MeanStd) else KIND_TAG


Normalisation = Annotated[
    Annotated[Literal["dataset", "imagenet", "per-image", "none"], Tag(KIND_TAG)] | Annotated[MeanStd, Tag(GIVEN_TAG)],
    Discriminator(_tag),
]


def library_of(name: str) -> tuple[str, str]:
    """Split ``timm:NAME`` or ``torchvision:NAME`` into the library and the name; the library is empty for others."""
    origin, colon, rest = name.partition(":")
    return (origin, rest) if colon and origin in LIBRARIES else ("", name)


def is_file(weights: str) -> bool:
    """Tell whether weights are those of a file, not of a library."""
    return not library_of(weights)[0] and not ENUM.fullmatch(weights)


def local_folder(weights: str) -> str | None:
    """Return the folder of ``timm:local-dir:FOLDER``, or None."""
    library, name = library_of(weights)
    return name.removeprefix("local-dir:") if library == "timm" and name.startswith("local-dir:") else None


def split_module(module: str) -> tuple[Path, str]:
    """Split ``file.py:function``."""
    path, _, name = module.rpartition(":")
    return Path(path), name


def _known_arch(value: str) -> str:
    if value in ARCHITECTURES:
        return value
    library, name = library_of(value)
    if library == "torchvision" and name in TWO_INPUTS:
        raise ValueError(
            f"torchvision's {name} is built in two ways, and a file does not say for which it was trained; write "
            "`weights: torchvision:ENUM, file: …` for the published weights, or give a `module` that builds yours"
        )
    if library and name:
        return value
    near = get_close_matches(value, ARCHITECTURES, n=1, cutoff=0.5)
    raise ValueError(
        f"{value!r} is unknown; allowed: {', '.join(ARCHITECTURES)}, torchvision:NAME, timm:NAME"
        + (f"; did you mean {near[0]}?" if near else "")
    )


Arch = Annotated[str, AfterValidator(_known_arch)]


def _refuse_unknown_origin(weights: str) -> str:
    origin = ORIGIN.match(weights)
    if origin and origin[1] not in LIBRARIES and not Path(weights).exists():
        hint = f"; did you mean timm:{weights}?" if origin[1] in ("hf-hub", "hf_hub", "local-dir") else ""
        raise ValueError(
            f"{weights!r}: {origin[1]!r} is no library of models; allowed: torchvision:ENUM, timm:NAME, or the path of "
            f"a file{hint}"
        )
    if not weights.strip() or weights.rstrip().endswith(":"):
        raise ValueError(f"{weights!r} names no weights; allowed: torchvision:ENUM, timm:NAME, or the path of a file")
    return weights


class Network(Spec):
    """An architecture with its input normalisation."""

    arch: Arch = "resnet-small"
    """Architecture: ``resnet-small``, a three-stage residual net; for images of about 32×32 ``resnet18-cifar`` and
    ``resnet50-cifar`` (3×3 stem, no max pool), ``preact-resnet18`` (He et al. 2016b), ``wide-resnet-28-10`` and
    ``-34-10`` (Zagoruyko and Komodakis 2016); ``resnet18``, ``resnet50`` and any other classifier of torchvision,
    ``torchvision:NAME``, or of timm, ``timm:NAME``; or ``bagnet`` (Brendel and Bethge 2019), which averages what it
    sees in patches of ``receptive_field`` pixels and so cannot see shape. Two more pre-activation nets are in use:
    ``preact-resnet18-nobn`` without the last batch norm (kuangliu's code), ``preact-resnet18-v1`` besides with
    shortcuts of what is not yet activated (Wong et al. 2020 and others in RobustBench)."""
    width: int = Field(default=16, ge=1)
    """Channels of the first stage of resnet-small, and of every layer of a BagNet."""
    receptive_field: tuple[PositiveInt, ...] = ()
    """bagnet only: side of the patches that it sees, in pixels, odd. Of several the smallest is kept that still learns
    the classes: at least nine tenths of what the best of them has above chance on the validation images."""
    input_size: int | None = Field(default=None, ge=8)
    """Side to which images are resized, bilinearly, before the network and before any attack; None: as stored."""
    normalisation: Normalisation = "dataset"
    """Input normalisation, a layer of the model: by the training images' channel statistics (``dataset``), by
    ImageNet's, by each image's own (``per-image``), by ``{mean: …, std: …}``, or not at all (``none``)."""
    weights: str | None = None
    """Initial weights: a torchvision enum such as ``ResNet18_Weights.IMAGENET1K_V1``, ``timm:NAME`` with the same
    ``arch``, or a local file, of any kind that a finished model may have. None: random."""

    @field_validator("receptive_field", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        """Take one number for a list of one."""
        return (value,) if isinstance(value, int) else value

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: str | None) -> str | None:
        return value if value is None else _refuse_unknown_origin(value)

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
        if self.weights is not None and library_of(self.weights)[0] == "timm" and self.weights != self.arch:
            raise ValueError(f"weights: {self.weights} are of another network than arch: {self.arch}; name it in both")
        return self


def _names(value: object) -> object:
    """Take numbers for names: YAML reads a folder such as 0 as a number."""
    if not isinstance(value, list | tuple):
        return value
    return tuple(str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value)


Output = int | str
NAMED_MAPS = ("imagenet-16", "by-name")


def _output_map(value: object) -> object:
    """Bring every form of ``outputs`` into one: a name, a tuple of tuples, or a mapping of tuples."""

    def entry(item: object, where: str) -> tuple[Output, ...]:
        several = item if isinstance(item, list | tuple) else (item,)
        if not several or any(isinstance(one, bool) or not isinstance(one, int | str) for one in several):
            raise ValueError(f"{where} is {item!r}; allowed: an index, a WordNet id, a class name, or a list of them")
        if negative := [one for one in several if isinstance(one, int) and one < 0]:
            raise ValueError(f"{where} is {negative[0]}, which is below 0; outputs are counted from 0")
        if len(set(several)) < len(several):
            raise ValueError(f"{where} names an output twice: {item!r}")
        return tuple(composed(one) if isinstance(one, str) else one for one in several)

    if isinstance(value, str):
        if value not in NAMED_MAPS:
            near = get_close_matches(value, NAMED_MAPS, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{value!r} is unknown; allowed: {', '.join(NAMED_MAPS)}, a list, or a mapping{hint}")
        return value
    if isinstance(value, Mapping):
        return {composed(str(name)): entry(item, f"the entry of {name}") for name, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(entry(item, f"entry {place}") for place, item in enumerate(value))
    raise ValueError(f"{value!r} is no map of outputs; allowed: {', '.join(NAMED_MAPS)}, a list, or a mapping")


OutputMap = Annotated[
    str | tuple[tuple[Output, ...], ...] | dict[str, tuple[Output, ...]], BeforeValidator(_output_map)
]


class Finished(Spec):
    """A model trained elsewhere, measured and never trained here."""

    weights: str
    """``torchvision:ResNet18_Weights.IMAGENET1K_V1``, ``timm:NAME``, or a local file: ``.safetensors``, a checkpoint
    (``.pth``, ``.pt``, ``.pth.tar``, ``.ckpt`` …), TorchScript, or a program of ``torch.export`` (``.pt2``)."""
    file: str | None = None
    """Local file with a library's weights, for machines that cannot fetch them; ``timm:`` and ``torchvision:`` only."""
    arch: Arch | None = None
    """Architecture of a weights file: one of those of ``network``, ``torchvision:NAME`` or ``timm:NAME``."""
    module: str | None = None
    """Network of your own instead of ``arch``: ``file.py:function``; the function is called without arguments and
    returns it. The file runs as Python code, here and wherever the model is measured."""
    width: int = Field(default=16, ge=1)
    """Channels of the first stage; resnet-small only."""
    input_size: int | None = Field(default=None, ge=8)
    """Side to which images are resized before the network; None: that of a library's weights, otherwise as stored."""
    normalisation: Normalisation | None = None
    """Input normalisation that the model was trained with: ``{mean: …, std: …}``, ``dataset``, ``imagenet``,
    ``per-image``, or ``none`` where the network does it itself. None: a library's or the file's own; a file that holds
    none is refused, and a ``module`` is given images in [0, 1]."""
    classes: Annotated[tuple[ClassName, ...] | None, BeforeValidator(_names)] = None
    """The model's own classes, in the order of its outputs, named as the dataset's are. None: the dataset's order."""
    outputs: OutputMap | None = None
    """Outputs of the model that stand for each class of the dataset, in its order or by its name: indices, WordNet ids
    (of ImageNet's 1,000 outputs) or the model's class names, or lists of them; ``by-name``: each class has the name of
    an output; ``imagenet-16``: the 16 categories of Geirhos et al. (2019)."""
    pooling: Literal["mean", "sum"] = "mean"
    """Probability of a class with several outputs: the mean of theirs, as Geirhos et al., or the sum."""
    class_indices: tuple[int, ...] | None = None
    """For each class of the dataset, in order, its index among the model's outputs: ``outputs`` with indices alone."""
    probabilities: bool = False
    """The outputs are probabilities: their logarithm is taken."""
    prefix: str | None = None
    """Where in the file the network lies, where it holds several or more than one network: a part of the names there,
    such as ``teacher`` or ``state_dict_ema``."""
    expected_accuracy: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Accuracy that the model should have on the dataset's validation images, from 0 to 1; the run ends where it is
    lower by more than two points and more than chance explains."""

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: str) -> str:
        if ENUM.fullmatch(value):
            raise ValueError(f"{value!r} is not a file; did you mean torchvision:{value}?")
        return _refuse_unknown_origin(value)

    @model_validator(mode="after")
    def _check(self) -> "Finished":
        if problems := [*self._problems_of_origin(), *self._problems_of_outputs()]:
            raise ValueError("\n".join(problems))
        return self

    def _problems_of_origin(self) -> list[str]:
        problems = []
        library, name = library_of(self.weights)
        if library == "torchvision" and not ENUM.fullmatch(name):
            problems.append(
                f"weights: {self.weights} names no weights of torchvision; write for instance "
                "torchvision:ResNet18_Weights.IMAGENET1K_V1"
            )
        if self.file is not None and not library:
            problems.append("file: weights names a file already; leave one of the two keys out")
        if library and (unused := [key for key in ("arch", "module") if getattr(self, key) is not None]):
            problems.append(f"{unused[0]}: {self.weights} says what the network is; leave the key out")
        if self.arch is not None and self.module is not None:
            problems.append("module: arch says what the network is; leave one of the two keys out")
        if self.module is not None and not re.fullmatch(r".+\.py:[A-Za-z_]\w*", self.module):
            problems.append(f"module: {self.module!r} is not of the form file.py:function")
        if self.arch == "bagnet":
            problems.append("arch: a bagnet of a file cannot be built here; give a `module` that builds it")
        return problems

    def _problems_of_outputs(self) -> list[str]:
        problems = []
        given = [key for key in ("outputs", "class_indices") if getattr(self, key) is not None]
        if len(given) > 1:
            problems.append("class_indices: outputs says the same and more; leave one of the two keys out")
        if self.class_indices is not None and any(index < 0 for index in self.class_indices):
            problems.append(f"class_indices: {min(self.class_indices)} is below 0; outputs are counted from 0")
        if self.classes is not None and (
            twice := [name for name in dict.fromkeys(self.classes) if self.classes.count(name) > 1]
        ):
            problems.append(f"classes: {twice[0]!r} is given more than once")
        if self.classes is not None and self.class_indices is not None:
            problems.append("class_indices: classes says which output is which class; leave one of the two keys out")
        return problems

    def output_map(self) -> Any:
        """Return ``outputs``, ``class_indices`` written as such, or None."""
        if self.class_indices is not None:
            return tuple((index,) for index in self.class_indices)
        return self.outputs


class Reading(Spec):
    """How a finished model was read: all that is needed to build it again, and what was assumed."""

    outputs: PositiveInt
    """Outputs of the network."""
    groups: tuple[tuple[int, ...], ...] | None = None
    """Outputs that stand for each class of the dataset, in its order; None: the outputs are the classes."""
    input_size: int | None = None
    """Side to which images are resized before the network; None: as stored."""
    channels: Literal[1, 3] = 3
    """Channels of the network's input."""
    normalisation: Literal["mean and std", "per-image", "none"]
    """Kind of normalisation; its numbers lie beside the weights."""
    timm: dict[str, Any] | None = None
    """Arguments with which timm builds the network."""
    program: Literal["TorchScript", "torch.export"] | None = None
    """Kind of program."""
    source: str | None = None
    """The user's own Python file, as text."""


class FinishedJob(Spec):
    """What the job that converts a finished model is given."""

    finished: Finished
    content: str
    """Digest of its files, or its name where it comes from a library."""
