"""Shape bias by class where cues conflict, one marker per model (in the manner of Geirhos et al. 2019, Figure 4)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo, seeds_text
from shapelens.names.words import shape_panels
from shapelens.plots.legend import model_legend
from shapelens.plots.shown import Shown
from shapelens.plots.style import FAINT, WIDTH, Look, by_family, headline, looks, theme
from shapelens.stats.tidy import MEAN, UNDEFINED, Point, count_text, points

if TYPE_CHECKING:
    import pandas as pd

MOST_CLASSES = 40
"""With more classes only the share over all of them is drawn."""
ALL = "All classes"
ROW, ALL_ROW, LEGEND_LINE = 0.34, 0.09, 0.125
"""Height of a class's row, of each model in the row of all classes, and of a line of the legend, in inches."""
FILLED = 0.78
"""Share of a row over which its models are spread."""
Rows = Mapping[str, Mapping[str, Point]]
"""Points by row and model."""


def cue_conflict(shown: Shown, display: Display) -> Figure:
    """Draw the share of decisions for the shape, of each class of shapes and of all: 0 is texture, 1 shape.

    Rows of the mean over seeds are drawn: all classes from ``shown.accuracy``, single ones from ``shown.per_class``;
    models that were not measured are left out. Returns a figure with a panel for each conflict set that was measured.
    Undefined shares leave gaps. Raises UserError where no shape bias was measured.
    """
    overall = points(shown.accuracy, "shape_bias")
    classes = list(dict.fromkeys(shown.per_class["class"]))
    panels = [
        (name, _rows(overall, shown.per_class, classes, testset)) for testset, name in shape_panels(shown.testsets)
    ]
    panels = [(name, rows) for name, rows in panels if rows[ALL]]
    # From top to bottom as in the legend.
    ordered = [model for family in by_family(shown.explained).values() for model in family]
    models = [model for model in ordered if any(model.name in rows[ALL] for _, rows in panels)]
    if not models:
        raise UserError(f"{shown.job.dataset}: no shape bias was measured, so there is nothing to draw")
    rest = ROW * (len(panels[0][1]) - 1)
    legend = LEGEND_LINE * (len(models) + len(by_family(models)))
    heights = np.array([max(ALL_ROW * max(len(models), 3), legend - rest), *[ROW] * (len(panels[0][1]) - 1)])
    with theme(display.palette, grid="x") as colors:
        figure = Figure(figsize=(WIDTH, 0.42 + 0.55 + float(heights.sum())), layout="constrained")
        axes = list(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0])
        styles = looks(models, colors)
        for ax, (name, rows) in zip(axes, panels, strict=True):
            _panel(ax, rows, heights, models, styles)
            ax.set(xlim=(-0.02, 1.02), xlabel=shown.scale_title(name, rows[ALL]))
        ends = np.cumsum(heights)
        axes[0].set_yticks(ends - heights / 2, list(panels[0][1]))
        axes[0].get_yticklabels()[0].set_fontweight("bold")
        axes[0].set_ylim(float(ends[-1]), 0.0)
        model_legend(axes[-1], models, styles)
        counts = [rows[ALL].get(model.name, UNDEFINED).n for model in models for _, rows in panels]
        small = [count_text(counts, "decisions for either cue"), seeds_text(models)]
        small.append(f"bars: {100 * shown.job.confidence:g} % intervals")
        if len(classes) > MOST_CLASSES:
            small.append(f"{len(classes)} classes, not drawn one by one")
        headline(
            figure,
            f"Shape bias by class of the shape: {shown.title}",
            " · ".join(filter(None, small)),
        )
    return figure


def _rows(
    overall: Mapping[tuple[str, str], Point], per_class: "pd.DataFrame", classes: Sequence[str], testset: str
) -> Rows:
    """Return the points of one test set: all classes first, then each, unless they are too many."""
    rows = {ALL: {model: point for (model, name), point in overall.items() if name == testset}}
    if len(classes) > MOST_CLASSES:
        return rows
    means = per_class[(per_class["testset"] == testset) & (per_class["seed"].astype(str) == MEAN)]
    for label in classes:
        own = means[means["class"] == label]
        values = own[["value", "low", "high", "n"]].to_numpy(float)
        rows[str(label)] = {
            str(model): Point(*map(float, (*numbers, "nan")))
            for model, numbers in zip(own["model"], values, strict=True)
        }
    return rows


def _panel(ax: Axes, rows: Rows, heights: np.ndarray, models: Sequence[ModelInfo], styles: Mapping[str, Look]) -> None:
    """Draw the rows of one test set, the models of each spread over its height."""
    ends = np.cumsum(heights)
    spread = np.linspace(-FILLED / 2, FILLED / 2, len(models)) if len(models) > 1 else np.zeros(1)
    for place, (label, row) in enumerate(rows.items()):
        height, middle = heights[place], ends[place] - heights[place] / 2
        if place % 2:
            ax.axhspan(ends[place - 1], ends[place], color="#f3f3f3", linewidth=0, zorder=0)
        for model, offset in zip(models, spread, strict=True):
            point, look, y = row.get(model.name, UNDEFINED), styles[model.name], middle + offset * height
            if np.isfinite(point.low) and np.isfinite(point.high):
                strong = label == ALL
                ax.hlines(
                    y,
                    point.low,
                    point.high,
                    color=look.color,
                    linewidth=1.1 if strong else 0.7,
                    alpha=1.0 if strong else 0.4,
                    zorder=2,
                )
            ax.plot(
                [point.value],
                [y],
                marker=look.marker,
                markersize=look.size,
                color=look.color,
                markeredgecolor="white",
                markeredgewidth=0.4,
                linestyle="none",
                gid=f"measured:{label}:{model.name}",
                zorder=3,
            )
    ax.axhline(ends[0], color=FAINT, linewidth=0.6, zorder=1)
    ax.axvline(0.5, color=FAINT, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
