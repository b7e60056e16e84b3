"""What excites single units, made and found: Figures 5, 9, 12 and 15 of Boychev (2022)."""

import math

from matplotlib.figure import Figure

from shapelens.names.display import Display
from shapelens.plots.canvas import Canvas, text_width, to_rgb
from shapelens.plots.optimised import GAP, MARGIN, Arrays, measured, sheet, small_print
from shapelens.plots.shown import Shown
from shapelens.plots.style import FAINT, SMALL_SIZE, headline

UNITS = 4
"""Units of each model that a figure shows."""
BLOCK_GAP = 0.12
LONGEST = "100% one class"


def pictures(shown: Shown, display: Display) -> Figure:
    """Show, for the first units of each model, the image made and the test images that excite it most and least."""
    models, found = measured(shown, "features", same=())
    top = found[models[0].name]["most"].shape[1]
    headings = ["Made", "Excites most", *[""] * (top - 1), "Excites least", *[""] * (top - 1)]
    left = MARGIN + max(text_width(words, SMALL_SIZE) for words in (*(m.title for m in models), LONGEST)) + 0.08
    counts = [min(UNITS, len(found[m.name]["units"])) for m in models]
    extra = BLOCK_GAP * (len(models) - 1)
    canvas, side, lefts, above = sheet(headings, sum(counts), left=left, extra=extra, cut=False)
    y = above
    for model, count in zip(models, counts, strict=True):
        own = found[model.name]
        canvas.words(left - 0.08, y + 0.09, model.title, size=SMALL_SIZE, ha="right", weight="bold")
        for u in range(count):
            _words(canvas, own, u, left - 0.08, y + side / 2 + (0.06 if u == 0 else 0))
            for x, picture in zip(lefts, [own["way"][-1, u], *own["most"][u], *own["least"][u]], strict=True):
                canvas.picture(to_rgb(picture), x, y, side, side)
            y += side + GAP
        y += BLOCK_GAP
    note = f"{found[models[0].name]['steps'][-1]} steps"
    headline(canvas.figure, f"What excites single units: {shown.title}", small_print(models, note))
    return canvas.figure


def pictures_frames(shown: Shown, display: Display) -> list[Figure]:
    """Return one picture for each noted step: models down, and the images made for their first units across."""
    models, found = measured(shown, "features", same=("steps",))
    units = min(2 * UNITS, *(len(found[m.name]["units"]) for m in models))
    left = MARGIN + max(text_width(m.title, SMALL_SIZE) for m in models) + 0.08
    frames = []
    for f, step in enumerate(found[models[0].name]["steps"]):
        canvas, side, lefts, above = sheet([""] * units, len(models), left=left)
        for row, model in enumerate(models):
            y = above + row * (side + GAP)
            canvas.words(left - 0.08, y + side / 2, model.title, size=SMALL_SIZE, ha="right")
            for u, x in enumerate(lefts):
                canvas.picture(to_rgb(found[model.name]["way"][f, u]), x, y, side, side)
        headline(canvas.figure, f"Step {step}", f"images that excite single units: {shown.title}")
        frames.append(canvas.figure)
    return frames


def _words(canvas: Canvas, own: Arrays, u: int, x: float, y: float) -> None:
    share = float(own["purity"][u])
    said = "silent" if not own["firing"][u] else "–" if math.isnan(share) else f"{100 * share:.0f}% one class"
    canvas.words(x, y - 0.03, f"unit {own['units'][u]}", size=SMALL_SIZE - 1, ha="right")
    canvas.words(x, y + 0.08, said, size=SMALL_SIZE - 1, ha="right", color=FAINT)
