"""From tidy measurements to the rows of one table: the tidy selection and the wide form for reading."""

import math
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from shapelens.errors import UserError
from shapelens.instruments.declare import Table
from shapelens.names.models import ModelInfo, seeds_text
from shapelens.names.words import METHODS, dataset_title, name_of_testset
from shapelens.stats.tidy import (
    KEYS,
    MEAN,
    NUMBERS,
    UNDEFINED,
    Point,
    count_text,
    dataset_of,
    levels_of,
    points,
)
from shapelens.tables.footnotes import Footnote
from shapelens.tables.wide import Cell, Entry, WideTable, letters

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED_OF = {4: "caltech256", 5: "tinyimagenet", 6: "cifar10", 7: "caltech256", 8: "tinyimagenet"}
"""The dataset of those tables of Zhang and Zhu (2019) that have only one."""
COLUMN_LIMIT = 3
"""Up to so many measured columns, published numbers stand in columns of their own; beyond, in rows of their own."""
Column = tuple[str, str, str]


def select(table: Table, frame: "pd.DataFrame", models: Sequence[ModelInfo]) -> "pd.DataFrame":
    """Return the tidy rows that a table consists of, single seeds and the mean, models in the order of the grid.

    Raises UserError where nothing of the table was measured.
    """
    order = {model.name: place for place, model in enumerate(models)}
    keep = frame[frame["model"].isin(order)]
    parts = []
    for metric, pattern, _ in table.columns:
        rows = keep[keep["metric"] == metric]
        if pattern.endswith("*"):
            rows = rows[rows["testset"].str.startswith(pattern[:-1])]
        elif pattern:
            rows = rows[rows["testset"] == pattern]
        parts.append(rows)
    chosen = frame.iloc[:0] if not parts else _concat(parts)
    if chosen.empty:
        raise UserError(f"table {table.id}: nothing of it was measured on {', '.join(sorted(set(frame['dataset'])))}")
    metrics = {metric: place for place, (metric, _, _) in enumerate(table.columns)}
    testsets = sorted(set(chosen["testset"]), key=_natural)
    own = keys_of(chosen)
    places = {key: {name: place for place, name in enumerate(_values(chosen, key))} for key in own}
    keys = chosen.assign(
        _model=chosen["model"].map(order),
        _testset=chosen["testset"].map({name: place for place, name in enumerate(testsets)}),
        _metric=chosen["metric"].map(metrics),
        _seed=[math.inf if str(s) == MEAN else float(s) for s in chosen["seed"]],
        **{f"_{key}": chosen[key].map(places[key]) for key in own},
    )
    order_by = [*(f"_{key}" for key in own), "_model", "_testset", "_metric", "_seed"]
    sorted_rows = keys.sort_values(order_by, kind="stable")
    return sorted_rows[list(chosen.columns)].reset_index(drop=True)


def keys_of(frame: "pd.DataFrame") -> list[str]:
    """Return the columns of tidy means that are an instrument's own keys, such as ``method``."""
    return [str(name) for name in frame.columns if name not in (*KEYS, *NUMBERS)]


def _values(frame: "pd.DataFrame", key: str) -> list[str]:
    """Return the values of a key: attribution methods in their usual order, others as they come."""
    found = list(dict.fromkeys(map(str, frame[key])))
    return sorted(found, key=lambda name: list(METHODS).index(name) if name in METHODS else len(METHODS))


def _concat(parts: Sequence["pd.DataFrame"]) -> "pd.DataFrame":
    import pandas as pd

    return pd.concat(parts)


def _natural(testset: str) -> tuple[str, float, str]:
    """Order test sets by name, levels by their number, ``clean`` first."""
    stem, _, last = testset.rpartition("-")
    try:
        return stem, float(last), ""
    except ValueError:
        return ("" if testset == "clean" else testset), -1.0, testset


