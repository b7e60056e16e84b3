"""Writing one table in all its formats."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.errors import UserError
from shapelens.instruments.declare import Table
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo
from shapelens.tables.footnotes import Footnote
from shapelens.tables.formats import to_html, to_latex, to_markdown
from shapelens.tables.known_answer import lay_out_known_answer
from shapelens.tables.layout import lay_out, lay_out_agreement, lay_out_means, select
from shapelens.tables.ruler import lay_out_ruler
from shapelens.tables.spec import FORMATS
from shapelens.tables.wide import WideTable

if TYPE_CHECKING:
    import pandas as pd

NO_SCALE_NOTE = (
    "The scale of these sets is not known: without training images there are no rulers, so nobody can say what a model "
    "of texture alone or of shape alone would have here. A dash stands for a model that names either class no more "
    "often than by guessing."
)


def write_table(
    table: Table,
    frame: "pd.DataFrame",
    models: Sequence[ModelInfo],
    paths: Iterable[str | Path],
    *,
    display: Display,
    footnotes: Sequence[Footnote] = (),
    confidence: float = 0.95,
    has_scale: bool = True,
) -> None:
    """Write a table as tidy CSV and as Markdown, LaTeX and HTML for reading; equal input gives equal bytes.

    Args:
        table: its declaration.
        frame: the tidy means that the table ``needs``: accuracy.csv, order_agreement.csv, readings.csv of the rulers,
            or an instrument's means.csv.
        models: the grid, in the order of the rows.
        paths: one path per format; the suffix decides what is written there.
        display: whether published numbers are shown.
        footnotes: remarks on published numbers.
        confidence: coverage of the intervals in ``frame``, for the note.
        has_scale: whether rulers could say on which scale a shape bias lies; else a note says that nobody does.

    Raises UserError for an unknown suffix, and where nothing of the table was measured.
    """
    tidy, wide = _make(table, frame, models, display, footnotes, confidence)
    if not has_scale and any(metric == "shape_bias" for metric, _, _ in table.columns):
        wide = replace(wide, notes=(*wide.notes, NO_SCALE_NOTE))
    for path in paths:
        suffix = Path(path).suffix.removeprefix(".")
        if suffix not in FORMATS:
            raise UserError(f"{path}: tables are written as {', '.join(FORMATS)}, not as {suffix!r}")
        if suffix == "csv":
            text = to_csv(tidy)
        elif suffix == "md":
            text = to_markdown(wide)
        elif suffix == "tex":
            text = to_latex(wide, table.id)
        else:
            text = to_html(wide)
        write_text(path, text)


def _make(
    table: Table,
    frame: "pd.DataFrame",
    models: Sequence[ModelInfo],
    display: Display,
    footnotes: Sequence[Footnote],
    confidence: float,
) -> tuple["pd.DataFrame", WideTable]:
    if table.needs == "agreement":
        return frame, lay_out_agreement(table, frame, confidence)
    if table.needs == "known_answer":
        return frame, lay_out_known_answer(table, frame, models)
    if table.needs == "ruler":
        return frame, lay_out_ruler(table, frame, models, confidence)
    tidy = select(table, frame, models)
    if table.needs == "accuracy":
        return tidy, lay_out(table, tidy, models, footnotes, published=display.published, confidence=confidence)
    return tidy, lay_out_means(table, tidy, models, confidence)
