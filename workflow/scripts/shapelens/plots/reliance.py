"""What is left of each model's accuracy where one cue is suppressed."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo, seeds_text
from shapelens.names.words import name_of_testset
from shapelens.plots.shown import Shown
from shapelens.plots.style import FAINT, SMALL_SIZE, WIDTH, Look, headline, looks, theme
from shapelens.stats.tidy import UNDEFINED, Point, clean_counts, count_text, level, points

CUES = {
    "Shape": ("patch-shuffle-",),
    "Texture": ("gaussian-blur", "bilateral", "saturation-"),
    "Colour": ("greyscale", "channel-shuffle"),
    "Control: seams alone": ("patch-frame-",),
}
"""The panels: what is suppressed, and the test sets that suppress it, by the beginning of their names."""
MARKERS = (("o", 3.6), ("s", 3.4), ("^", 4.4), ("D", 3.2), ("v", 4.4), ("*", 5.0))
"""Markers of the test sets of a panel, in their order, with their sizes in points."""
SPACE, BETWEEN = 0.085, 0.1
"""Height of one test set's line and of the gap between two models, in inches."""
FARTHEST = 1.5
"""Beyond this relative accuracy the axis goes on for values, not for intervals."""
Measured = Mapping[tuple[str, str], Point]


def cues(shown: Shown, display: Display) -> Figure:
    """Draw accuracy relative to clean, one row per model and one panel per cue, with the shuffles' control.

    Of saturation the highest level alone is drawn. A grey tick is where guessing would put the model: it is far to the
    right for one that is hardly right on clean images. Calibration models are drawn like the others. Raises UserError
    where nothing was measured.
    """
    measured = points(shown.accuracy, "relative_accuracy")
    panels = {
        cue: [name for name in sets if any((model.name, name) in measured for model in shown.models)]
        for cue, sets in panels_of(shown.testsets).items()
    }
    panels = {cue: sets for cue, sets in panels.items() if sets}
    models = [m for m in shown.models if any((m.name, name) in measured for sets in panels.values() for name in sets)]
    if not models:
        raise UserError(f"{shown.job.dataset}: nothing was measured for the figure {shown.job.figure}")
    clean = points(shown.accuracy, "accuracy")
    guessed = {m.name: shown.chance / clean.get((m.name, "clean"), UNDEFINED).value for m in models}
    with theme(display.palette, grid="x") as colors:
        lines = max(map(len, panels.values()))
        height = 1.35 + 0.12 * lines + len(models) * (lines * SPACE + BETWEEN)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = list(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0])
        styles = looks(models, colors)
        for ax, (cue, sets) in zip(axes, panels.items(), strict=True):
            for row, model in enumerate(models):
                _model(ax, row, model, sets, measured, styles[model.name])
                _tick(ax, row, guessed[model.name], model.name)
            _dress(ax, cue, sets)
            for row in range(1, len(models)):
                if models[row].family != models[row - 1].family:
                    ax.axhline(row - 0.5, color="#dddddd", linewidth=0.5, zorder=0)
        end = _end([p for (name, testset), p in measured.items() if any(testset in sets for sets in panels.values())])
        for ax in axes:
            ax.set_xlim(-2, 100 * end)
        axes[0].set_yticks(range(len(models)), [m.title for m in models])
        axes[0].set_ylim(len(models) - 0.4, -0.6)
        counts = clean_counts(shown.accuracy, [m.name for m in models])
        small = [
            count_text(counts, "test images"),
            seeds_text(models),
            f"bars: {100 * shown.job.confidence:g} % intervals",
        ]
        headline(figure, f"What is left when a cue is suppressed: {shown.title}", " · ".join(filter(None, small)))
        figure.supxlabel("Accuracy relative to clean (%); grey tick: guessing", fontsize=SMALL_SIZE)
    return figure


def panels_of(testsets: Sequence[str]) -> dict[str, list[str]]:
    """Return the test sets of each panel, of saturation the highest level alone."""
    saturated = sorted((name for name in testsets if name.startswith("saturation-")), key=_saturation)
    drawn = [name for name in testsets if name not in saturated[:-1]]
    return {cue: [name for begin in begins for name in drawn if name.startswith(begin)] for cue, begins in CUES.items()}


def _saturation(testset: str) -> float:
    return level(testset, "saturation-")


def _model(ax: Axes, row: int, model: ModelInfo, sets: Sequence[str], measured: Measured, look: Look) -> None:
    """Draw one model's points with their intervals, one line for each test set of the panel."""
    for place, testset in enumerate(sets):
        point = measured.get((model.name, testset), UNDEFINED)
        marker, size = MARKERS[place % len(MARKERS)]
        y = row + (place - (len(sets) - 1) / 2) * 0.8 / max(len(sets), 2)
        if np.isfinite(point.low) and np.isfinite(point.high):
            ax.hlines(y, 100 * point.low, 100 * point.high, color=look.color, linewidth=0.9, zorder=2)
        ax.plot(
            [100 * point.value],
            [y],
            marker=marker,
            markersize=size,
            color=look.color,
            markeredgecolor="white",
            markeredgewidth=0.3,
            linestyle="none",
            gid=f"measured:{model.name}:{testset}",
            zorder=4,
        )


def _tick(ax: Axes, row: int, guessed: float, name: str) -> None:
    ax.plot(
        [100 * guessed],
        [row],
        marker="|",
        markersize=9,
        markeredgewidth=1.2,
        color="#bbbbbb",
        linestyle="none",
        gid=f"guessing:{name}",
        zorder=1,
    )


def _dress(ax: Axes, cue: str, sets: Sequence[str]) -> None:
    """Mark 100 % and write what the panel suppresses and how, above it."""
    ax.axvline(100, color=FAINT, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    handles = [
        Line2D([], [], marker=marker, markersize=size, color=FAINT, linestyle="none", label=name_of_testset(testset))
        for (marker, size), testset in zip(cycle(MARKERS), sets, strict=False)
    ]
    legend = ax.legend(
        handles=handles,
        title=cue,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        alignment="left",
        frameon=False,
        fontsize=SMALL_SIZE,
        title_fontproperties={"weight": "bold", "size": SMALL_SIZE + 0.5},
        borderpad=0.1,
        handletextpad=0.1,
        labelspacing=0.2,
    )
    legend.set_in_layout(True)


def _end(drawn: Sequence[Point]) -> float:
    """Return the right end of the axis: 1.05, or as far as values reach, or intervals up to ``FARTHEST``."""
    values = [p.value for p in drawn if np.isfinite(p.value)]
    highs = [min(p.high, FARTHEST) for p in drawn if np.isfinite(p.high)]
    return 1.02 * max([1.03, *values, *highs])
