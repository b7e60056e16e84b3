"""Saliency maps, images down and models across: Figures 2, 8, 9 and 10, and one sheet per method and test set."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shapelens.attribution.map_numbers import display_map, display_signed
from shapelens.attribution.saved_maps import MapSet
from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo, exemplars, opposites, seeds_text
from shapelens.names.words import method_title, name_of_testset
from shapelens.plots.canvas import Canvas, fitted, text_width, to_rgb
from shapelens.plots.shown import Shown
from shapelens.plots.style import HEADROOM, SMALL_SIZE, TEXT_SIZE, WIDTH, headline

ABSOLUTE, SIGNED = "gray_r", "RdBu_r"
"""Colour maps: dark is strong, which also prints; red raises the score and blue lowers it."""
SHEET_INCHES = 6.0
MARGIN, GAP, BLOCK_GAP = 0.06, 0.03, 0.16
LARGEST = 1.1
"""Largest side of a picture in inches."""
SMALLEST_TEXT = 4.5


def sheet(shown: Shown, display: Display) -> Figure:
    """Show the maps of all models on one test set, images down and models across, the image itself first.

    ``display.signed`` draws signed maps instead of absolute values. Absolute maps are clipped at their 99th percentile,
    each on its own scale (``attribution.map_numbers.display_map``). Models without maps are left out. Raises UserError
    where pictures and maps do not fit together.
    """
    (testset,) = shown.testsets
    maps = shown.maps(shown.job.method, testset)
    models = [m for m in shown.explained if m.name in maps.maps]
    figure = _blocks([(maps, shown.pictures(testset))], models, display, SHEET_INCHES, block_titles=False)
    headline(
        figure,
        f"{method_title(maps.method)} maps, {name_of_testset(maps.testset)}: {shown.title}",
        _small_print(len(maps.images), models, display),
    )
    return figure


def figure2(shown: Shown, display: Display) -> Figure:
    """Show the maps of standard, underfit and the strongest PGD-ℓ∞ on original and transformed images (Figure 2)."""
    return _side_by_side(shown, exemplars(shown.explained), display)


def figure8(shown: Shown, display: Display) -> Figure:
    """Show the maps of standard, PGD and spatial training on original and transformed images (Figure 8)."""
    return _side_by_side(shown, opposites(shown.explained), display)


def _side_by_side(shown: Shown, few: Sequence[ModelInfo], display: Display) -> Figure:
    """Show the maps of a few models, the test sets side by side; models without maps are left out."""
    blocks = [(shown.maps(shown.job.method, name), shown.pictures(name)) for name in shown.testsets]
    models = [m for m in few if all(m.name in maps.maps for maps, _ in blocks)]
    figure = _blocks(blocks, models, display, WIDTH, block_titles=True)
    headline(
        figure,
        f"{method_title(shown.job.method)} maps: {shown.title}",
        _small_print(len(blocks[0][0].images), models, display),
    )
    return figure


def _small_print(images: int, models: Sequence[ModelInfo], display: Display) -> str:
    scale = "signed, red raises the score" if display.signed else "absolute value, clipped at the 99th percentile"
    first = [m.model_copy(update={"seeds": m.seeds[:1]}) for m in models]
    return " · ".join(filter(None, [f"{images} test images", seeds_text(first), scale]))


def _blocks(
    blocks: Sequence[tuple[MapSet, NDArray[Any]]],
    models: Sequence[ModelInfo],
    display: Display,
    width: float,
    *,
    block_titles: bool,
) -> Figure:
    if not models:
        raise UserError("no model of the grid has saliency maps on these test sets")
    rows = {len(maps.images) for maps, _ in blocks} | {len(pictures) for _, pictures in blocks}
    if len(rows) != 1 or any(not np.array_equal(maps.images, blocks[0][0].images) for maps, _ in blocks):
        raise UserError("saliency: the test sets' maps and pictures are not of the same images; run the maps again")
    count = rows.pop()
    columns = 1 + len(models)
    room = width - 2 * MARGIN - (len(blocks) - 1) * BLOCK_GAP
    side = min(LARGEST, room / (columns * len(blocks)) - GAP)
    tall = side * blocks[0][1].shape[-2] / blocks[0][1].shape[-1]
    headings = ["Image", *(m.title if text_width(m.title, SMALL_SIZE) < side else m.heading for m in models)]
    size = min(SMALL_SIZE, *(SMALL_SIZE * (side + GAP) / text_width(heading, SMALL_SIZE) for heading in headings))
    size = max(size, SMALLEST_TEXT)
    top = HEADROOM + (0.17 if block_titles else 0.0) + (0.28 if any("\n" in heading for heading in headings) else 0.17)
    canvas = Canvas(width, top + count * (tall + GAP) + 0.03)
    # With few models the pictures reach their largest side; the sheet is then no wider than they need.
    used = 2 * MARGIN + len(blocks) * columns * (side + GAP) + (len(blocks) - 1) * BLOCK_GAP
    if used < width:
        canvas.resize(max(used, min(width, 4.2)))
    x = MARGIN
    for maps, pictures in blocks:
        if block_titles:
            middle = x + (columns * (side + GAP) - GAP) / 2
            title = name_of_testset(maps.testset).capitalize()
            canvas.words(middle, HEADROOM + 0.08, title, size=TEXT_SIZE, ha="center", weight="bold")
        for column, heading in enumerate(headings):
            canvas.words(
                x + side / 2, top - 0.04, fitted(heading, side + GAP, size), size=size, ha="center", va="bottom"
            )
            for row in range(count):
                y = top + row * (tall + GAP)
                if column == 0:
                    canvas.picture(to_rgb(pictures[row]), x, y, side, tall)
                else:
                    _draw(canvas, maps.maps[models[column - 1].name][row], x, y, side, tall, signed=display.signed)
            x += side + GAP
        x += BLOCK_GAP
    return canvas.figure


def _draw(canvas: Canvas, raw: NDArray[np.float32], x: float, y: float, w: float, h: float, *, signed: bool) -> None:
    if not np.all(np.isfinite(raw)):
        canvas.bar(x, y, w, h, edge="#bbbbbb")
        canvas.words(x + w / 2, y + h / 2, "undefined", size=SMALLEST_TEXT, ha="center")
    elif signed:
        canvas.picture(display_signed(raw), x, y, w, h, cmap=SIGNED, low=-1.0, frame=True)
    else:
        canvas.picture(display_map(raw), x, y, w, h, cmap=ABSOLUTE, frame=True)
