"""How much of each model's attributions lies on the object and on its contour, and whether they point at it."""

from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo, seeds_text
from shapelens.names.words import METHODS, method_title
from shapelens.plots.shown import Shown
from shapelens.plots.style import FAINT, INK, SMALL_SIZE, WIDTH, headline, theme
from shapelens.stats.tidy import UNDEFINED, Point, count_text, points

if TYPE_CHECKING:
    import pandas as pd

PANELS = (
    ("object_share", "object_area", "Share on the object"),
    ("contour_share", "contour_area", "Share on its contour"),
    ("pointing", "object_area", "Pointing game"),
)
"""Metric, what a uniform map would have, and the title of each panel."""
MARKERS = ("o", "s", "D", "^")
ROW, LINE = 0.1, 0.085
"""Height of the gap between two models and of one method's line, in inches."""
Measured = dict[tuple[str, str], Point]
"""Numbers by method and model."""


def on_object(shown: Shown, display: Display) -> Figure:
    """Draw the shares and the pointing game with their intervals, a row for each model and a line for each method.

    A dashed line is what a uniform map would have. Raises UserError where nothing was measured.
    """
    (testset,) = shown.testsets
    frame = shown.means("saliency")
    found = {metric: _measured(frame, metric, testset) for panel in PANELS for metric in panel[:2]}
    methods = [name for name in METHODS if any(name == method for method, _ in found["object_share"])]
    models = [m for m in shown.explained if any((method, m.name) in found["object_share"] for method in methods)]
    if not models:
        raise UserError(f"{shown.job.dataset}: nothing was measured for the figure {shown.job.figure}")
    with theme(display.palette, grid="x") as colors:
        looks = dict(zip(methods, zip(islice(cycle(colors), len(methods)), cycle(MARKERS), strict=False), strict=True))
        height = 1.05 + len(models) * (ROW + len(methods) * LINE)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = list(figure.subplots(1, len(PANELS), sharey=True, squeeze=False)[0])
        for ax, (metric, area, title) in zip(axes, PANELS, strict=True):
            _panel(ax, models, found[metric], looks)
            even = float(np.mean([point.value for point in found[area].values()]))
            ax.axvline(even, color=FAINT, linewidth=0.7, linestyle=(0, (4, 2)), gid=f"even:{metric}", zorder=1)
            ax.set(xlabel=title, xlim=(-0.02, 1.02))
            ax.spines[["top", "right", "left"]].set_visible(False)
        axes[0].set_yticks(range(len(models)), [m.title for m in models])
        axes[0].set_ylim(len(models) - 0.5, -0.5)
        counts = [point.n for point in found["object_share"].values()]
        small = [count_text(counts, "images"), seeds_text(models), f"bars: {100 * shown.job.confidence:g} % intervals"]
        headline(figure, f"Where attributions lie: {shown.title}", " · ".join(filter(None, small)))
        _key(figure, looks)
    return figure


def _measured(frame: "pd.DataFrame", metric: str, testset: str) -> Measured:
    """Return the numbers that are defined, of the mean over seeds."""
    rows = frame[frame["testset"] == testset]
    return {
        (str(method), model): point
        for method, of_method in rows.groupby("method", sort=False)
        for (model, _), point in points(of_method, metric).items()
        if np.isfinite(point.value)
    }


def _panel(
    ax: Axes, models: list[ModelInfo], found: Measured, looks: dict[str, tuple[tuple[float, float, float], str]]
) -> None:
    step = LINE / (ROW + len(looks) * LINE)
    for row, model in enumerate(models):
        for line, (method, (color, marker)) in enumerate(looks.items()):
            point = found.get((method, model.name), UNDEFINED)
            y = row + (line - (len(looks) - 1) / 2) * step
            if np.isfinite(point.low) and np.isfinite(point.high):
                ax.hlines(y, point.low, point.high, color=color, linewidth=1.1, zorder=2)
            ax.plot(
                [point.value],
                [y],
                marker=marker,
                markersize=3.8,
                color=color,
                markeredgecolor="white",
                markeredgewidth=0.4,
                linestyle="none",
                gid=f"measured:{method}:{model.name}",
                zorder=4,
            )


def _key(figure: Figure, looks: dict[str, tuple[tuple[float, float, float], str]]) -> None:
    handles = [
        Line2D([], [], marker=marker, markersize=4, color=color, linestyle="none", label=method_title(method))
        for method, (color, marker) in looks.items()
    ]
    handles.append(Line2D([], [], color=FAINT, linewidth=0.7, linestyle=(0, (4, 2)), label="uniform map"))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=SMALL_SIZE,
        labelcolor=INK,
        handletextpad=0.3,
    )
