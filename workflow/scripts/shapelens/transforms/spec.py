"""Specs of the transformed test sets (torch-free)."""

import math
from typing import Annotated, Literal

from pydantic import Field

from shapelens.spec import Number, Spec


class Clean(Spec):
    """The untransformed test images."""

    kind: Literal["clean"] = "clean"

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "clean"


class Saturation(Spec):
    """Each value v becomes ½ sign(2v−1)·|2v−1|^(2/level) + ½ (Ding et al. 2019)."""

    kind: Literal["saturation"] = "saturation"
    level: Number = Field(gt=0)
    """Saturation level p; 2 is the identity, large values binarise."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return f"saturation-{self.level:g}"


class PatchShuffle(Spec):
    """The image is cut into k×k equal patches, which are permuted, one permutation per image."""

    kind: Literal["patch-shuffle"] = "patch-shuffle"
    k: int = Field(ge=1)
    """Patches per side; must divide the side of the images."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return f"patch-shuffle-{self.k}"


class LowPass(Spec):
    """Fourier modes within a radius of zero frequency are kept."""

    kind: Literal["low-pass"] = "low-pass"
    radius: Number = Field(gt=0)
    """Radius in cycles per image."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "low-pass"


class HighPass(Spec):
    """Fourier modes outside a radius of zero frequency are kept; the mean is removed with the rest."""

    kind: Literal["high-pass"] = "high-pass"
    radius: Number = Field(gt=0)
    """Radius in cycles per image."""
    add_half: bool = False
    """Shift the result by ½, for viewing only."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "high-pass"


class RandomFilter(Spec):
    """Each Fourier mode, with its conjugate, is dropped with a probability, per image and channel."""

    kind: Literal["random-filter"] = "random-filter"
    probability: Number = Field(default=0.1, ge=0, le=1)
    """Probability of dropping a mode."""
    keep_mean: bool = False
    """Never drop the zero frequency."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "random-filter"


class Hybrid(Spec):
    """The low frequencies of each test image with the high ones of another of a different class (Oliva et al. 2006)."""

    kind: Literal["hybrid"] = "hybrid"
    radius: Number | None = Field(default=None, gt=0)
    """Radius between them in cycles per image; None: the one at which the rulers' readings are farthest apart on
    validation images."""
    count: int | None = Field(default=None, ge=1)
    """Use the first n test images as shapes; None: all."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "hybrid"


class TextureExchange(Spec):
    """Each test image with its detail exchanged for noise like the detail of a test image of another class.

    See ``stylisation.detail``: detail is told from shape by its size, and the noise has the other detail's spectrum.
    """

    kind: Literal["texture-exchange"] = "texture-exchange"
    detail: Number = Field(default=2.0, gt=0)
    """Scale in pixels below which something is detail."""
    count: int | None = Field(default=None, ge=1)
    """Use the first n test images as shapes; None: all."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "texture-exchange"


class GaussianBlur(Spec):
    """The image is convolved with a Gaussian; fine texture goes, and edges blur."""

    kind: Literal["gaussian-blur"] = "gaussian-blur"
    sigma: Number = Field(gt=0, le=1)
    """Standard deviation as a share of the side: 0.03 is one pixel in 32. A wave of 0.187/sigma cycles per image keeps
    half its amplitude."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "gaussian-blur"


class Bilateral(Spec):
    """Each pixel is averaged with those near it that are alike in colour (Tomasi and Manduchi 1998).

    Faint texture goes, edges stay.
    """

    kind: Literal["bilateral"] = "bilateral"
    sigma: Number = Field(gt=0, le=1)
    """Standard deviation in space, as a share of the side."""
    range_sigma: Number = Field(default=0.2, gt=0, le=1)
    """Standard deviation in colour, for values in [0, 1]: contrasts well below it are averaged away."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "bilateral"


class Greyscale(Spec):
    """Every channel takes the image's luma (ITU-R Rec. BT.601)."""

    kind: Literal["greyscale"] = "greyscale"

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "greyscale"


class ChannelShuffle(Spec):
    """Red, green and blue change places, by a permutation drawn for each image that is never the identity."""

    kind: Literal["channel-shuffle"] = "channel-shuffle"

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return "channel-shuffle"


SIDE_OF_ONE_PIXEL = 64
"""Up to this side a patch's frame is one pixel wide, up to twice this side two, and so on."""


def frame_width(side: int) -> int:
    """Return the width in pixels of a frame, behind a seam between patches."""
    return math.ceil(side / SIDE_OF_ONE_PIXEL)


def has_interior(side: int, k: int) -> bool:
    """Tell whether more than half is left of each of k patches along a side when it is framed."""
    return side // k > 2 * frame_width(side)


class PatchFrame(Spec):
    """The control of the patch shuffle: the pixels behind its seams are those of the shuffled image, the rest stays."""

    kind: Literal["patch-frame"] = "patch-frame"
    k: int = Field(ge=2)
    """Patches per side; must divide the side of the images."""

    @property
    def name(self) -> str:
        """Folder and name of the test set."""
        return f"patch-frame-{self.k}"


Transform = Annotated[
    Clean
    | Saturation
    | PatchShuffle
    | LowPass
    | HighPass
    | RandomFilter
    | GaussianBlur
    | Bilateral
    | Greyscale
    | ChannelShuffle
    | PatchFrame,
    Field(discriminator="kind"),
]


class TestsetJob(Spec):
    """What the job that transforms the test images is given."""

    __test__ = False
    testset: Transform
    data_seed: int


class MixedJob(Spec):
    """What the job that mixes test images is given; a radius that the spec leaves open is in the rulers' choice."""

    testset: Annotated[Hybrid | TextureExchange, Field(discriminator="kind")]
    data_seed: int
