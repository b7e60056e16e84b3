"""Predicted and measured shape biases side by side, as a figure and as a table."""

import pandas as pd
import pytest

from shapelens.errors import UserError
from shapelens.instruments.registry import TABLES
from shapelens.names.display import Display
from shapelens.plots.known_answer import known_answer
from shapelens.stats.known_answer import COLUMNS
from shapelens.tables.known_answer import lay_out_known_answer
from shapelens.tables.wide import Cell

from ..tidy_data import grid, shown

ROWS = [
    ("pgd-inf-4", 0.625, (0.5, 0.9), 0.15),
    ("standard", 0.0, (0.0, 0.02), 0.15),
    ("calibration-shape", 1.0, (1.0, 0.99), 0.02),
]
FRAME = pd.DataFrame(
    [
        ("cues", model, seed, predicted, value, tolerance, abs(value - predicted) <= tolerance)
        for model, predicted, seeds, tolerance in ROWS
        for seed, value in zip(("0", "1", "mean"), (*seeds, sum(seeds) / 2), strict=True)
    ],
    columns=list(COLUMNS),
)


def test_dots_stand_at_the_means_in_the_order_of_the_grid() -> None:
    figure = known_answer(shown(known_answer=FRAME, models=grid(calibration=True), dataset="cues"), Display())
    (ax,) = figure.axes
    dots = {str(line.get_gid()): line for line in ax.get_lines() if str(line.get_gid()).startswith("measured:")}
    places = {name.removeprefix("measured:"): float(dot.get_xdata()[0]) for name, dot in dots.items()}
    assert places == pytest.approx({"standard": 0.01, "pgd-inf-4": 0.7, "calibration-shape": 0.995})
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        m.title for m in grid(calibration=True) if m.name in places
    ]
    bands = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    assert bands == [pytest.approx(band) for band in ((0, 0.15), (0.475, 0.775), (0.98, 1))]
    with pytest.raises(UserError, match="no model"):
        known_answer(shown(known_answer=FRAME.iloc[:0], models=grid(), dataset="cues"), Display())


def test_the_table_says_which_seeds_missed() -> None:
    titles = [m.title for m in grid(calibration=True) if m.name in set(FRAME["model"])]
    wide = lay_out_known_answer(TABLES["known_answer"], FRAME, grid(calibration=True))
    assert [(row[0], row[-1]) for row in wide.rows] == [
        (title, gate) for title, gate in zip(titles, ("passed", "missed in 1 of 2 seeds", "passed"), strict=True)
    ]
    assert wide.rows[1][2] == Cell(0.7, 0.5, 0.9, digits=3)
