"""Dots with intervals, one row per model: any metric of an instrument, robustness, shape bias."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo, seeds_text
from shapelens.names.words import shape_panels, title_of_testset
from shapelens.plots.shown import Shown
from shapelens.plots.spec import ByModel
from shapelens.plots.style import FAINT, INK, SMALL_SIZE, WIDTH, Look, draw_mean, draw_seeds, headline, looks, theme
from shapelens.stats.tidy import KEYS, NUMBERS, UNDEFINED, Point, count_text, points, seeds_of

if TYPE_CHECKING:
    import pandas as pd

ROW = 0.2
"""Height of a model's row in inches."""
Rows = Mapping[str, Point]
Panel = tuple[str, Rows, dict[str, Rows]]
"""Label of the axis, the mean over seeds, and single seeds."""


def by_model(shown: Shown, display: Display) -> Figure:
    """Draw one metric with its intervals, one row per model and one panel per test set.

    ``spec.ByModel`` has the options. The numbers are those of the one table of tidy means that the figure needs: an
    instrument's, or accuracy.csv. Test sets on which the metric was not measured are left out. Raises UserError where
    there are none, and where several rows of the table are of one model, seed and test set.
    """
    told = ByModel.model_validate(shown.job.options)
    frame = _chosen(shown, told)
    panels = []
    for testset in shown.testsets:
        label = title_of_testset(testset) + (" (%)" if told.percent else "")
        panels.append((f"{label}\n{told.axis}".strip(), *_rows(frame, told.metric, testset)))
    return _dots(
        shown,
        shown.explained,
        display,
        [panel for panel in panels if panel[1]],
        told.title,
        told.counted,
        scale=100.0 if told.percent else 1.0,
        ends=(0.0, 1.0) if told.percent else None,
    )


def robustness(shown: Shown, display: Display) -> Figure:
    """Draw clean accuracy and accuracy under attack side by side, one row per model (Table 1 as a figure).

    Published values are open diamonds where ``display`` wants them. Raises UserError where no model's robust accuracy
    was measured.
    """
    panels = [
        ("Clean accuracy (%)", *_rows(shown.accuracy, "accuracy", "clean")),
        ("Robust accuracy (%)", *_rows(shown.accuracy, "robust_accuracy", "clean")),
    ]
    return _dots(shown, shown.explained, display, panels, "Clean and robust accuracy", "test images")


def shape_bias(shown: Shown, display: Display) -> Figure:
    """Draw the share of decisions for the shape where shape and texture conflict, from 0 (texture) to 1 (shape).

    One panel for each conflict set of the study, with the two rulers as ends of its scale; a set on which nothing can
    be read shows these alone and says so. Raises UserError where no shape bias was measured.
    """
    panels = [
        (shown.scale_title(name, rows), rows, single)
        for testset, name in shape_panels(shown.testsets)
        for rows, single in [_rows(shown.accuracy, "shape_bias", testset)]
    ]
    return _dots(
        shown,
        shown.models,
        display,
        [panel for panel in panels if panel[1]],
        "Shape bias where cues conflict",
        "decisions for either cue",
        scale=1.0,
        middle=0.5,
    )


def _chosen(shown: Shown, told: ByModel) -> "pd.DataFrame":
    """Return the rows to draw: one of each model, seed and test set."""
    frame = shown.tidy()
    figure = f"figure {shown.job.figure}"
    for column, value in told.where.items():
        if column not in frame.columns:
            raise UserError(f"{figure}: its table has no column {column}; it has {', '.join(frame.columns)}")
        frame = frame[frame[column].astype(str) == value]
    rows = frame[(frame["metric"] == told.metric) & frame["testset"].isin(shown.testsets)]
    keys = ["model", "seed", "testset"]
    if rows.duplicated(keys).any():
        others = [c for c in rows.columns if c not in (*KEYS, *NUMBERS) and len(set(rows[c].astype(str))) > 1]
        raise UserError(
            f"{figure}: its table has several rows of {told.metric} for one model and test set; choose among them by "
            f"options.where, by {', '.join(others) or 'a column that tells them apart'}"
        )
    return rows


def _rows(accuracy: "pd.DataFrame", metric: str, testset: str) -> tuple[Rows, dict[str, Rows]]:
    def pick(seed: str) -> Rows:
        return {name: p for (name, where), p in points(accuracy, metric, seed).items() if where == testset}

    return pick("mean"), {seed: pick(seed) for seed in seeds_of(accuracy)}


def _dots(
    shown: Shown,
    models: Sequence[ModelInfo],
    display: Display,
    panels: Sequence[Panel],
    title: str,
    counted: str,
    *,
    scale: float = 100.0,
    ends: tuple[float, float] | None = (0.0, 1.0),
    middle: float | None = None,
) -> Figure:
    """Draw the panels side by side, models from top to bottom.

    ``scale`` turns values into what the axis shows; ``ends``: smallest and largest value, None where the numbers
    decide; ``middle``: a value to be marked by a line.
    """
    models = [m for m in models if any(m.name in mean for _, mean, _ in panels)]
    if not models or not all(mean for _, mean, _ in panels):
        raise UserError(f"{shown.job.dataset}: nothing was measured for the figure {title!r}")
    with theme(display.palette, grid="x") as colors:
        height = 0.42 + 0.55 + ROW * len(models) + 0.2
        figure = Figure(figsize=(WIDTH if len(panels) > 1 else 0.75 * WIDTH, height), layout="constrained")
        figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr, call-arg]
        axes = list(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0])
        styles = looks(models, colors)
        has_published = False
        for ax, (name, mean, single) in zip(axes, panels, strict=True):
            for row, model in enumerate(models):
                point = mean.get(model.name, UNDEFINED)
                seeds = [rows[model.name].value for rows in single.values() if model.name in rows]
                published = point.published if display.published else float("nan")
                has_published |= bool(np.isfinite(published))
                _row(ax, row, point, seeds if len(seeds) > 1 else [], published, styles[model.name], scale, model.name)
            ax.set(xlabel=name)
            if ends is not None:
                room = 0.02 * (ends[1] - ends[0])
                ax.set(xlim=((ends[0] - room) * scale, (ends[1] + room) * scale))
            ax.spines[["top", "right", "left"]].set_visible(False)
        axes[0].set_yticks(range(len(models)), [m.title for m in models])
        axes[0].set_ylim(len(models) - 0.4, -0.6)
        _separate(axes, models)
        if middle is not None:
            for ax in axes:
                ax.axvline(middle, color=FAINT, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
        counts = [mean.get(m.name, UNDEFINED).n for m in models for _, mean, _ in panels]
        small = [count_text(counts, counted), seeds_text(models), f"bars: {100 * shown.job.confidence:g} % intervals"]
        headline(figure, f"{title}: {shown.title}", " · ".join(filter(None, small)))
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
    draw_mean(ax, scale * point.value, row, look, name)
    if seeds:
        draw_seeds(ax, scale * np.asarray(seeds), row, look)
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
