"""Attributions laid over their images, as Boychev 2022 draws them: images down, methods and models across."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb as color_of
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shapelens.attribution.map_numbers import LUMINANCE
from shapelens.attribution.saved_maps import MapSet
from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo, exemplars, seeds_text
from shapelens.names.words import method_title
from shapelens.plots.canvas import Canvas, text_width, to_rgb
from shapelens.plots.shown import Shown
from shapelens.plots.spec import Overlays
from shapelens.plots.style import FAINT, HEADROOM, SMALL_SIZE, TEXT_SIZE, WIDTH, headline

PERCENTILE = 99.9
"""Percentile of the magnitude at which a map is clipped, as in the paper."""
SIGNED = ("expected-gradients",)
"""Methods whose sign is drawn, as SHAP draws them; of others the magnitude."""
RAISES, LOWERS = "#d6234a", "#2166ac"
FADED = 0.35
"""Contrast that is left of an image under its map."""
MARGIN, GAP, BLOCK_GAP, NUMBER = 0.06, 0.03, 0.14, 0.11
LARGEST = 1.0
"""Largest side of a picture in inches."""
SMALLEST_TEXT = 4.5


def overlays(shown: Shown, display: Display) -> Figure:
    """Lay the maps of one or several methods over the first images, each with its completeness gap beneath.

    ``spec.Overlays`` has the options. Every map is clipped at its own 99.9th percentile. Models without maps are left
    out. Raises UserError where no model has maps, or maps and pictures are not of the same images.
    """
    told = Overlays.model_validate(shown.job.options)
    (testset,) = shown.testsets
    pictures = shown.pictures(testset)[: told.images]
    sets = [shown.maps(method, testset) for method in told.methods]
    few = exemplars(shown.explained) if told.exemplars else shown.explained
    models = [model for model in few if all(model.name in maps.maps for maps in sets)]
    if not models:
        raise UserError("no model of the grid has attributions on this test set")
    if any(len(maps.images[: told.images]) != len(pictures) for maps in sets):
        raise UserError("saliency: the maps and pictures are not of the same images; run the maps again")
    figure = _draw(pictures, sets, models)
    headline(figure, f"{' and '.join(map(method_title, told.methods))}: {shown.title}", _small_print(shown, models))
    return figure


def _small_print(shown: Shown, models: Sequence[ModelInfo]) -> str:
    first = [model.model_copy(update={"seeds": model.seeds[:1]}) for model in models]
    return " · ".join(filter(None, [seeds_text(first), "beneath each map: by how much it fails to add up"]))


def _draw(pictures: NDArray[np.float32], sets: Sequence[MapSet], models: Sequence[ModelInfo]) -> Figure:
    columns = 1 + len(models) * len(sets)
    side = min(LARGEST, (WIDTH - 2 * MARGIN - len(sets) * BLOCK_GAP) / columns - GAP)
    tall = side * pictures.shape[-2] / pictures.shape[-1]
    headings = [m.title if text_width(m.title, SMALL_SIZE) < side else m.heading for m in models]
    size = min(SMALL_SIZE, *(SMALL_SIZE * (side + GAP) / text_width(heading, SMALL_SIZE) for heading in headings))
    size = max(size, SMALLEST_TEXT)
    top = HEADROOM + 0.17 + (0.28 if any("\n" in heading for heading in headings) else 0.17)
    used = 2 * MARGIN + columns * (side + GAP) + len(sets) * BLOCK_GAP
    canvas = Canvas(max(used, 4.2), top + len(pictures) * (tall + GAP + NUMBER) + 0.03)
    canvas.words(MARGIN + side / 2, top - 0.04, "Image", size=size, ha="center", va="bottom")
    places = [top + row * (tall + GAP + NUMBER) for row in range(len(pictures))]
    for image, y in zip(pictures, places, strict=True):
        canvas.picture(to_rgb(image), MARGIN, y, side, tall)
    x = MARGIN + side + GAP
    for maps in sets:
        x += BLOCK_GAP
        middle = x + (len(models) * (side + GAP) - GAP) / 2
        canvas.words(middle, HEADROOM + 0.08, method_title(maps.method), size=TEXT_SIZE, ha="center", weight="bold")
        for model, heading in zip(models, headings, strict=True):
            canvas.words(x + side / 2, top - 0.04, heading, size=size, ha="center", va="bottom")
            for row, y in enumerate(places):
                _one(canvas, maps, model.name, row, pictures[row], (x, y, side, tall))
            x += side + GAP
    return canvas.figure


def _one(
    canvas: Canvas, maps: MapSet, model: str, row: int, image: NDArray[Any], place: tuple[float, float, float, float]
) -> None:
    x, y, side, tall = place
    raw = maps.maps[model][row]
    if not np.all(np.isfinite(raw)) or not raw.any():
        canvas.bar(x, y, side, tall, edge="#bbbbbb")
        canvas.words(x + side / 2, y + tall / 2, "undefined", size=SMALLEST_TEXT, ha="center")
    else:
        canvas.picture(overlay(image, raw, signed=maps.method in SIGNED), x, y, side, tall, frame=True)
    said = gap_text(maps.gaps[model][row], maps.gap_errors[model][row])
    canvas.words(x + side / 2, y + tall + NUMBER / 2, said, size=SMALLEST_TEXT, color=FAINT, ha="center")


def gap_text(gap: float, error: float) -> str:
    """Return a completeness gap and its standard error as printed; nothing of what is not stated."""
    if not np.isfinite(gap):
        return ""
    return f"{gap:.2g}" + (f" ± {error:.1g}" if np.isfinite(error) else "")


def overlay(image: NDArray[Any], raw: NDArray[np.floating], *, signed: bool) -> NDArray[np.float64]:
    """Lay one map (C, H, W) over its image, faded to light grey; (H, W, 3) in [0, 1].

    The map is the mean over channels, of its magnitude or, if signed, of its values: red raises the score, blue lowers
    it. What reaches the 99.9th percentile of the magnitude covers the image wholly. The image may be of another size.
    """
    values = raw.astype(np.float64) if signed else np.abs(raw.astype(np.float64))
    values = values.mean(axis=0)
    ceiling = float(np.percentile(np.abs(values), PERCENTILE)) or float(np.abs(values).max()) or 1.0
    strength = np.clip(np.abs(values) / ceiling, 0, 1)[..., None]
    colors = np.where(values[..., None] < 0, color_of(LOWERS), color_of(RAISES))
    grey = _resized(to_rgb(image) @ np.array(LUMINANCE), values.shape)[..., None]
    result: NDArray[np.float64] = (1 - strength) * (1 - FADED * (1 - grey)) + strength * colors
    return result


def _resized(grey: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.floating]:
    """Return a grey image at the size of its map, by nearest neighbours."""
    rows, columns = (np.arange(to) * of // to for to, of in zip(shape, grey.shape, strict=True))
    return grey[np.ix_(rows, columns)]
