"""Images made for each class, and the draws that they begin with: Figures 3, 7, 14 and 19 of Boychev (2022)."""

from matplotlib.figure import Figure

from shapelens.names.display import Display
from shapelens.plots.canvas import text_width, to_rgb
from shapelens.plots.optimised import GAP, MARGIN, measured, sheet, small_print
from shapelens.plots.shown import Shown
from shapelens.plots.style import SMALL_SIZE, headline

DRAWS = "Draws"


def pictures(shown: Shown, display: Display) -> Figure:
    """Show what each model made, classes across; the draws first."""
    return _at(shown, -1, f"Images made for a class: {shown.title}")


def pictures_frames(shown: Shown, display: Display) -> list[Figure]:
    """Return one picture for each noted step."""
    models, found = measured(shown, "class_images", same=("classes", "steps"))
    return [_at(shown, f, f"Step {step}: {shown.title}") for f, step in enumerate(found[models[0].name]["steps"])]


def _at(shown: Shown, f: int, title: str) -> Figure:
    models, found = measured(shown, "class_images", same=("classes", "steps"))
    first = found[models[0].name]
    names = shown.class_names()
    left = MARGIN + max(text_width(words, SMALL_SIZE) for words in (DRAWS, *(m.title for m in models))) + 0.08
    canvas, side, lefts, above = sheet([names[label] for label in first["classes"]], 1 + len(models), left=left)
    rows = [(DRAWS, first["way"][0]), *((m.title, found[m.name]["way"][f]) for m in models)]
    for row, (words, images) in enumerate(rows):
        y = above + row * (side + GAP)
        canvas.words(left - 0.08, y + side / 2, words, size=SMALL_SIZE, ha="right")
        for x, image in zip(lefts, images, strict=True):
            canvas.picture(to_rgb(image), x, y, side, side)
    headline(canvas.figure, title, small_print(models, f"{first['steps'][f]} steps"))
    return canvas.figure
