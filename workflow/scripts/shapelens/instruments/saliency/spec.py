"""Specs of saliency maps (torch-free)."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from shapelens.instruments.spec import InstrumentSpec
from shapelens.spec import Number, Spec


class IntegratedGradients(Spec):
    """Integrated Gradients (Sundararajan et al. 2017), by default as Boychev 2022 takes them."""

    points: int = Field(default=51, ge=2)
    """Gradients along the way from a baseline to the image; 51 are the ends of 50 steps."""
    rule: Literal["trapezoid", "midpoint"] = "trapezoid"
    """Where along the way the gradients are taken: at the ends of the steps, or amid them."""
    baseline: Literal["uniform", "black", "grey"] = "uniform"
    """What the way starts from: values drawn uniformly from [0, 1] for each image, the same for every model; black; or
    mid-grey."""
    baselines: int = Field(default=10, ge=1)
    """Uniform baselines that the map is averaged over; of black and grey there is one."""
    score: Literal["probability", "log-probability", "logit"] = "probability"
    """What the class's score is; the gap is in its units."""


class Saliency(InstrumentSpec):
    """Which maps are made of which images."""

    methods: tuple[Literal["grad", "smoothgrad", "integrated-gradients"], ...] = ("grad", "smoothgrad")
    """Grad (Simonyan et al. 2013), SmoothGrad (Smilkov et al. 2017) and Integrated Gradients (Sundararajan et al.
    2017)."""
    samples: int = Field(default=100, ge=1)
    """Noisy copies per image in SmoothGrad."""
    sigma: Number = Field(default=0.1, ge=0, le=1)
    """Noise of SmoothGrad as a share of each image's own range."""
    integrated_gradients: IntegratedGradients = IntegratedGradients()
    """Settings of Integrated Gradients."""
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

    def deciding(self) -> dict[str, Any]:
        """Return the keys that decide what is measured, those of a method that is not used left out."""
        keys = super().deciding()
        if "integrated-gradients" not in self.methods:
            del keys["integrated_gradients"]
        return keys
