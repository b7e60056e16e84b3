"""Writing figures: atomically, with the same bytes whenever the same figure is written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from PIL import Image

from shapelens.artefacts.fonts import fonts_for
from shapelens.artefacts.writing import atomic_path
from shapelens.plots.style import RC

SHEET_WIDTH = 1200
"""Largest width of a sheet in pixels: wider images are cut in the report."""
ANIMATION_WIDTH = 640
"""Largest width of an animation in pixels: its size grows with every picture."""
FRAME_MS, REST_MS = 250, 2000
"""How long an animation shows a picture, and its last one, in milliseconds."""
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


def save_animation(frames: Sequence[Figure], path: str | Path, dpi: int) -> None:
    """Write figures of one size as an animated GIF, in a loop that rests on the last one."""
    used = min(float(dpi), ANIMATION_WIDTH / float(frames[0].get_size_inches()[0]))
    with rc_context(RC):
        pictures = [_pixels(figure, used) for figure in frames]
    # One palette for all, so that colours stand still; the last picture has what the way ends with.
    palette = pictures[-1].quantize(256, dither=Image.Dither.NONE)
    reduced = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    times = [FRAME_MS] * (len(reduced) - 1) + [REST_MS]
    with atomic_path(path) as temporary:
        reduced[0].save(
            temporary, format="GIF", save_all=True, append_images=reduced[1:], duration=times, loop=0, optimize=False
        )


def _pixels(figure: Figure, dpi: float) -> Image.Image:
    _show_as_text(figure)
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return Image.fromarray(pixels[..., :3].copy())


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
