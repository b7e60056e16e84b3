"""Writing figures: atomically, with the same bytes whenever the same figure is written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from shapelens.artefacts.fonts import fonts_for
from shapelens.artefacts.writing import atomic_path
from shapelens.plots.style import RC

SHEET_WIDTH = 1200
"""Largest width of a sheet in pixels: wider images are cut in the report."""
NO_METADATA: dict[str, Mapping[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


def save_figure(
    figure: Figure, png_path: str | Path, pdf_path: str | Path, dpi: int, *, max_width: int | None = None
) -> None:
    """Write a figure as PNG and PDF without dates or versions in them.

    Args:
        figure: the figure; its layout is frozen, so that a second call writes the same bytes.
        png_path: path of the PNG.
        pdf_path: path of the PDF; pictures in it have the same resolution as in the PNG.
        dpi: pixels per inch.
        max_width: largest width of the PNG in pixels; the resolution is lowered to keep it.
    """
    width = float(figure.get_size_inches()[0])
    used = float(dpi) if max_width is None else min(float(dpi), max_width / width)
    with rc_context(RC):
        _show_as_text(figure)
        if figure.get_layout_engine() is not None:
            figure.set_dpi(used)  # text is a little wider at one resolution than at another
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        for path, kind in ((png_path, "png"), (pdf_path, "pdf")):
            with atomic_path(path) as temporary:
                figure.savefig(temporary, format=kind, dpi=used, metadata=dict(NO_METADATA[kind]))


def _show_as_text(figure: Figure) -> None:
    """Let texts with letters that the common font lacks take them from fonts of the system; none is mathematics."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    texts = [text for text in figure.findobj(Text) if not text.get_text().isascii()]
    fonts = fonts_for(text.get_text() for text in texts)
    if len(fonts) == 1:
        return
    for font in fonts[1:]:
        fontManager.addfont(str(font))
    names = [FT2Font(str(font)).family_name for font in fonts]
    for text in texts:
        text.set_fontfamily(names)
