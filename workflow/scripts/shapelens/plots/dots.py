"""Dots with intervals, one row per model: robustness, Fourier filters, shape bias."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo, seeds_text
from shapelens.names.words import dataset_title
from shapelens.plots.style import FAINT, INK, SMALL_SIZE, WIDTH, Look, headline, looks, theme
from shapelens.stats.tidy import UNDEFINED, Point, count_text, cue_set, dataset_of, points, seeds_of

if TYPE_CHECKING:
    import pandas as pd

SHAPE_PANELS = (("conflict", "Conflict as drawn"), ("cue-conflict", "Conflict by stylisation"))
"""Sets on which shape bias is measured, as readers see them."""
SHAPE_AXIS = "Shape bias  (0 = texture, 1 = shape)"
ROW = 0.2
"""Height of a model's row in inches."""
Rows = Mapping[str, Point]


def robustness(
    accuracy: "pd.DataFrame", models: Sequence[ModelInfo], display: Display, *, confidence: float = 0.95
) -> Figure:
    """Draw clean accuracy and accuracy under attack side by side, one row per model (Table 1 as a figure).

    Args:
        accuracy: tidy measurements of one dataset (accuracy.csv).
        models: the grid, in the order of the rows.
        display: palette and whether published values are drawn, as open diamonds.
        confidence: coverage of the intervals in ``accuracy``, for the small print.

    Raises UserError where no model's robust accuracy was measured.
    """
    panels = [
        ("Clean accuracy (%)", *_rows(accuracy, "accuracy", "clean")),
        ("Robust accuracy (%)", *_rows(accuracy, "robust_accuracy", "clean")),
    ]
    return _dots(accuracy, models, display, panels, "Clean and robust accuracy", "test images", confidence)


def fourier(
    accuracy: "pd.DataFrame", models: Sequence[ModelInfo], display: Display, *, confidence: float = 0.95
) -> Figure:
    """Draw accuracy on correctly classified images under the three Fourier filters (Table 3 as a figure).

    Arguments are those of ``robustness``; filters that were not measured are left out. Raises UserError without any.
    """
    panels = [
        (title, *_rows(accuracy, "accuracy_on_correct", testset))
        for testset, title in (
            ("low-pass", "Low pass (%)"),
            ("high-pass", "High pass (%)"),
            ("random-filter", "Random filter (%)"),
        )
    ]
    return _dots(
        accuracy,
        models,
        display,
        [panel for panel in panels if panel[1]],
        "Accuracy on correctly classified, Fourier-filtered",
        "correctly classified images",
        confidence,
    )


def shape_bias(
    accuracy: "pd.DataFrame", models: Sequence[ModelInfo], display: Display, *, confidence: float = 0.95
) -> Figure:
    """Draw the share of decisions for the shape where shape and texture conflict, from 0 (texture) to 1 (shape).

    One panel for the drawn conflict set and one for the stylised one; a study may have either or both.

    Args:
        accuracy: tidy measurements of one dataset (accuracy.csv), rows of metric ``shape_bias``.
        models: the grid in the order of the rows; calibration models are read on their own conflict set.
        display: palette.
        confidence: coverage of the intervals in ``accuracy``, for the small print.

    Raises UserError where no shape bias was measured.
    """
    panels = [(f"{name}\n{SHAPE_AXIS}", *_shape_rows(accuracy, models, base)) for base, name in SHAPE_PANELS]
    return _dots(
        accuracy,
        models,
        display,
        [panel for panel in panels if panel[1]],
        "Shape bias where cues conflict",
        "decisions for either cue",
        confidence,
        percent=False,
    )


def _shape_rows(accuracy: "pd.DataFrame", models: Sequence[ModelInfo], base: str) -> tuple[Rows, dict[str, Rows]]:
    mean = points(accuracy, "shape_bias")
    single = {seed: points(accuracy, "shape_bias", seed) for seed in seeds_of(accuracy)}
    chosen = {
        model.name: cue_set(model, base, [testset for name, testset in mean if name == model.name]) for model in models
    }

    def pick(table: dict[tuple[str, str], Point]) -> Rows:
        return {name: table[name, testset] for name, testset in chosen.items() if (name, testset) in table}

    return pick(mean), {seed: pick(table) for seed, table in single.items()}


def _rows(accuracy: "pd.DataFrame", metric: str, testset: str) -> tuple[Rows, dict[str, Rows]]:
    def pick(seed: str) -> Rows:
        return {name: p for (name, where), p in points(accuracy, metric, seed).items() if where == testset}

    return pick("mean"), {seed: pick(seed) for seed in seeds_of(accuracy)}


