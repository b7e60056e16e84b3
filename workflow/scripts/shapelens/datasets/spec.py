"""Specs of datasets (torch-free)."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from shapelens.spec import ClassName, Number, Spec

MOST_DRAWN = 10_000_000
"""Images of a split that are drawn at most: 31 GB at 32×32 pixels."""
NAME = r"^[A-Za-z][A-Za-z0-9-]*$"


def _check_range(key: str, value: tuple[float, float], most: float) -> None:
    if not 0 < value[0] <= value[1] <= most:
        raise ValueError(f"{key}: {list(value)} must be [least, greatest] with 0 < least <= greatest <= {most:g}")


def _check_resize(resize: int | None, size: int) -> None:
    if resize is not None and resize < size:
        raise ValueError(f"resize: {resize} is below size: {size}; leave it out or enlarge it")


Amplitude = Annotated[Number, Field(ge=0, le=0.5)]
"""Amplitude of a texture, for images in [0, 1]."""


def _tag(value: Any) -> str:
    return EACH_TAG if isinstance(value, list | tuple) else ONE_TAG


# No key has blanks, so messages about one can leave these tags out of its path.
ONE_TAG, EACH_TAG = "one amplitude", "amplitude of each class"
Amplitudes = Annotated[
    Annotated[Amplitude, Tag(ONE_TAG)] | Annotated[tuple[Amplitude, ...], Tag(EACH_TAG)], Discriminator(_tag)
]
"""One amplitude for all classes, or one for each."""


class Cues(Spec):
    """Images drawn by the project, in which shape and texture both name the class (docs/explanation/cues.md)."""

    kind: Literal["cues"]
    name: str = Field(default="cues", pattern=NAME)
    """Folder of the results."""
    classes: int = Field(default=8, ge=2, le=10)
    """Number of shape and texture classes."""
    size: int = Field(default=32, ge=16)
    """Side in pixels."""
    texture: Amplitudes = 0.03
    """Amplitude of the class's texture: one number for all classes, or one for each (``7.65/255`` may be written as it
    stands). An adversary of a larger ε can erase it."""
    phase: Literal["random", "fixed"] = "random"
    """Where the texture begins: at a random place of its tile, mirrored or not, or always at the same one. The
    average image of a class then shows its texture, which a network learns first; trainings need ``pad: 0`` and
    ``flip: false``, which keep the phase."""
    mismatch: Number = Field(default=0.0, ge=0, le=1)
    """Share of the training images with both cues whose silhouette is of another class: the label is the texture's. A
    model then gains by reading a texture wherever it can, though it knows the shapes."""
    faint: Number = Field(default=0.0, ge=0, le=1)
    """Share of the training images with both cues whose texture has the least of all classes' amplitudes, their
    silhouette being of the label: a model that cannot read that one has to know the shapes of all classes."""
    noise: Number = Field(default=0.01, ge=0, le=1)
    """Standard deviation of pixel noise."""
    contrast: tuple[Number, Number] = (0.2, 0.45)
    """Least and greatest distance of foreground and background from mid-grey; drawn log-uniformly for each image."""
    scale: tuple[Number, Number] = (0.55, 0.85)
    """Least and greatest diameter of the shape as a share of the side."""
    clutter: int = Field(default=0, ge=0)
    """Number of small distracting discs per image, on either side of grey."""
    train: int = Field(default=2048, ge=1, le=MOST_DRAWN)
    """Number of training images."""
    validation: int = Field(default=512, ge=1, le=MOST_DRAWN)
    """Number of validation images."""
    test: int = Field(default=512, ge=1, le=MOST_DRAWN)
    """Number of test images, also of each cue set."""

    @model_validator(mode="after")
    def _check(self) -> "Cues":
        _check_range("contrast", self.contrast, 0.5)
        _check_range("scale", self.scale, 1.0)
        if isinstance(self.texture, tuple) and len(self.texture) != self.classes:
            raise ValueError(
                f"texture: {len(self.texture)} amplitudes for {self.classes} classes; give one for each, or one number"
            )
        if self.mismatch + self.faint > 1:
            raise ValueError(
                f"mismatch, faint: {self.mismatch:g} and {self.faint:g} of the training images are more than all"
            )
        return self

    @property
    def amplitudes(self) -> tuple[float, ...]:
        """Return the amplitude of each class's texture."""
        return self.texture if isinstance(self.texture, tuple) else (self.texture,) * self.classes


class Source(Spec):
    """What the datasets of real images have in common."""

    path: str | None = None
    """Local folder or archive; None: the official source is fetched."""
    validation: Number = Field(default=0.1, gt=0, lt=1)
    """Share of the training images held out for validation, stratified."""
    limit_train: int | None = Field(default=None, ge=1)
    """Use at most this many training images (validation included), stratified."""
    limit_test: int | None = Field(default=None, ge=1)
    """Use at most this many test images, stratified."""
    classes: int | tuple[ClassName, ...] | None = None
    """Use only these classes, or this many drawn with data_seed; None: all."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do with images that cannot be read: stop with a list of all of them, or skip and record them."""

    @field_validator("classes")
    @classmethod
    def _check_classes(cls, classes: int | tuple[str, ...] | None) -> int | tuple[str, ...] | None:
        if isinstance(classes, tuple) and (twice := [name for name in classes if classes.count(name) > 1]):
            raise ValueError(f"{twice[0]!r} is named twice")
        if classes is not None and (classes if isinstance(classes, int) else len(classes)) < 2:
            given = str(classes) if isinstance(classes, int) else ", ".join(classes)
            raise ValueError(f"'{given}': a classifier needs at least two classes")
        return classes


