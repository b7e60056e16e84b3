"""Spec of a table (torch-free)."""

from shapelens.instruments.declare import Table
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo
from shapelens.spec import Spec

FORMATS = ("csv", "md", "tex", "html")
"""Suffixes in which every table is written; the CSV is tidy, the others are for reading."""


class TableJob(Spec):
    """What the job that writes a table is given, labels included."""

    table: Table
    """What is laid out; its caption is left out."""
    confidence: float
    """Coverage of the intervals, for the note."""
    grid: tuple[ModelInfo, ...]
    display: Display
    has_scale: bool = True
    """See ``stats.spec.StatisticsJob``."""
