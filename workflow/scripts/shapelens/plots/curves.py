"""Accuracy against the level of a transformation, one line per model (Figures 5 and 7)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import FAMILIES, ModelInfo, seeds_text
from shapelens.names.words import dataset_title
from shapelens.plots.style import FAINT, INK, WIDTH, Look, by_family, headline, looks, theme
from shapelens.stats.tidy import UNDEFINED, Point, clean_counts, count_text, dataset_of, level, levels_of, points

if TYPE_CHECKING:
    import pandas as pd

METRIC = "accuracy_on_correct"
SPREAD = 0.013
"""Half the width over which points and bars at one level are spread sideways, as a share of the axis."""


def figure5(
    accuracy: "pd.DataFrame", models: Sequence[ModelInfo], display: Display, *, confidence: float = 0.95
) -> Figure:
    """Draw accuracy on correctly classified images against the saturation level (Figure 5 of the paper).

    Args:
        accuracy: tidy measurements of one dataset (accuracy.csv); rows of the mean over seeds are drawn.
        models: the grid, in the order of the legend.
        display: palette and whether published curves are drawn, faint and dashed.
        confidence: coverage of the intervals in ``accuracy``, for the small print.

    Returns a figure with one line per model. Undefined values leave gaps. Raises UserError without saturation levels.
    """
    return _curves(
        accuracy,
        models,
        display,
        confidence=confidence,
        prefix="saturation-",
        identity=2.0,
        title="Saturated images",
        axis="Saturation level p  (2 = original image; larger: binarised)",
    )


def figure7(
    accuracy: "pd.DataFrame", models: Sequence[ModelInfo], display: Display, *, confidence: float = 0.95
) -> Figure:
    """Draw accuracy on correctly classified images against patches per side (Figure 7 of the paper).

    Arguments, result and errors are those of ``figure5``.
    """
    return _curves(
        accuracy,
        models,
        display,
        confidence=confidence,
        prefix="patch-shuffle-",
        identity=1.0,
        title="Patch-shuffled images",
        axis="Patches per side k  (1 = original image; larger: more shuffled)",
    )


def _curves(
    accuracy: "pd.DataFrame",
    models: Sequence[ModelInfo],
    display: Display,
    *,
    confidence: float,
    prefix: str,
    identity: float,
    title: str,
    axis: str,
) -> Figure:
    dataset = dataset_of(accuracy)
    measured = points(accuracy, METRIC)
    levels = {level(name, prefix): name for name in levels_of(accuracy, prefix)}
    if not levels:
        raise UserError(f"{dataset}: no test set is called {prefix}…, so there is no curve to draw")
    xs = sorted({*levels, identity})
    shown = [m for m in models if any((m.name, name) in measured for name in levels.values())]

    def series(name: str) -> list[Point]:
        # The unchanged image keeps every correct answer, by definition.
        clean = Point(1.0, float("nan"), float("nan"), float("nan"), 1.0)
        return [measured.get((name, levels[x]), UNDEFINED) if x in levels else clean for x in xs]

    with theme(display.palette) as colors:
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        axes = figure.add_subplot()
        styles = looks(shown, colors)
        span = float(np.log2(xs[-1] / xs[0]))
        offsets = np.linspace(-SPREAD, SPREAD, len(shown)) * span if len(shown) > 1 else np.zeros(1)
        axes.axvline(identity, color=FAINT, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
        has_published = False
        for model, offset in zip(shown, offsets, strict=True):
            data = series(model.name)
            at = np.asarray([x if x == identity else x * 2.0**offset for x in xs])
            _line(axes, at, data, styles[model.name], model.name)
            known = [p.published for p, x in zip(data, xs, strict=True) if x in levels]
            if display.published and not np.all(np.isnan(known)):
                has_published = True
                axes.plot(
                    xs,
                    [100 * p.published for p in data],
                    color=styles[model.name].color,
                    linewidth=0.6,
                    linestyle=(0, (4, 2)),
                    alpha=0.5,
                    gid=f"published:{model.name}",
                    zorder=1,
                )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(xs))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(ylim=(0, 102), xlabel=axis, ylabel="Accuracy on correctly classified (%)")
        axes.spines[["top", "right"]].set_visible(False)
        model_legend(axes, shown, styles, has_published)
        parts = [count_text(clean_counts(accuracy, [m.name for m in shown]), "test images"), seeds_text(shown)]
        headline(
            figure,
            f"{title}: {dataset_title(dataset)}",
            " · ".join([*filter(None, parts), f"bars: {100 * confidence:g} % intervals"]),
        )
    return figure


def _line(axes: Axes, at: np.ndarray, data: Sequence[Point], look: Look, name: str) -> None:
    """Draw one model; matplotlib breaks lines at NaN, where seaborn's lineplot would bridge them."""
    value, low, high = (100 * np.asarray([getattr(p, key) for p in data]) for key in ("value", "low", "high"))
    axes.plot(
        at,
        value,
        color=look.color,
        linewidth=look.width,
        marker=look.marker,
        markersize=look.size,
        markeredgecolor="white",
        markeredgewidth=0.4,
        gid=f"measured:{name}",
        zorder=3,
    )
    bars = np.isfinite(low) & np.isfinite(high)
    axes.vlines(at[bars], low[bars], high[bars], color=look.color, linewidth=0.8, zorder=2)


def model_legend(axes: Axes, models: Sequence[ModelInfo], styles: dict[str, Look], has_published: bool = False) -> None:
    """List the models beside the axes, under the name of their family where it has several."""
    handles: list[Line2D] = []
    headings = []
    for family, members in by_family(models).items():
        if len(members) > 1:
            headings.append(len(handles))
            handles.append(Line2D([], [], linestyle="none", label=FAMILIES[family]))
        for model in members:
            look = styles[model.name]
            label = model.title.removeprefix(FAMILIES[family]).strip() if len(members) > 1 else model.title
            if len(members) > 1 and label != model.title and model.eps is not None:
                label = f"ε = {label}"
            handles.append(
                Line2D(
                    [],
                    [],
                    color=look.color,
                    linewidth=look.width,
                    marker=look.marker,
                    markersize=look.size,
                    markeredgecolor="white",
                    markeredgewidth=0.4,
                    label=label,
                )
            )
    if has_published:
        headings.append(len(handles))
        handles.append(Line2D([], [], linestyle="none", label="Zhang & Zhu 2019"))
        handles.append(Line2D([], [], color=INK, linewidth=0.6, linestyle=(0, (4, 2)), alpha=0.6, label="published"))
    legend = axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        frameon=False,
        handlelength=2.2,
        labelspacing=0.35,
    )
    for index in headings:
        legend.get_texts()[index].set_fontweight("bold")
