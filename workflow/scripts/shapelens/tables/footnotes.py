"""Footnotes to published numbers that are odd and are kept as printed."""

import csv
from dataclasses import dataclass
from pathlib import Path

from shapelens.errors import UserError

COLUMNS = ["table", "dataset", "model", "testset", "metric", "misprint", "note"]


@dataclass(frozen=True)
class Footnote:
    """A remark on published numbers; an empty field stands for every value of it."""

    table: str
    dataset: str
    model: str
    testset: str
    metric: str
    misprint: str
    """``yes`` where the printed number is doubted, ``no`` where it is only to be explained."""
    note: str

    @property
    def general(self) -> bool:
        """Whether it is about a whole table rather than about single numbers."""
        return not self.model and not self.testset

    def concerns(self, dataset: str, model: str, testset: str, metric: str) -> bool:
        """Return whether it is about this number."""
        pairs = ((self.dataset, dataset), (self.model, model), (self.testset, testset), (self.metric, metric))
        return all(not wanted or wanted == found for wanted, found in pairs)


def read_footnotes(path: str | Path) -> list[Footnote]:
    """Read workflow/reference/footnotes.csv; raises UserError for other columns than table, dataset, model, …, note."""
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise UserError(f"{path}: columns are {reader.fieldnames}, expected {COLUMNS}")
        return [Footnote(**row) for row in reader]
