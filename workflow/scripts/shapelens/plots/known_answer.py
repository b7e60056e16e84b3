"""Predicted and measured shape biases, one row per model."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import seeds_text
from shapelens.names.words import SHAPE_AXIS
from shapelens.plots.shown import Shown
from shapelens.plots.style import FAINT, INK, WIDTH, draw_mean, draw_seeds, headline, looks, theme
from shapelens.stats.tidy import MEAN

ROW = 0.22
"""Height of a model's row in inches."""


def known_answer(shown: Shown, display: Display) -> Figure:
    """Draw what was predicted as a band, the tolerance on either side, and what was measured as dots: seeds small.

    Raises UserError where no model of the grid has a prediction.
    """
    frame = shown.known_answer
    models = [model for model in shown.models if model.name in set(frame["model"])]
    if not models:
        raise UserError(f"{shown.job.dataset}: no model has a predicted shape bias")
    with theme(display.palette, grid="x") as colors:
        figure = Figure(figsize=(0.75 * WIDTH, 1.3 + ROW * len(models)), layout="constrained")
        ax = figure.subplots()
        styles = looks(models, colors)
        for row, model in enumerate(models):
            own = frame[frame["model"] == model.name]
            mean = own[own["seed"] == MEAN].iloc[0]
            low, high = mean["predicted"] - mean["tolerance"], mean["predicted"] + mean["tolerance"]
            ax.barh(row, min(high, 1.0) - max(low, 0.0), left=max(low, 0.0), height=0.8, color=FAINT, alpha=0.35)
            ax.plot([mean["predicted"]] * 2, [row - 0.4, row + 0.4], color=INK, linewidth=1)
            look = styles[model.name]
            single = own.loc[own["seed"] != MEAN, "value"]
            draw_seeds(ax, single.to_numpy(), row, look)
            draw_mean(ax, mean["value"], row, look, model.name)
        ax.set(xlabel=SHAPE_AXIS, xlim=(-0.03, 1.03), ylim=(len(models) - 0.4, -0.6))
        ax.set_yticks(range(len(models)), [model.title for model in models])
        ax.spines[["top", "right", "left"]].set_visible(False)
        headline(figure, f"Predicted and measured shape bias: {shown.title}", seeds_text(models))
        keys = [
            Patch(color=FAINT, alpha=0.35, label="predicted, with the tolerance"),
            Line2D([], [], color=INK, marker="o", linestyle="none", markersize=4, label="measured, mean over seeds"),
            Line2D([], [], color=INK, marker="|", linestyle="none", markersize=6, label="single seeds"),
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False)
    return figure
