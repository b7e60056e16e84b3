"""What is drawn of shares and points are the table's numbers."""

import numpy as np
import pandas as pd
import pytest

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.plots.on_object import on_object
from shapelens.stats.means import means_table

from ..stats_data import by_run
from ..tidy_data import grid, shown

METRICS = ["object_share", "contour_share", "pointing", "object_area", "contour_area"]


def rows(methods=("grad", "expected-gradients"), known=True):
    rng = np.random.default_rng(0)
    made = [
        ("cues", m.name, seed, method, testset, image, *(rng.random(3) if known else [np.nan] * 3), 0.25, 0.125)
        for m in grid()
        for seed in (0, 1)
        for method in methods
        for testset in ("clean", "saturation-1024")
        for image in range(6)
    ]
    return pd.DataFrame(made, columns=["dataset", "model", "seed", "method", "testset", "image", *METRICS])


def draw(frame):
    table = means_table(by_run(frame), "cues", ["method"], METRICS)
    return table, on_object(
        shown("on_object", testsets=("clean",), dataset="cues", means=lambda name: table), Display()
    )


def lines(axes):
    return {line.get_gid(): line for line in axes.lines if line.get_gid()}


def test_every_model_and_method_is_where_the_table_says():
    table, figure = draw(rows())
    means = table[(table["seed"] == "mean") & (table["testset"] == "clean")].set_index(["metric", "method", "model"])
    for axes, metric, even in zip(figure.axes, METRICS[:3], (0.25, 0.125, 0.25), strict=True):
        drawn = lines(axes)
        for method in ("grad", "expected-gradients"):
            for model in grid():
                found = drawn[f"measured:{method}:{model.name}"].get_xdata()[0]
                assert found == pytest.approx(means.loc[(metric, method, model.name), "value"])
        assert drawn[f"even:{metric}"].get_xdata()[0] == pytest.approx(even)


def test_an_undefined_share_leaves_a_gap():
    frame = rows()
    frame.loc[(frame["model"] == "standard") & (frame["method"] == "grad"), METRICS[:3]] = np.nan
    _, figure = draw(frame)
    assert np.isnan(lines(figure.axes[0])["measured:grad:standard"].get_xdata()[0])
    assert np.isfinite(lines(figure.axes[0])["measured:grad:underfit"].get_xdata()[0])


def test_where_nothing_is_known_nothing_is_drawn():
    with pytest.raises(UserError, match="nothing was measured for the figure on_object"):
        draw(rows(known=False).assign(object_share=np.nan))