def _dots(
    accuracy: "pd.DataFrame",
    models: Sequence[ModelInfo],
    display: Display,
    panels: Sequence[tuple[str, Rows, dict[str, Rows]]],
    title: str,
    counted: str,
    confidence: float,
    *,
    percent: bool = True,
) -> Figure:
    """Draw one panel per (title, mean over seeds, single seeds), models from top to bottom."""
    dataset = dataset_of(accuracy)
    shown = [m for m in models if any(m.name in mean for _, mean, _ in panels)]
    if not shown or not all(mean for _, mean, _ in panels):
        raise UserError(f"{dataset}: nothing was measured for the figure {title!r}")
    scale = 100.0 if percent else 1.0
    with theme(display.palette, grid="x") as colors:
        height = 0.42 + 0.55 + ROW * len(shown) + 0.2
        figure = Figure(figsize=(WIDTH if len(panels) > 1 else 0.75 * WIDTH, height), layout="constrained")
        figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr, call-arg]
        axes = list(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0])
        styles = looks(shown, colors)
        has_published = False
        for ax, (name, mean, single) in zip(axes, panels, strict=True):
            for row, model in enumerate(shown):
                point = mean.get(model.name, UNDEFINED)
                seeds = [rows[model.name].value for rows in single.values() if model.name in rows]
                published = point.published if display.published else float("nan")
                has_published |= bool(np.isfinite(published))
                _row(ax, row, point, seeds if len(seeds) > 1 else [], published, styles[model.name], scale, model.name)
            ax.set(xlim=(-0.02 * scale, 1.02 * scale), xlabel=name)
            ax.spines[["top", "right", "left"]].set_visible(False)
        axes[0].set_yticks(range(len(shown)), [m.title for m in shown])
        axes[0].set_ylim(len(shown) - 0.4, -0.6)
        _separate(axes, shown)
        if not percent:
            for ax in axes:
                ax.axvline(0.5, color=FAINT, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
        counts = [mean.get(m.name, UNDEFINED).n for m in shown for _, mean, _ in panels]
        small = [count_text(counts, counted), seeds_text(shown), f"bars: {100 * confidence:g} % intervals"]
        headline(figure, f"{title}: {dataset_title(dataset)}", " · ".join(filter(None, small)))
        _key(figure, any(len(single) > 1 for _, _, single in panels), has_published)
    return figure


def _row(
    ax: Axes,
    row: int,
    point: Point,
    seeds: Sequence[float],
    published: float,
    look: Look,
    scale: float,
    name: str,
) -> None:
    """Draw one model's mean with interval, its single seeds as ticks and the published value as a diamond beneath."""
    if np.isfinite(point.low) and np.isfinite(point.high):
        ax.hlines(row, scale * point.low, scale * point.high, color=look.color, linewidth=1.4, zorder=2)
    ax.plot(
        [scale * point.value],
        [row],
        marker=look.marker,
        markersize=look.size + 1,
        color=look.color,
        markeredgecolor="white",
        markeredgewidth=0.4,
        linestyle="none",
        gid=f"measured:{name}",
        zorder=4,
    )
    if seeds:
        at = scale * np.asarray(seeds)
        ax.plot(
            at,
            [row] * len(at),
            marker="|",
            markersize=8,
            markeredgewidth=0.7,
            color=look.color,
            linestyle="none",
            zorder=3,
        )
    ax.plot(
        [scale * published],
        [row + 0.3],
        marker="d",
        markersize=3.6,
        markerfacecolor="none",
        markeredgecolor=INK,
        markeredgewidth=0.7,
        linestyle="none",
        gid=f"published:{name}",
        zorder=5,
    )


def _separate(axes: Sequence[Axes], models: Sequence[ModelInfo]) -> None:
    """Draw a faint line between families."""
    for row in range(1, len(models)):
        if models[row].family != models[row - 1].family:
            for ax in axes:
                ax.axhline(row - 0.5, color="#dddddd", linewidth=0.5, zorder=0)


def _key(figure: Figure, has_seeds: bool, has_published: bool) -> None:
    """Explain ticks and diamonds, at the top right."""
    handles = []
    if has_seeds:
        handles.append(
            Line2D(
                [],
                [],
                marker="|",
                markersize=7,
                markeredgewidth=0.7,
                color=FAINT,
                linestyle="none",
                label="single seeds",
            )
        )
    if has_published:
        handles.append(
            Line2D(
                [],
                [],
                marker="d",
                markersize=3.6,
                markerfacecolor="none",
                markeredgecolor=INK,
                markeredgewidth=0.7,
                linestyle="none",
                label="Zhang & Zhu 2019",
            )
        )
    if handles:
        figure.legend(
            handles=handles,
            loc="upper right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=len(handles),
            frameon=False,
            fontsize=SMALL_SIZE,
            handletextpad=0.2,
        ).set_in_layout(False)
