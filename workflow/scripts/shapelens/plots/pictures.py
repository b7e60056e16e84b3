"""Figures that show images: Figure 1, stylised images (3), saturation levels (4), shuffling with probabilities (6)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import exemplars, seeds_text
from shapelens.plots.canvas import Canvas, text_width, to_rgb
from shapelens.plots.shown import Shown
from shapelens.plots.style import HEADROOM, SMALL_SIZE, WIDTH, headline, looks, theme
from shapelens.stats.tidy import level

MARGIN, GAP, BLOCK_GAP = 0.06, 0.05, 0.2
LARGEST = 1.3
"""Largest side of a picture in inches."""
COLUMN_HEAD = 0.18
Panel = tuple[str, NDArray[Any]]


def figure1(shown: Shown, display: Display) -> Figure:
    """Show images and what the transformations make of them, one row per image (Figure 1 of the paper)."""
    return _image_grid(shown.panels(), "The transformations", shown.title, "each row: one test image")


def figure3(shown: Shown, display: Display) -> Figure:
    """Show images, the style that each was given, and the result, two images in a row (Figure 3 of the paper).

    Raises UserError where these differ in number.
    """
    original, *stylised = shown.panels()
    panels = [original, ("Style", shown.styles()), *stylised]
    count = _count(panels)
    across = min(2, count)
    side = min(LARGEST, (WIDTH - 2 * MARGIN - (across - 1) * BLOCK_GAP) / (across * len(panels)) - GAP)
    tall = side * _aspect(panels)
    block = len(panels) * (side + GAP) + BLOCK_GAP
    rows = -(-count // across)
    canvas = Canvas(
        max(2 * MARGIN + across * block - BLOCK_GAP, 4.6), HEADROOM + COLUMN_HEAD + rows * (tall + GAP) + 0.02
    )
    for c, (title, images) in enumerate(panels):
        for i in range(count):
            row, column = divmod(i, across)
            x = MARGIN + column * block + c * (side + GAP)
            if row == 0:
                canvas.words(x + side / 2, HEADROOM + COLUMN_HEAD / 2, title, ha="center")
            canvas.picture(to_rgb(images[i]), x, HEADROOM + COLUMN_HEAD + row * (tall + GAP), side, tall)
    plural = "s" if count > 1 else ""
    note = "each keeps its content and takes on a style"
    headline(canvas.figure, f"Stylised images: {shown.title}", f"{count} test image{plural} · {note}")
    return canvas.figure


def figure4(shown: Shown, display: Display) -> Figure:
    """Show images at every saturation level, the original among them at 2 (Figure 4 of the paper).

    Titles are the levels, in order, each shown once.
    """
    levels = {2.0 if name == "clean" else level(name, "saturation-"): name for name in shown.testsets}
    return _image_grid(
        [(f"{at:g}", shown.pictures(levels[at])) for at in sorted(levels)],
        "Saturation levels",
        shown.title,
        "level 2 is the original; small levels turn grey, large ones binary",
    )


def figure6(shown: Shown, display: Display) -> Figure:
    """Show shuffled images, and beneath each the probability that models give to its label (Figure 6 of the paper).

    The models are ``exemplars(grid)``, from top to bottom. A probability that was not measured is a dash.
    """
    models = exemplars(shown.explained)
    panels, labels, probabilities = shown.panels(), shown.classes(), shown.probabilities(models)
    count = _count(panels)
    with theme(display.palette) as colors:
        styles = looks(models, colors)
    bar, number = 0.085, 0.25  # "100%" is 0.22 wide
    left = MARGIN + max([text_width(m.title, SMALL_SIZE) for m in models] + [text_width(t, SMALL_SIZE) for t in labels])
    side = min(LARGEST, (WIDTH - left - MARGIN) / len(panels) - 2 * GAP)
    tall = side * _aspect(panels)
    step = bar + 0.045
    row_height = tall + 0.06 + step * len(models) + 0.12
    width = left + len(panels) * (side + 2 * GAP) + MARGIN
    canvas = Canvas(max(width, 4.6), HEADROOM + COLUMN_HEAD + count * row_height + 0.02)
    for c, (title, images) in enumerate(panels):
        x = left + GAP + c * (side + 2 * GAP)
        canvas.words(x + side / 2, HEADROOM + COLUMN_HEAD / 2, title, ha="center")
        for r in range(count):
            y = HEADROOM + COLUMN_HEAD + r * row_height
            canvas.picture(to_rgb(images[r]), x, y, side, tall)
            if c == 0:
                canvas.words(left - GAP, y + tall / 2, labels[r], size=SMALL_SIZE, ha="right", style="italic")
            for m, model in enumerate(models):
                top = y + tall + 0.06 + m * step
                share = float(probabilities[model.name][r, c])
                room = side - number
                canvas.bar(x, top, room, bar, color="#eeeeee")
                if np.isfinite(share):
                    canvas.bar(
                        x, top, room * share, bar, color=styles[model.name].color, gid=f"probability:{model.name}"
                    )
                text = f"{100 * share:.0f}%" if np.isfinite(share) else "–"
                canvas.words(x + side, top + bar / 2, text, size=SMALL_SIZE - 1, ha="right", va="center_baseline")
                if c == 0:
                    canvas.words(left - GAP, top + bar / 2, model.title, size=SMALL_SIZE, ha="right")
    seeds = seeds_text(models)
    seeds = f"mean over {seeds}" if "," in seeds else seeds
    small = ["bars: probability of the image's label", f"{count} test image{'s' if count > 1 else ''}", seeds]
    headline(canvas.figure, f"Shuffled images: {shown.title}", " · ".join(filter(None, small)))
    return canvas.figure


def _image_grid(panels: Sequence[Panel], title: str, dataset: str, note: str) -> Figure:
    """Show the same images in every panel, one row per image; ``note`` says what a row or a panel is."""
    count = _count(panels)
    side = min(LARGEST, (WIDTH - 2 * MARGIN + GAP) / len(panels) - GAP)
    tall = side * _aspect(panels)
    width = 2 * MARGIN + len(panels) * (side + GAP) - GAP
    canvas = Canvas(max(width, 4.6), HEADROOM + COLUMN_HEAD + count * (tall + GAP) + 0.02)
    for c, (name, images) in enumerate(panels):
        x = MARGIN + c * (side + GAP)
        canvas.words(x + side / 2, HEADROOM + COLUMN_HEAD / 2, name, ha="center")
        for r in range(count):
            canvas.picture(to_rgb(images[r]), x, HEADROOM + COLUMN_HEAD + r * (tall + GAP), side, tall)
    plural = "s" if count > 1 else ""
    headline(canvas.figure, f"{title}: {dataset}", f"{count} test image{plural} · {note}")
    return canvas.figure


def _count(panels: Sequence[Panel]) -> int:
    counts = {len(images) for _, images in panels}
    if len(counts) != 1 or counts == {0}:
        found = ", ".join(f"{title}: {len(images)}" for title, images in panels) or "none"
        raise UserError(f"every panel needs the same images, at least one; found {found}")
    return counts.pop()


def _aspect(panels: Sequence[Panel]) -> float:
    return float(max(images.shape[-2] / images.shape[-1] for _, images in panels))
