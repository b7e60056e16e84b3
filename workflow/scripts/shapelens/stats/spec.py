"""Specs of statistics (torch-free)."""

from pydantic import Field

from shapelens.attacks.spec import AnyAttack
from shapelens.datasets.spec import Cues
from shapelens.names.models import ModelInfo
from shapelens.spec import Number, Spec


class Statistics(Spec):
    """How intervals and verdicts are made."""

    confidence: Number = Field(default=0.95, gt=0, lt=1)
    """Coverage of intervals."""
    resamples: int = Field(default=2000, ge=100)
    """Bootstrap resamples, on which intervals of rank correlations rest."""
    margin: Number = Field(default=0.02, gt=0)
    """Margin δ of the claims, as a share."""
    apart: Number = Field(default=0.2, ge=0, lt=1)
    """How far apart the rulers' two readings on a test set must be, with their interval, for anything to be read there,
    as a share: of shape bias where cues conflict, else of what is left of the two cues."""
    floor: Number = Field(default=0.5, ge=0, lt=1)
    """Least clean validation accuracy of a model that takes part in claims, as a share of the standard model's, both
    above chance; 0 lets every model take part that is not below chance."""


class StatisticsJob(Spec):
    """What the jobs that compute statistics from per-image rows are given; no label is in it."""

    dataset: str
    """Name of the study."""
    kind: str
    """Kind of its dataset."""
    data_seed: int
    statistics: Statistics
    grid: tuple[ModelInfo, ...]
    """The models, their labels left out."""
    has_scale: bool = True
    """Whether the study has training images, on which rulers can be trained. Without them the scale of a shape bias is
    not known, and it is printed as it was counted."""


class KnownAnswerJob(Spec):
    """What the job that sets predicted shape biases beside measured ones is given."""

    dataset: str
    """Name of the study."""
    cues: Cues
    """Its images."""
    adversaries: dict[str, AnyAttack | None]
    """Training adversaries by model, rulers left out."""
    order: tuple[str, ...]
    """Trained models, rulers among them, in the order of the grid."""