def lay_out(
    table: Table,
    frame: "pd.DataFrame",
    models: Sequence[ModelInfo],
    footnotes: Sequence[Footnote] = (),
    *,
    published: bool = True,
    confidence: float = 0.95,
) -> WideTable:
    """Return the wide form of a table whose rows are models.

    Args:
        table: id, such as ``table1``.
        frame: the table's tidy rows, as ``select`` returns them; means over seeds are shown.
        models: the grid, in the order of the rows; models that were not measured are left out.
        footnotes: remarks on published numbers.
        published: show published numbers where there are any.
        confidence: coverage of the intervals in ``frame``, for the note.

    Numbers are per cent with one decimal where the table's are shares. Undefined numbers are a dash.
    """
    dataset = dataset_of(frame)
    title = f"{table.title}: {dataset_title(dataset)}"
    columns = _columns(table, frame)
    shown = [m for m in models if any((m.name, c[1]) in points(frame, c[0]) for c in columns)]
    marks = _Marks(dataset, table, footnotes)
    values = {metric: points(frame, metric) for metric, _, _ in columns}

    def point(model: ModelInfo, column: Column) -> Point:
        return values[column[0]].get((model.name, column[1]), UNDEFINED)

    def printed(model: ModelInfo, column: Column) -> Cell:
        found = point(model, column)
        if math.isnan(found.published):
            return Cell(found.published)
        # As printed: the published tables have one or two decimals.
        digits = 1 if f"{100 * found.published:.2f}".endswith("0") else 2
        return Cell(100 * found.published, digits=digits, marks=marks.of(model.name, column[1], column[0]))

    has = [published and any(not math.isnan(point(m, c).published) for m in shown) for c in columns]
    beside = len(columns) <= COLUMN_LIMIT
    rows: list[tuple[Entry, ...]] = []
    groups: list[int] = []
    for place, model in enumerate(shown):
        if place and model.family != shown[place - 1].family:
            groups.append(len(rows))
        cells: list[Entry] = [model.title]
        for column, has_published in zip(columns, has, strict=True):
            cells.append(_percent(point(model, column)))
            if beside and has_published:
                cells.append(printed(model, column))
        rows.append(tuple(cells))
        if not beside and published and any(not math.isnan(point(model, c).published) for c in columns):
            rows.append(("published", *(printed(model, column) for column in columns)))
    header = ["Model"]
    for column, has_published in zip(columns, has, strict=True):
        header += [column[2], "published"] if beside and has_published else [column[2]]
    notes = [_note(shown, [point(m, c).n for m in shown for c in columns], confidence)]
    if any(has):
        tables = [t for t in table.published if PUBLISHED_OF.get(t, dataset) == dataset] or table.published
        where = f"Table{'s' if len(tables) > 1 else ''} {_words(tables)}"
        notes.append(f"Published: Zhang and Zhu (2019), {where}.")
        notes += marks.general()
    return WideTable(
        title, tuple(header), tuple(rows), notes=tuple(notes), footnotes=marks.used(), groups=tuple(groups)
    )


