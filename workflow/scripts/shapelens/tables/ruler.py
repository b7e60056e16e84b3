"""The wide form of what the rulers read: a row per test set."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shapelens.instruments.declare import Table
from shapelens.names.models import RULERS, ModelInfo, seeds_text
from shapelens.names.words import dataset_title, name_of_testset
from shapelens.stats.ruler import APART, END, LEFT
from shapelens.stats.tidy import UNDEFINED, Point, dataset_of, points
from shapelens.tables.wide import Cell, Entry, WideTable

if TYPE_CHECKING:
    import pandas as pd

READINGS = (("accuracy", "accuracy"), (LEFT, "left"), (END, "shape bias"))
"""What may be read on a test set, with its words."""


def lay_out_ruler(
    table: Table, frame: "pd.DataFrame", models: Sequence[ModelInfo], confidence: float = 0.95
) -> WideTable:
    """Return the wide form of the rulers' readings.

    Args:
        table: its declaration.
        frame: as ``stats.ruler.ruler_table`` returns it.
        models: the grid, for labels and seeds.
        confidence: coverage of the intervals in ``frame``, for the note.
    """
    rulers = [name for name in RULERS if name in set(frame["model"])]
    titles = {model.name: model.title for model in models}
    values = {metric: points(frame, metric) for metric in (*(metric for metric, _ in READINGS), APART)}
    rows: list[tuple[Entry, ...]] = []
    groups: list[int] = []
    for metric, words in READINGS:
        testsets = list(dict.fromkeys(frame.loc[frame["metric"] == metric, "testset"]))
        if rows and testsets:
            groups.append(len(rows))
        for testset in map(str, testsets):
            read = [_cell(values[metric].get((ruler, testset), UNDEFINED)) for ruler in rulers]
            apart = next((found for key, found in values[APART].items() if key[1] == testset), UNDEFINED)
            rows.append((name_of_testset(testset), words, *read, _cell(apart), _readable(frame, testset)))
    notes = (
        f"{100 * confidence:g} % intervals in brackets; {seeds_text([m for m in models if m.name in rulers])}. "
        "Left: the ruler's accuracy above chance relative to that on original images. "
        "Readable: where cues conflict, whether the two ends are apart enough for shape bias to be printed; on "
        "original images, whether every ruler has learned its classes.",
    )
    return WideTable(
        f"{table.title}: {dataset_title(dataset_of(frame))}",
        ("Images", "Reading", *(titles.get(ruler, ruler) for ruler in rulers), "apart", "readable"),
        tuple(rows),
        text_columns=2,
        notes=notes,
        groups=tuple(groups),
    )


def _cell(found: Point) -> Cell:
    return Cell(100 * found.value, 100 * found.low, 100 * found.high)


def _readable(frame: "pd.DataFrame", testset: str) -> str:
    said = frame.loc[(frame["testset"] == testset) & frame["readable"].notna(), "readable"]
    if said.empty:
        return ""
    return "yes" if all(str(value) == "True" for value in said) else "no"
