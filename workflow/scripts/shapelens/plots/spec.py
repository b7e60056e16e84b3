"""Spec of a figure, and what the forms that serve several figures are told (no matplotlib)."""

from typing import Any

from pydantic import Field

from shapelens.names.display import Display
from shapelens.names.models import ModelInfo
from shapelens.spec import Spec


class FigureJob(Spec):
    """What the job that draws a figure is given: all that decides the picture, and nothing that is said beside it."""

    dataset: str
    """Name of the study."""
    data_seed: int
    """Decides which images are shown."""
    grid: tuple[ModelInfo, ...]
    """The models, labels included."""
    display: Display
    confidence: float
    """Coverage of intervals."""
    figure: str
    """Id of the figure."""
    draw: str
    """Function of ``shapelens.plots`` that draws it, as ``module:function``."""
    testsets: tuple[str, ...]
    """Test sets that it shows, in order."""
    images: int | tuple[int, ...]
    """Number of test images that are explained, or which."""
    sheet_images: int
    """Number of these images that are shown."""
    method: str = ""
    """The attribution method whose maps it shows."""
    sheet: bool = False
    """Whether the PNG is kept to 1200 pixels."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What the form is told, see ``OPTIONS``."""


class Levels(Spec):
    """Options of ``curves:levels``."""

    prefix: str
    """Test sets whose name is this and a number are drawn, such as ``saturation-``."""
    identity: float
    """The level at which an image is unchanged."""
    title: str
    axis: str
    """What the levels are, for the axis."""


class ByModel(Spec):
    """Options of ``dots:by_model``."""

    metric: str
    """The metric to draw."""
    title: str
    """Begins the headline."""
    axis: str = ""
    """What the metric is, for the axis; empty where the headline says it."""
    counted: str = "images"
    """What n counts."""
    percent: bool = False
    """Whether the metric is a share, drawn from 0 to 100 per cent."""
    where: dict[str, str] = Field(default_factory=dict)
    """Rows to draw where test set and metric do not tell them apart, by column, such as ``{method: grad}``."""


class Overlays(Spec):
    """Options of ``overlays:overlays``."""

    methods: tuple[str, ...] = Field(min_length=1)
    """Attribution methods, side by side; a study without one of them lacks the figure."""
    images: int | None = Field(default=None, ge=1)
    """Images that are shown; None: those of a sheet."""
    exemplars: bool = False
    """Whether only standard, underfit and the strongest PGD-ℓ∞ are shown."""


OPTIONS: dict[str, type[Spec]] = {
    "curves:levels": Levels,
    "dots:by_model": ByModel,
    "overlays:overlays": Overlays,
}
"""Options of each form that takes some, by its drawing function."""
