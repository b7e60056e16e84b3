"""Specs of saliency maps (torch-free)."""

from typing import ClassVar, Literal

from pydantic import Field

from shapelens.instruments.spec import InstrumentSpec


class Saliency(InstrumentSpec):
    """Which maps are made of which images."""

    methods: tuple[Literal["grad", "smoothgrad"], ...] = ("grad", "smoothgrad")
    """Grad (Simonyan et al. 2013) and SmoothGrad (Smilkov et al. 2017)."""
    samples: int = Field(default=100, ge=1)
    """Noisy copies per image in SmoothGrad."""
    sigma: float = Field(default=0.1, ge=0)
    """Noise of SmoothGrad as a share of each image's own range."""
    images: int | tuple[int, ...] = 12
    """Number of test images, drawn with data_seed and stratified, or their indices."""
    sheet_images: int = Field(default=8, ge=1)
    """Number of these images that contact sheets and figures show."""
    testsets: tuple[str, ...] = ("clean",)
    """Test sets whose images are explained; ``clean`` is always among them."""
    target: Literal["label", "predicted"] = "label"
    """Class whose log-probability is explained."""
    models: Literal["all", "exemplars"] | tuple[str, ...] = "all"
    """Models that are explained, by name; ``all``; or ``exemplars``: the standard and the underfit model, and the
    strongest of each kind of adversary."""

    undeciding: ClassVar[frozenset[str]] = frozenset({"models", "sheet_images"})
