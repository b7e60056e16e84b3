"""Accuracy against the level of a transformation, one line per model (Figures 5 and 7)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import seeds_text
from shapelens.plots.legend import model_legend
from shapelens.plots.shown import Shown
from shapelens.plots.spec import Levels
from shapelens.plots.style import FAINT, WIDTH, Look, headline, looks, theme
from shapelens.stats.tidy import UNDEFINED, Point, clean_counts, count_text, level, levels_of, points

METRIC = "accuracy_on_correct"
SPREAD = 0.013
"""Half the width over which points and bars at one level are spread sideways, as a share of the axis."""


def levels(shown: Shown, display: Display) -> Figure:
    """Draw accuracy on correctly classified images against the level of a transformation, one line per model.

    ``spec.Levels`` has the options. Rows of the mean over seeds are drawn; undefined values leave gaps. Published
    curves are faint and dashed where ``display`` wants them. Raises UserError where no level was measured.
    """
    told = Levels.model_validate(shown.job.options)
    measured = points(shown.accuracy, METRIC)
    testsets = {level(name, told.prefix): name for name in levels_of(shown.accuracy, told.prefix)}
    if not testsets:
        raise UserError(f"{shown.job.dataset}: no test set is called {told.prefix}…, so there is no curve to draw")
    xs = sorted({*testsets, told.identity})
    models = [m for m in shown.explained if any((m.name, name) in measured for name in testsets.values())]

    def series(name: str) -> list[Point]:
        # The unchanged image keeps every correct answer, by definition.
        clean = Point(1.0, float("nan"), float("nan"), float("nan"), 1.0)
        return [measured.get((name, testsets[x]), UNDEFINED) if x in testsets else clean for x in xs]

    with theme(display.palette) as colors:
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        axes = figure.add_subplot()
        styles = looks(models, colors)
        span = float(np.log2(xs[-1] / xs[0]))
        offsets = np.linspace(-SPREAD, SPREAD, len(models)) * span if len(models) > 1 else np.zeros(1)
        axes.axvline(told.identity, color=FAINT, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
        has_published = False
        for model, offset in zip(models, offsets, strict=True):
            data = series(model.name)
            at = np.asarray([x if x == told.identity else x * 2.0**offset for x in xs])
            _line(axes, at, data, styles[model.name], model.name)
            known = [p.published for p, x in zip(data, xs, strict=True) if x in testsets]
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
        axes.set(ylim=(0, 102), xlabel=told.axis, ylabel="Accuracy on correctly classified (%)")
        axes.spines[["top", "right"]].set_visible(False)
        model_legend(axes, models, styles, has_published)
        parts = [count_text(clean_counts(shown.accuracy, [m.name for m in models]), "test images"), seeds_text(models)]
        headline(
            figure,
            f"{told.title}: {shown.title}",
            " · ".join([*filter(None, parts), f"bars: {100 * shown.job.confidence:g} % intervals"]),
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
