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


class ExpectedGradients(Spec):
    """Expected gradients (Erion et al. 2021), by default as Boychev 2022 takes them by SHAP.

    But for the background: it is drawn from the training images, where Boychev takes test images.
    """

    samples: int = Field(default=200, ge=2)
    """Gradients for each image, each between it and an image of the background, at a place of its own; the same for
    every model."""
    background: int = Field(default=176, ge=2)
    """Training images that images are compared with, drawn with data_seed; of at least two classes."""
    score: Literal["logit", "probability", "log-probability"] = "logit"
    """What the class's score is; the gap is in its units."""


Method = Literal["grad", "smoothgrad", "integrated-gradients", "expected-gradients"]
MODULES: dict[str, str] = {
    "integrated-gradients": "shapelens.instruments.saliency.integrated",
    "expected-gradients": "shapelens.instruments.saliency.expected",
}
"""Modules of the methods that are loaded by name, each with ``prepare``; their code counts where they are asked for."""
SETTINGS = {"integrated-gradients": "integrated_gradients", "expected-gradients": "expected_gradients"}
"""Key of the settings of each method that has some of its own."""


class Saliency(InstrumentSpec):
    """Which maps are made of which images."""

    methods: tuple[Method, ...] = ("grad", "smoothgrad")
    """Grad (Simonyan et al. 2013), SmoothGrad (Smilkov et al. 2017), Integrated Gradients (Sundararajan et al. 2017)
    and expected gradients (Erion et al. 2021), which SHAP estimates."""
    samples: int = Field(default=100, ge=1)
    """Noisy copies per image in SmoothGrad."""
    sigma: Number = Field(default=0.1, ge=0, le=1)
    """Noise of SmoothGrad as a share of each image's own range."""
    integrated_gradients: IntegratedGradients = IntegratedGradients()
    """Settings of Integrated Gradients."""
    expected_gradients: ExpectedGradients = ExpectedGradients()
    """Settings of expected gradients."""
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
        return {key: value for key, value in keys.items() if key not in self._unused()}

    def _unused(self) -> set[str]:
        return {key for method, key in SETTINGS.items() if method not in self.methods}

    def reads_training(self) -> bool:
        """Tell whether a method compares with training images."""
        return "expected-gradients" in self.methods

    def loads(self) -> tuple[str, ...]:
        """Return the modules of the methods that are loaded by name."""
        return tuple(MODULES[method] for method in self.methods if method in MODULES)
