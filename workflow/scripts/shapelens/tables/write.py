"""Writing one table in all its formats."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_text
from shapelens.errors import UserError
from shapelens.instruments.saliency.summary import summarise
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo
from shapelens.tables.footnotes import Footnote
from shapelens.tables.formats import to_html, to_latex, to_markdown
from shapelens.tables.layout import entry_of, lay_out, lay_out_agreement, lay_out_saliency, select
from shapelens.tables.registry import FORMATS
from shapelens.tables.wide import WideTable

if TYPE_CHECKING:
    import pandas as pd

DECIMALS = 6


def write_table(
    table: str,
    frame: "pd.DataFrame",
    models: Sequence[ModelInfo],
    paths: Iterable[str | Path],
    *,
    display: Display,
    footnotes: Sequence[Footnote] = (),
    confidence: float = 0.95,
) -> None:
    """Write a table as tidy CSV and as Markdown, LaTeX and HTML for reading; equal input gives equal bytes.

    Args:
        table: id in ``TABLES``.
        frame: what the table ``needs``: accuracy.csv, saliency_per_image.csv, or the frame of
            ``stats.correlation.agreement``.
        models: the grid, in the order of the rows.
        paths: one path per format; the suffix decides what is written there.
        display: whether published numbers are shown.
        footnotes: remarks on published numbers.
        confidence: coverage of the intervals; those of the saliency measures are made here.

    Raises UserError for an unknown id or suffix, and where nothing of the table was measured.
    """
    entry_of(table)
    tidy, wide = _make(table, frame, models, display, footnotes, confidence)
    for path in paths:
        suffix = Path(path).suffix.removeprefix(".")
        if suffix not in FORMATS:
            raise UserError(f"{path}: tables are written as {', '.join(FORMATS)}, not as {suffix!r}")
        if suffix == "csv":
            text = to_csv(tidy)
        elif suffix == "md":
            text = to_markdown(wide)
        elif suffix == "tex":
            text = to_latex(wide, table)
        else:
            text = to_html(wide)
        write_text(path, text)


def _make(
    table: str,
    frame: "pd.DataFrame",
    models: Sequence[ModelInfo],
    display: Display,
    footnotes: Sequence[Footnote],
    confidence: float,
) -> tuple["pd.DataFrame", WideTable]:
    if table == "agreement":
        return frame, lay_out_agreement(frame, confidence)
    if table == "saliency":
        tidy = select(table, summarise(frame, confidence), models)
        return tidy, lay_out_saliency(tidy, models, confidence)
    tidy = select(table, frame, models)
    return tidy, lay_out(table, tidy, models, footnotes, published=display.published, confidence=confidence)


def to_csv(frame: "pd.DataFrame") -> str:
    """Return a frame as CSV: floats with six decimals, counts without, undefined empty, Unix line ends."""
    import pandas as pd

    columns = {}
    for name in frame.columns:
        column = frame[name]
        if name == "n":
            columns[name] = ["" if pd.isna(value) else str(round(value)) for value in column]
        elif pd.api.types.is_float_dtype(column):
            columns[name] = ["" if pd.isna(value) else _fixed(float(value)) for value in column]
        else:
            columns[name] = ["" if pd.isna(value) else str(value) for value in column]
    return str(pd.DataFrame(columns).to_csv(index=False, lineterminator="\n"))


def _fixed(value: float) -> str:
    text = f"{value:.{DECIMALS}f}"
    return text.removeprefix("-") if float(text) == 0 else text