def _words(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _note(models: Sequence[ModelInfo], counts: Sequence[float], confidence: float) -> str:
    seeds = seeds_text(models)
    parts = [count_text(counts, "images"), f"{100 * confidence:g} % intervals in brackets"]
    if seeds:
        parts.insert(1, f"mean over {seeds}" if "," in seeds else seeds)
    return "; ".join(parts) + "."


def _percent(found: Point) -> Cell:
    return Cell(100 * found.value, 100 * found.low, 100 * found.high)


def _columns(entry: Table, frame: "pd.DataFrame") -> list[Column]:
    """Return the columns with every level spelt out, without those that nobody was measured on."""
    columns: list[Column] = []
    for metric, pattern, heading in entry.columns:
        if pattern.endswith("-*"):
            levels = levels_of(frame, pattern[:-1])
            columns += [(metric, name, heading + name.removeprefix(pattern[:-1])) for name in levels]
        elif ((frame["metric"] == metric) & (frame["testset"] == pattern)).any():
            columns.append((metric, pattern, heading))
    return columns


class _Marks:
    """Gives footnotes their letters, in the order in which they are met."""

    def __init__(self, dataset: str, entry: Table, footnotes: Sequence[Footnote]) -> None:
        tables = {str(number) for number in entry.published}
        self._dataset = dataset
        self._footnotes = [f for f in footnotes if f.table in tables and f.dataset in ("", dataset)]
        self._letters: dict[str, str] = {}

    def of(self, model: str, testset: str, metric: str) -> str:
        """Return the marks of one published number."""
        found = [f for f in self._footnotes if not f.general and f.concerns(self._dataset, model, testset, metric)]
        return ",".join(self._letters.setdefault(f.note, letters(len(self._letters))) for f in found)

    def general(self) -> list[str]:
        """Return the remarks on whole tables."""
        return list(dict.fromkeys(f.note for f in self._footnotes if f.general))

    def used(self) -> tuple[tuple[str, str], ...]:
        """Return (mark, text) of the footnotes that were met."""
        return tuple((mark, note) for note, mark in self._letters.items())


def lay_out_means(
    table: Table, frame: "pd.DataFrame", models: Sequence[ModelInfo], confidence: float = 0.95
) -> WideTable:
    """Return the wide form of an instrument's means: a row for each of its keys, test set and model.

    Args:
        table: its declaration.
        frame: tidy rows as ``stats.means.means_table`` and ``select`` return them, the instrument's keys among them.
        models: the grid, in the order of the rows.
        confidence: coverage of the intervals in ``frame``, for the note.
    """
    keys = keys_of(frame)
    columns = [column for column in table.columns if (frame["metric"] == column[0]).any()]
    rows: list[tuple[Entry, ...]] = []
    groups: list[int] = []
    counts: list[float] = []
    for values in product(*(_values(frame, key) for key in keys)):
        ours = frame
        for key, value in zip(keys, values, strict=True):
            ours = ours[ours[key] == value]
        measured = {metric: points(ours, metric) for metric, _, _ in columns}
        for testset in sorted(set(ours["testset"]), key=_natural):
            if rows:
                groups.append(len(rows))
            for model in models:
                found = [measured[metric].get((model.name, testset), UNDEFINED) for metric, _, _ in columns]
                if all(math.isnan(p.value) for p in found):
                    continue
                counts += [p.n for p in found if not math.isnan(p.value)]
                cells = [Cell(p.value, p.low, p.high, digits=3) for p in found]
                said = (METHODS.get(value, value) for value in values)
                rows.append((*said, name_of_testset(testset), model.title, *cells))
    note = "intervals: Student's t over images, each image the mean over its seeds"
    return WideTable(
        f"{table.title}: {dataset_title(dataset_of(frame))}",
        (*(key.capitalize() for key in keys), "Images", "Model", *(heading for _, _, heading in columns)),
        tuple(rows),
        text_columns=len(keys) + 2,
        notes=(_note(models, counts, confidence).removesuffix(".") + f"; {note}.",),
        groups=tuple(groups),
    )


def lay_out_agreement(table: Table, frame: "pd.DataFrame", confidence: float = 0.95) -> WideTable:
    """Return the wide form of the agreement with the published order: a row per test set and metric.

    Args:
        table: its declaration.
        frame: as ``stats.correlation.agreement`` returns it: dataset, testset, metric, misprints, models, tau, low,
            high, p, reachable, reachable_low, reachable_high. Without rows the table says why it is empty.
        confidence: coverage of the intervals in ``frame``, for the note.
    """
    rows: list[tuple[Entry, ...]] = []
    for row in frame.itertuples(index=False):
        tau, low, high, p, models = (float(getattr(row, name)) for name in ("tau", "low", "high", "p", "models"))
        most, least, greatest = (float(getattr(row, name)) for name in ("reachable", "reachable_low", "reachable_high"))
        cells = (
            Cell(tau, low, high, digits=2),
            Cell(most, least, greatest, digits=2),
            "< 0.001" if p < 0.001 else Cell(p, digits=3),
            Cell(models, digits=0),
        )
        names = (name_of_testset(str(row.testset)), str(row.metric).replace("_", " "), str(row.misprints))
        rows.append((*names, *cells))
    title = table.title
    if not rows:
        note = "No test set has enough published models to compare the order with."
    else:
        title = f"{title}: {dataset_title(dataset_of(frame))}"
        note = (
            f"{100 * confidence:g} % intervals in brackets; p: one-sided permutation test. "
            "Reachable: what a perfect repetition would reach, simulated from the published values with image noise "
            "and one point of seed noise. "
            "Misprints: with all published numbers, and where some are doubted also without their models. "
            "Published: Zhang and Zhu (2019)."
        )
    return WideTable(
        title,
        ("Images", "Metric", "Misprints", "τ-b", "reachable", "p", "models"),
        tuple(rows),
        text_columns=3,
        notes=(note,),
    )
