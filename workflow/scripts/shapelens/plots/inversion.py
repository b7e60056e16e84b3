"""Images with the representation of another, and the way to them: Figures 4, 8, 11 and 18 of Boychev (2022)."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shapelens.names.display import Display
from shapelens.plots.canvas import text_width, to_rgb
from shapelens.plots.optimised import GAP, MARGIN, measured, sheet, small_print
from shapelens.plots.shown import Shown
from shapelens.plots.style import FAINT, SMALL_SIZE, headline

NUMBER = 0.13
"""Height of a number beneath a picture in inches."""
ROWS = 9
"""Most rows of pictures, so that a figure fits a page."""
SAME = ("images", "sources", "steps")


def pictures(shown: Shown, display: Display) -> Figure:
    """Show, for a few targets and each of their starts, the target, the start and every model's inversion."""
    models, found = measured(shown, "inversion", SAME)
    first = found[models[0].name]
    starts, count = first["starts"].shape[1], len(first["targets"])
    rows = [(t, j) for t in range(count) for j in range(starts)][: max(starts, ROWS // starts * starts)]
    canvas, side, lefts, top = sheet(["Target", "Start", *(m.heading for m in models)], len(rows), beneath=NUMBER)
    for row, (t, j) in enumerate(rows):
        y = top + row * (side + GAP + NUMBER)
        for x, picture in zip(lefts[:2], (first["targets"][t], first["starts"][t, j]), strict=True):
            canvas.picture(to_rgb(picture), x, y, side, side)
        for x, model in zip(lefts[2:], models, strict=True):
            mine = found[model.name]
            canvas.picture(to_rgb(mine["way"][-1, t, j]), x, y, side, side)
            text = f"{mine['pixel_distance'][t, j]:.2f}"
            canvas.words(x + side / 2, y + side + NUMBER / 2, text, size=SMALL_SIZE - 1, ha="center", color=FAINT)
    note = f"{first['steps'][-1]} steps · beneath: ℓ2 distance to the target"
    headline(canvas.figure, f"Inverted representations: {shown.title}", small_print(models, note))
    return canvas.figure


def way(shown: Shown, display: Display) -> Figure:
    """Show one target's way from its first start, models down and steps across."""
    models, found = measured(shown, "inversion", SAME)
    first = found[models[0].name]
    steps = _few(first["steps"], 7)
    headings = ["Target", *(f"{first['steps'][f]}" for f in steps)]
    left = MARGIN + max(text_width(m.title, SMALL_SIZE) for m in models) + 0.06
    canvas, side, lefts, top = sheet(headings, len(models), left=left)
    for row, model in enumerate(models):
        y = top + row * (side + GAP)
        canvas.words(left - 0.06, y + side / 2, model.title, size=SMALL_SIZE, ha="right")
        canvas.picture(to_rgb(first["targets"][0]), lefts[0], y, side, side)
        for x, f in zip(lefts[1:], steps, strict=True):
            canvas.picture(to_rgb(found[model.name]["way"][f, 0, 0]), x, y, side, side)
    headline(canvas.figure, f"The way of an inversion: {shown.title}", small_print(models, "above: number of steps"))
    return canvas.figure


def way_frames(shown: Shown, display: Display) -> list[Figure]:
    """Return one picture for each noted step: targets down, and the target, the start and every model across."""
    models, found = measured(shown, "inversion", SAME)
    first = found[models[0].name]
    frames = []
    for f, step in enumerate(first["steps"]):
        rows = range(len(first["targets"]))
        canvas, side, lefts, top = sheet(["Target", "Start", *(m.heading for m in models)], len(rows))
        for t in rows:
            y = top + t * (side + GAP)
            images = [first["targets"][t], first["starts"][t, 0], *(found[m.name]["way"][f, t, 0] for m in models)]
            for x, picture in zip(lefts, images, strict=True):
                canvas.picture(to_rgb(picture), x, y, side, side)
        headline(canvas.figure, f"Step {step}", shown.title)
        frames.append(canvas.figure)
    return frames


def _few(steps: NDArray[np.int64], most: int) -> list[int]:
    """Return places of a few of the noted steps, first and last among them."""
    return sorted(set(np.linspace(0, len(steps) - 1, min(most, len(steps))).round().astype(int).tolist()))