class Cifar10(Source):
    """CIFAR-10, 50,000 + 10,000 images of 32×32; binary or python version, or ``train`` and ``test`` folders."""

    kind: Literal["cifar10"]
    name: str = Field(default="cifar10", pattern=NAME)
    """Folder of the results."""


class TinyImageNet(Source):
    """Tiny ImageNet; the official validation images, as they came or sorted into classes, are the test split."""

    kind: Literal["tinyimagenet"]
    name: str = Field(default="tinyimagenet", pattern=NAME)
    """Folder of the results."""


class Caltech256(Source):
    """Caltech-256; a share of each category is held out as the test split, unless it lies in ``train`` and ``test``."""

    kind: Literal["caltech256"]
    name: str = Field(default="caltech256", pattern=NAME)
    """Folder of the results."""
    size: int = Field(default=224, ge=8)
    """Side of the centre crop of validation and test images."""
    resize: int | None = Field(default=256, ge=8)
    """Length to which the short side is resized; training images are stored as squares of it. None: size."""
    test_share: Number = Field(default=0.2, gt=0, lt=1)
    """Share of each category held out for the test."""

    @model_validator(mode="after")
    def _check(self) -> "Caltech256":
        _check_resize(self.resize, self.size)
        return self


class ImageFolder(Source):
    """One's own images: ``class/image``, or ``train/class/image`` and ``test/class/image``; a folder or an archive."""

    kind: Literal["image_folder"]
    name: str = Field(default="images", pattern=NAME)
    """Folder of the results."""
    path: str
    """Local folder or archive."""
    size: int = Field(default=64, ge=8)
    """Side of the centre crop of validation and test images."""
    resize: int | None = Field(default=None, ge=8)
    """Length to which the short side is resized; training images are stored as squares of it. None: size."""
    test_share: Number = Field(default=0.2, gt=0, lt=1)
    """Share of each class held out where the source has no test split of its own."""

    @model_validator(mode="after")
    def _check(self) -> "ImageFolder":
        _check_resize(self.resize, self.size)
        return self


RealDataset = Cifar10 | TinyImageNet | Caltech256 | ImageFolder


class NoTraining(Spec):
    """No images for training: only finished models are measured, and only on one's own test sets.

    These stand under ``testsets.own`` and ``testsets.own_conflicts``.
    """

    kind: Literal["test_only"]
    name: str = Field(default="test-only", pattern=NAME)
    """Folder of the results."""
    size: int = Field(default=224, ge=8)
    """Side of the centre crop of the images."""
    resize: int | None = Field(default=None, ge=8)
    """Length to which the short side is resized. None: size."""
    classes: tuple[ClassName, ...] | None = Field(default=None, min_length=2)
    """Names of the classes, in the order of the models' outputs; None: all that the test sets have, in alphabetical
    order."""

    @model_validator(mode="after")
    def _check(self) -> "NoTraining":
        _check_resize(self.resize, self.size)
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            twice = next(name for name in self.classes if self.classes.count(name) > 1)
            raise ValueError(f"classes: {twice!r} is named twice")
        return self


Dataset = Annotated[Cues | Cifar10 | TinyImageNet | Caltech256 | ImageFolder | NoTraining, Field(discriminator="kind")]


def test_side(spec: Dataset) -> int:
    """Return the side, in pixels, of the stored validation and test images."""
    match spec:
        case Cifar10():
            return 32
        case TinyImageNet():
            return 64
        case _:
            return spec.size


test_side.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def train_side(spec: Dataset) -> int:
    """Return the side, in pixels, of the stored training images; larger than ``test_side`` leaves room for crops."""
    if isinstance(spec, Caltech256 | ImageFolder | NoTraining):
        return spec.resize or spec.size
    return test_side(spec)


OFFICIAL_CLASSES = {"cifar10": 10, "tinyimagenet": 200, "caltech256": 257}


def class_count(spec: Dataset) -> int | None:
    """Return the number of classes where the spec alone decides it, else None (a local path may hold fewer)."""
    if isinstance(spec, Cues):
        return spec.classes
    if isinstance(spec, NoTraining):
        return None if spec.classes is None else len(spec.classes)
    if spec.classes is not None:
        return spec.classes if isinstance(spec.classes, int) else len(spec.classes)
    if spec.path is None or isinstance(spec, Cifar10):
        return OFFICIAL_CLASSES[spec.kind]
    return None


def is_complete(kind: str, classes: int) -> bool:
    """Return whether images of this many classes are the whole of an official dataset: a part of it is another task."""
    return OFFICIAL_CLASSES.get(kind) == classes


class DatasetJob(Spec):
    """What the job that makes a dataset is given."""

    dataset: Dataset
    data_seed: int
    splits: tuple[str, ...]
    """The splits that are made of it, single-cue ones among them."""


class SingleCueJob(Spec):
    """What the job that draws the training images of the shape ruler is given."""

    dataset: Cues
    data_seed: int
    cue: Literal["shape-only", "random-texture"]


class CueSetJob(Spec):
    """What the job that draws a cue set is given."""

    dataset: Cues
    data_seed: int
    testset: str
    """Name of the cue set."""
