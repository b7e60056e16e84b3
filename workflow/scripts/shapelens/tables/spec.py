"""Spec of a table (torch-free)."""

from shapelens.names.display import Display
from shapelens.names.models import ModelInfo
from shapelens.spec import Spec
from shapelens.stats.spec import Statistics


class TableJob(Spec):
    """What the job that writes a table is given, labels included."""

    dataset: str
    """Name of the study."""
    kind: str
    """Kind of its dataset."""
    data_seed: int
    statistics: Statistics
    grid: tuple[ModelInfo, ...]
    display: Display
