"""Reading and selecting the tidy measurements, shared by figures and tables."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shapelens.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("dataset", "model", "seed", "testset", "metric")
NUMBERS = ("value", "low", "high", "n", "published")
MEAN = "mean"


class Point(NamedTuple):
    """One measured number with its interval; NaN where undefined."""

    value: float
    low: float
    high: float
    n: float
    published: float


UNDEFINED = Point(*(float("nan"),) * 5)


PER_CLASS = ("dataset", "model", "seed", "testset", "class", "value", "low", "high", "n")
"""Columns of shape_bias_per_class.csv."""


def read_tidy(path: str | Path, columns: Sequence[str] = (*KEYS, *NUMBERS)) -> "pd.DataFrame":
    """Read a tidy table such as accuracy.csv; names and seeds are text, undefined numbers are NaN.

    Raises UserError where a column is missing.
    """
    import pandas as pd

    # "None" or "nan" may be names; only an empty field is missing.
    frame = pd.read_csv(
        path, dtype=dict.fromkeys((*KEYS, "method", "class"), str), keep_default_na=False, na_values=[""]
    )
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UserError(f"{path}: column {', '.join(missing)} is missing; delete the file and run again")
    return frame


def points(frame: "pd.DataFrame", metric: str, seed: str = MEAN) -> dict[tuple[str, str], Point]:
    """Return the numbers of one metric and seed by (model, test set)."""
    rows = frame[(frame["metric"] == metric) & (frame["seed"].astype(str) == seed)]
    return {
        (str(row.model), str(row.testset)): Point(*(float(getattr(row, name)) for name in NUMBERS))
        for row in rows.itertuples(index=False)
    }


def seeds_of(frame: "pd.DataFrame") -> list[str]:
    """Return the single seeds in a frame, in order, without the mean."""
    return sorted({str(s) for s in frame["seed"]} - {MEAN}, key=lambda s: (len(s), s))


def dataset_of(frame: "pd.DataFrame") -> str:
    """Return the one dataset of a frame; raises UserError where there are none or several."""
    names = sorted({str(name) for name in frame["dataset"]})
    if len(names) != 1:
        raise UserError(f"expected the measurements of one dataset, found {', '.join(names) or 'none'}")
    return names[0]


def levels_of(frame: "pd.DataFrame", prefix: str) -> list[str]:
    """Return the test sets whose name is ``prefix`` and a number, in the order of the numbers."""
    names = {str(name) for name in frame["testset"] if str(name).startswith(prefix)}
    return sorted(names, key=lambda name: level(name, prefix))


def level(testset: str, prefix: str) -> float:
    """Return the number in a test set's name, such as 0.25 in ``saturation-0.25``."""
    return float(testset.removeprefix(prefix))


def clean_counts(frame: "pd.DataFrame", models: Sequence[str]) -> list[float]:
    """Return the number of clean test images of each model, NaN where it was not measured."""
    clean = points(frame, "accuracy")
    return [clean.get((name, "clean"), UNDEFINED).n for name in models]


def count_text(counts: Sequence[float], what: str) -> str:
    """Return a number of things, or its range over models, such as ``n = 4,102–4,980 test images per model``."""
    known = sorted({int(c) for c in counts if not math.isnan(c)})
    if not known:
        return f"n unknown {what}"
    if known[0] == known[-1]:
        return f"n = {known[0]:,} {what}"
    return f"n = {known[0]:,}–{known[-1]:,} {what} per model"
