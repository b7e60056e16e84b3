"""Specs of the stylisation: style images, networks, and the two kinds of test sets that they make (torch-free)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shapelens.datasets.spec import Dataset
from shapelens.spec import Number, Spec

DETAIL = 2.0
"""Scale of what is taken for texture where the config names none, in pixels."""


class DrawnStyles(Spec):
    """Style images drawn by the project: strokes, swirls, dots, marbling and mixtures of them, in random palettes."""

    kind: Literal["drawn"]
    count: int = Field(default=64, ge=1)
    """Number of style images."""


class StyleFolder(Spec):
    """One's own style images, such as paintings: all image files of a folder, however nested, or of an archive."""

    kind: Literal["folder"]
    path: str
    """Local folder or archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz)."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do with images that cannot be read: stop with a list of all of them, or skip and record them."""


Styles = Annotated[DrawnStyles | StyleFolder, Field(discriminator="kind")]


class StyleNetworks(Spec):
    """Encoder and decoder of AdaIN stylisation (Huang & Belongie 2017)."""

    source: Literal["trained", "published"] = "trained"
    """``trained``: on the dataset's own training images. ``published``: VGG-19 and its decoder, from two files; the
    keys below ``decoder`` are then not used."""
    encoder: str | None = None
    """Local file of the published encoder, vgg_normalised.pth (.pth or .safetensors); None: it is fetched."""
    decoder: str | None = None
    """Local file of the published decoder, decoder.pth (.pth or .safetensors); None: it is fetched."""
    widths: tuple[int, ...] = Field(default=(24, 48), min_length=1)
    """Channels of each stage; between two stages the side is halved. Two suit 32 and 64 pixels; more lose the shape."""
    convolutions: tuple[int, ...] = (2,)
    """3×3 convolutions of each stage but the last, which has one."""
    encoder_epochs: int = Field(default=4, ge=1)
    """Passes over the training images in which the encoder learns to classify them."""
    encoder_batch: int = Field(default=32, ge=1)
    """Images per step of the encoder."""
    encoder_lr: Number = Field(default=0.02, gt=0)
    """Peak learning rate of the encoder (SGD, one cycle)."""
    decoder_steps: int = Field(default=600, ge=1)
    """Steps of the decoder."""
    decoder_batch: int = Field(default=16, ge=1)
    """Pairs of content and style per step of the decoder."""
    decoder_lr: Number = Field(default=4e-3, gt=0)
    """Peak learning rate of the decoder (Adam, one cycle)."""
    style_weight: Number = Field(default=0.5, ge=0)
    """Weight of the style loss; that of the content loss is 1."""
    reconstruction_weight: Number = Field(default=2.0, ge=0)
    """Weight of the distance between an image and what is decoded from its own features: what alpha 0 gives."""
    own_styles: Number = Field(default=0.5, ge=0, le=1)
    """Share of the style images that are training images, as in a cue conflict; the others come from ``styles``."""

    @model_validator(mode="after")
    def _check(self) -> "StyleNetworks":
        if len(self.convolutions) != len(self.widths) - 1:
            raise ValueError(
                f"convolutions: {len(self.convolutions)} numbers, but {len(self.widths)} widths need "
                f"{len(self.widths) - 1}: one for each stage but the last"
            )
        if min((*self.widths, *self.convolutions)) < 1:
            raise ValueError("widths and convolutions: every number must be at least 1")
        paths = (self.encoder, self.decoder)
        if self.source == "trained" and paths != (None, None):
            raise ValueError("encoder and decoder: only for source: published; leave them out, or set the source")
        return self


class _Stylisation(Spec):
    alpha: Number = Field(default=1.0, ge=0, le=1)
    """Strength: 1 gives the features the style's statistics, 0 leaves them as they are."""
    detail: Number | None = Field(default=None, ge=0)
    """After that, what is smaller than about this many pixels (a Gaussian's deviation) is taken for texture and
    exchanged for noise like the style's; 0: nothing is. None: 2 with networks trained here, 0 with published ones."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the networks: ``bf16`` is about twice as fast where the device has it; it changes the images by
    half a grey level in the mean, and where features are nearly constant by many."""
    min_texture_removed: Number = Field(default=0.3, ge=0, le=1)
    """Least mean of the texture removed, or the set is refused."""
    min_shape_kept: Number = Field(default=0.3, ge=0, le=1)
    """Least mean of the shape kept, or the set is refused."""


class Stylised(_Stylisation):
    """Each test image in the style of one style image, drawn for it (Huang & Belongie 2017)."""

    kind: Literal["stylised"] = "stylised"

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "stylised"


class CueConflict(_Stylisation):
    """Each test image in the style of a test image of another class (Geirhos et al. 2019)."""

    kind: Literal["cue-conflict"] = "cue-conflict"
    count: int | None = Field(default=None, ge=1)
    """Use the first n test images as content; None: all."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "cue-conflict"


Stylisation = Annotated[Stylised | CueConflict, Field(discriminator="kind")]


class StylesJob(Spec):
    """What the job that makes the style images is given."""

    styles: Styles
    dataset: Dataset
    """Decides the side of the style images."""
    data_seed: int


class StyleNetworksJob(Spec):
    """What the job that makes the style networks is given."""

    networks: StyleNetworks
    data_seed: int
    content: str
    """Digests of local files of published networks."""


class StylisedJob(Spec):
    """What the job that stylises the test images is given."""

    testset: Stylisation
    data_seed: int
