"""The legend of figures in which a model is a line or a marker."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from shapelens.names.models import FAMILIES, ModelInfo
from shapelens.plots.style import INK, Look, by_family


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
