"""What the figures of optimised images share: the arrays of the measured models, and a sheet of square pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.names.models import ModelInfo, seeds_text
from shapelens.plots.canvas import Canvas, fitted
from shapelens.plots.shown import Shown
from shapelens.plots.style import HEADROOM, SMALL_SIZE, WIDTH

MARGIN, GAP = 0.06, 0.04
LARGEST = 0.95
"""Largest side of a picture in inches."""
Arrays = Mapping[str, NDArray[Any]]


def measured(shown: Shown, instrument: str, same: Sequence[str]) -> tuple[list[ModelInfo], dict[str, Arrays]]:
    """Return the models that an instrument measured, in order, and what each left to look at.

    Raises UserError where there are none, and where arrays differ that are to be the ``same`` for all models.
    """
    found: dict[str, Arrays] = dict(shown.arrays(instrument))
    models = [model for model in shown.explained if model.name in found]
    if not models:
        raise UserError(f"{instrument}: no model was measured")
    first = found[models[0].name]
    for model in models:
        if any(not np.array_equal(found[model.name][name], first[name]) for name in same):
            raise UserError(
                f"{instrument}: {model.name} was measured on other images than {models[0].name}; run it again"
            )
    return models, found


def sheet(
    headings: Sequence[str],
    rows: int,
    *,
    beneath: float = 0.0,
    left: float = MARGIN,
    extra: float = 0.0,
    cut: bool = True,
) -> tuple[Canvas, float, list[float], float]:
    """Return a canvas with headings over its columns, the side of a picture, the columns' left ends and the top.

    ``beneath``: inches under each row for a number; ``extra``: inches under all rows; ``cut``: whether a heading keeps
    to its column, where it stands in the middle, or runs on from the column's left end.
    """
    side = min(LARGEST, (WIDTH - left - MARGIN) / len(headings) - GAP)
    top = HEADROOM + (0.3 if any("\n" in heading for heading in headings) else 0.19)
    lefts = [left + c * (side + GAP) for c in range(len(headings))]
    canvas = Canvas(max(lefts[-1] + side + MARGIN, 4.2), top + rows * (side + GAP + beneath) + extra + 0.03)
    for x, heading in zip(lefts, headings, strict=True):
        if cut:
            words = fitted(heading, side + GAP, SMALL_SIZE)
            canvas.words(x + side / 2, top - 0.04, words, size=SMALL_SIZE, ha="center", va="bottom")
        else:
            canvas.words(x, top - 0.04, heading, size=SMALL_SIZE, va="bottom")
    return canvas, side, lefts, top


def small_print(models: Sequence[ModelInfo], note: str) -> str:
    """Return the seed that is shown, and a note."""
    first = [m.model_copy(update={"seeds": m.seeds[:1]}) for m in models]
    return " · ".join(filter(None, [seeds_text(first), note]))
