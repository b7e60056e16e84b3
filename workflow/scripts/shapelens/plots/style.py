"""The common look: fonts, colours by family, shades and widths by ε, titles."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.names.models import FAMILIES, ModelInfo

WIDTH = 6.9
"""Width of figures in inches: the text width of a two-column page."""
INK = "#222222"
FAINT = "#6b6b6b"
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 9.0, 7.5, 6.5

RC: Any = {
    # The font that comes with matplotlib: the same bytes on every machine, and it has ℓ, ∞ and ε.
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT_SIZE,
    "mathtext.fontset": "dejavusans",
    "axes.labelsize": TEXT_SIZE,
    "axes.titlesize": TEXT_SIZE,
    "xtick.labelsize": TEXT_SIZE,
    "ytick.labelsize": TEXT_SIZE,
    "legend.fontsize": SMALL_SIZE,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.4,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.hinting": "no_hinting",
    "pdf.fonttype": 42,
    "svg.hashsalt": "shapelens",
    "path.simplify": False,
}
"""Settings that hold while a figure is made and while it is written."""

MARKERS = {
    "standard": ("o", 3.6),
    "underfit": ("X", 4.6),
    "pgd-inf": ("s", 3.4),
    "pgd-l2": ("^", 4.0),
    "fgsm": ("D", 3.2),
    "spatial": ("*", 5.4),
    "finished": ("P", 4.4),
    "calibration": ("v", 4.0),
    "judge": ("d", 4.0),
}
"""Marker of each family and its size in points."""
PALETTE_PLACES = {"pgd-inf": 0, "spatial": 1, "pgd-l2": 2, "fgsm": 3, "finished": 4, "calibration": 5}
GREYS = {"standard": "#111111", "underfit": "#8a8a8a", "judge": "#bbbbbb"}
LIGHTEST = 0.5
"""Share of white in the shade of a family's smallest ε."""


@dataclass(frozen=True)
class Look:
    """How one model is drawn."""

    color: tuple[float, float, float]
    width: float
    marker: str
    size: float


@contextmanager
def theme(palette_name: str, grid: str = "y") -> Iterator[list[tuple[float, float, float]]]:
    """Draw in the common look, on seaborn's white grid; yield the colours of the palette.

    Raises UserError for a palette that seaborn does not know.
    """
    import seaborn as sns

    try:
        colors = [to_rgb(color) for color in sns.color_palette(palette_name, 6)]
    except ValueError:
        raise UserError(
            f"display.palette: seaborn has no palette {palette_name!r}; use colorblind, deep, muted, Set2, viridis, …"
        ) from None
    settings: Any = {**sns.axes_style("whitegrid"), **RC, "axes.grid.axis": grid, "axes.edgecolor": FAINT}
    with rc_context(settings):
        yield colors


def looks(models: Sequence[ModelInfo], colors: Sequence[tuple[float, float, float]]) -> dict[str, Look]:
    """Return how each model is drawn: colour and marker by family, shade and width by the rank of its ε."""
    result = {}
    for model in models:
        family = sorted((m for m in models if m.family == model.family), key=lambda m: (m.strength, m.name))
        share = 1.0 if len(family) == 1 else family.index(model) / (len(family) - 1)
        grey = GREYS.get(model.family)
        base = to_rgb(grey) if grey else colors[PALETTE_PLACES[model.family]]
        white = LIGHTEST * (1 - share)
        color = (
            base[0] + (1 - base[0]) * white,
            base[1] + (1 - base[1]) * white,
            base[2] + (1 - base[2]) * white,
        )
        width = 1.7 if grey else 0.8 + 0.9 * share
        result[model.name] = Look(color, width, *MARKERS[model.family])
    return result


def by_family(models: Sequence[ModelInfo]) -> dict[str, list[ModelInfo]]:
    """Group models by family, in the usual order, the largest ε first."""
    groups = {
        family: sorted((m for m in models if m.family == family), key=lambda m: -m.strength) for family in FAMILIES
    }
    return {family: members for family, members in groups.items() if members}


def headline(figure: Figure, title: str, subtitle: str) -> None:
    """Write a title and a line of small print above everything, and keep the layout engine out of that strip."""
    height = float(figure.get_size_inches()[1])
    figure.text(0.008, 1 - 0.05 / height, title, ha="left", va="top", fontsize=TITLE_SIZE, weight="bold", color=INK)
    figure.text(0.008, 1 - 0.22 / height, subtitle, ha="left", va="top", fontsize=SMALL_SIZE, color=FAINT)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, 0, 1, 1 - HEADROOM / height))  # type: ignore[call-arg]


HEADROOM = 0.4
"""Height of title and small print, in inches."""


def draw_mean(ax: Axes, x: float, row: float, look: Look, name: str) -> None:
    """Draw the mean of a model as its family's marker; tests find it by its gid."""
    ax.plot(
        [x],
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


def draw_seeds(ax: Axes, xs: NDArray[np.float64], row: float, look: Look) -> None:
    """Draw single seeds as ticks beneath the mean."""
    ax.plot(
        xs,
        [row] * len(xs),
        marker="|",
        markersize=8,
        markeredgewidth=0.7,
        color=look.color,
        linestyle="none",
        zorder=3,
    )
