"""Saliency maps, images down and models across: Figures 2, 8, 9 and 10, and one sheet per method and test set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shapelens.artefacts.files import verified
from shapelens.attribution.map_numbers import display_map, display_signed
from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo, seeds_text
from shapelens.names.words import METHODS, dataset_title, name_of_testset
from shapelens.plots.canvas import Canvas, text_width, to_rgb
from shapelens.plots.style import HEADROOM, SMALL_SIZE, TEXT_SIZE, WIDTH, headline

ABSOLUTE, SIGNED = "gray_r", "RdBu_r"
"""Colour maps: dark is strong, which also prints; red raises the score and blue lowers it."""
SHEET_INCHES = 6.0
MARGIN, GAP, BLOCK_GAP = 0.06, 0.03, 0.16
LARGEST = 1.1
"""Largest side of a picture in inches."""
SMALLEST_TEXT = 4.5


@dataclass(frozen=True)
class MapSet:
    """The maps of one method on one test set, for several models and the same images."""

    method: str
    testset: str
    images: NDArray[np.int64]
    """Indices of the test images, (I,)."""
    labels: NDArray[np.int64]
    """Their classes, (I,)."""
    maps: dict[str, NDArray[np.float32]]
    """Model name → (I, C, H, W), in units of the class score per unit of pixel."""


def read_maps(paths: Mapping[str, str | Path], method: str, testset: str, limit: int | None = None) -> MapSet:
    """Read one method and test set from each model's map file.

    Args:
        paths: model name → .npz of one seed.
        method: ``grad`` or ``smoothgrad``.
        testset: name of the test set.
        limit: read the first so many images only.

    Raises UserError where a file is not the one that its record names, lacks the method or test set, or shows other
    images than the rest.
    """
    maps: dict[str, NDArray[np.float32]] = {}
    first: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    for model, path in paths.items():
        with np.load(verified(path), allow_pickle=False) as file:
            places = []
            for axis, wanted in (("methods", method), ("testsets", testset)):
                names = [str(name) for name in file[axis]]
                if wanted not in names:
                    raise UserError(f"{path}: no maps of {wanted!r}; this file has {axis} {', '.join(names)}")
                places.append(names.index(wanted))
            images, labels = file["images"][:limit], file["labels"][:limit]
            if first is None:
                first = images, labels
            elif not np.array_equal(first[0], images):
                raise UserError(f"{path}: its images differ from those of {next(iter(maps))}; run the maps again")
            maps[model] = file["maps"][places[0], places[1], :limit]
    if first is None:
        raise UserError(f"no model has maps of {method} on {testset}")
    return MapSet(method, testset, *first, maps)


def figure9(
    maps: MapSet, pictures: NDArray[Any], models: Sequence[ModelInfo], display: Display, dataset: str
) -> Figure:
    """Show the SmoothGrad maps of all models on clean images (Figure 9); arguments as for ``saliency_sheet``."""
    return saliency_sheet(maps, pictures, models, display, dataset)


def figure10(
    maps: MapSet, pictures: NDArray[Any], models: Sequence[ModelInfo], display: Display, dataset: str
) -> Figure:
    """Show the Grad maps of all models on clean images (Figure 10); arguments as for ``saliency_sheet``."""
    return saliency_sheet(maps, pictures, models, display, dataset)


def saliency_sheet(
    maps: MapSet, pictures: NDArray[Any], models: Sequence[ModelInfo], display: Display, dataset: str
) -> Figure:
    """Show maps, images down and models across, the image itself first.

    Args:
        maps: maps of one method on one test set.
        pictures: the images of that test set that the maps belong to, in the same order, (I, C, H, W).
        models: the grid; models without maps are left out.
        display: ``signed`` draws signed maps instead of absolute values.
        dataset: name of the dataset.

    Absolute maps are clipped at their 99th percentile, each on its own scale (``attribution.measures.display_map``).
    Returns a figure that ``save_figure(…, max_width=SHEET_WIDTH)`` keeps to 1200 pixels. Raises UserError where
    pictures and maps do not fit together.
    """
    shown = [m for m in models if m.name in maps.maps]
    what = METHODS.get(maps.method, maps.method)
    figure = _blocks([(maps, pictures)], shown, display, SHEET_INCHES, block_titles=False)
    headline(
        figure,
        f"{what} maps, {name_of_testset(maps.testset)}: {dataset_title(dataset)}",
        _small_print(len(maps.images), shown, display),
    )
    return figure


def figure2(
    blocks: Sequence[tuple[MapSet, NDArray[Any]]], models: Sequence[ModelInfo], display: Display, dataset: str
) -> Figure:
    """Show the maps of a few models on original and transformed images, side by side (Figure 2 of the paper).

    Args:
        blocks: (maps, pictures) of each test set from left to right: original, saturated, stylised; the same images.
        models: the models to show, such as ``exemplars(grid)``: standard, underfit, the strongest PGD-ℓ∞.
        display: as for ``saliency_sheet``.
        dataset: name of the dataset.
    """
    shown = [m for m in models if all(m.name in maps.maps for maps, _ in blocks)]
    figure = _blocks(blocks, shown, display, WIDTH, block_titles=True)
    what = METHODS.get(blocks[0][0].method, blocks[0][0].method)
    headline(figure, f"{what} maps: {dataset_title(dataset)}", _small_print(len(blocks[0][0].images), shown, display))
    return figure


def figure8(
    blocks: Sequence[tuple[MapSet, NDArray[Any]]], models: Sequence[ModelInfo], display: Display, dataset: str
) -> Figure:
    """Show the maps of standard, PGD and spatial training side by side (Figure 8); arguments as for ``figure2``.

    ``models`` are those of ``opposites(grid)``.
    """
    return figure2(blocks, models, display, dataset)


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
                x + side / 2, top - 0.04, _fitted(heading, side + GAP, size), size=size, ha="center", va="bottom"
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


def _fitted(text: str, width: float, size: float) -> str:
    """Cut each line of a heading that is wider than its column."""
    lines = []
    for line in text.split("\n"):
        fits = line
        while len(fits) > 2 and text_width(fits, size) > width * 1.08:
            fits = fits[:-2] + "…"
        lines.append(fits)
    return "\n".join(lines)
