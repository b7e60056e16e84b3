import math

import pandas as pd
import pytest

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.plots import dots

from ..tidy_data import COLUMNS, accuracy, entry, grid, shape_bias, shown, undefine


def values(axes, kind="measured"):
    return {
        line.get_gid().removeprefix(f"{kind}:"): float(line.get_xdata()[0])
        for line in axes.get_lines()
        if (line.get_gid() or "").startswith(f"{kind}:")
    }


def mean(frame, model, testset, metric):
    hit = (frame["model"] == model) & (frame["testset"] == testset) & (frame["metric"] == metric)
    return float(frame.loc[hit & (frame["seed"] == "mean"), "value"].iloc[0])


def fourier(frame):
    declared = entry("fourier")
    return dots.by_model(shown(accuracy=frame, testsets=declared.testsets, options=declared.options), Display())


def means(value=lambda place: place / 4, methods=("grad", "smoothgrad")):
    """Return an instrument's means.csv: three models, two seeds, one more key."""
    rows = [
        ("cues", model, seed, method, testset, "gini", at, at - 0.5, at + 0.5, 12, math.nan)
        for place, model in enumerate(("standard", "underfit", "pgd-inf-8"))
        for seed in ("0", "1", "mean")
        for method in methods
        for testset in ("clean", "stylised")
        for at in [value(place) + (method == "grad") + 2 * (testset == "stylised") + (0.0 if seed == "mean" else 0.1)]
    ]
    return pd.DataFrame(rows, columns=[*COLUMNS[:3], "method", *COLUMNS[3:]])


def by_model(frame, testsets=("clean",), **options):
    told = {"metric": "gini", "title": "Sparseness", "axis": "Gini sparseness", **options}
    what = shown(testsets=testsets, options=told, dataset="cues", toy_means=None, means={"toy": frame}.__getitem__)
    return dots.by_model(what, Display())


def test_any_instruments_metric_is_drawn_by_model_with_its_intervals():
    figure = by_model(means(), ("clean", "stylised", "never-measured"), where={"method": "grad"}, counted="images")
    clean, stylised = figure.axes
    assert [ax.get_xlabel() for ax in figure.axes] == ["Original\nGini sparseness", "Stylised\nGini sparseness"]
    assert values(clean) == {"standard": 1.0, "underfit": 1.25, "pgd-inf-8": 1.5}
    assert values(stylised) == {"standard": 3.0, "underfit": 3.25, "pgd-inf-8": 3.5}
    bars = [tuple(segment[:, 0]) for lines in clean.collections for segment in lines.get_segments()]
    assert bars == [(0.5, 1.5), (0.75, 1.75), (1.0, 2.0)]
    # The axis has room for every interval, whatever the metric's range.
    assert stylised.get_xlim()[0] < 2.5 and stylised.get_xlim()[1] > 4.0
    assert [t.get_text() for t in clean.get_yticklabels()] == ["Standard", "Underfit", "PGD-ℓ∞ 8/255"]
    ticks = [line.get_xdata().tolist() for line in clean.get_lines() if line.get_marker() == "|"]
    assert ticks[0] == [1.1, 1.1]
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "Sparseness: drawn cues" and "n = 12 images" in texts[1]


def test_a_share_is_drawn_in_per_cent():
    axes = by_model(means(lambda place: place / 4, ("smoothgrad",)), percent=True, axis="").axes[0]
    assert values(axes)["pgd-inf-8"] == 50.0 and axes.get_xlim() == (-2.0, 102.0)
    assert axes.get_xlabel() == "Original (%)"


def test_rows_that_cannot_be_told_apart_are_refused():
    with pytest.raises(UserError, match=r"several rows of gini .* options\.where, by method"):
        by_model(means())
    with pytest.raises(UserError, match="has no column layer"):
        by_model(means(), where={"layer": "3"})
    with pytest.raises(UserError, match="nothing was measured"):
        by_model(means(), where={"method": "gradcam"})
    with pytest.raises(UserError, match="in needs, not toy and accuracy"):
        both = shown(options={"metric": "gini", "title": ""}, toy_means=None, accuracy=means())
        dots.by_model(both, Display())


def test_robustness_shows_both_accuracies():
    frame = accuracy("cifar10")
    clean, robust = dots.robustness(shown(accuracy=frame), Display()).axes
    for model in grid():
        assert values(clean)[model.name] == pytest.approx(100 * mean(frame, model.name, "clean", "accuracy"))
        assert values(robust)[model.name] == pytest.approx(100 * mean(frame, model.name, "clean", "robust_accuracy"))
    assert values(robust, "published")["pgd-inf-2"] == pytest.approx(39.11)
    assert math.isnan(
        values(dots.robustness(shown(accuracy=frame), Display(published=False)).axes[0], "published")["pgd-inf-2"]
    )


def test_fourier_has_a_panel_per_measured_filter_and_keeps_gaps():
    frame = undefine(accuracy(), "underfit", "high-pass")
    axes = fourier(frame).axes
    assert [ax.get_xlabel() for ax in axes] == ["Low pass (%)", "High pass (%)", "Random filter (%)"]
    assert math.isnan(values(axes[1])["underfit"])
    assert set(values(axes[0])) == {"standard", "underfit", "pgd-inf-8"}
    rest = frame[frame["testset"] != "low-pass"]
    assert len(fourier(rest).axes) == 2
    with pytest.raises(UserError, match="nothing was measured"):
        fourier(accuracy("cifar10"))


def test_the_rulers_are_the_ends_of_each_panel_and_stand_alone_where_nothing_can_be_read():
    def drawn(frame):
        return dots.shape_bias(shown(models=grid(calibration=True), accuracy=frame), Display()).axes[0]

    readable = drawn(shape_bias())
    found = values(readable)
    assert found["calibration-shape"] == 1.0 and found["calibration-texture"] == 0.0
    assert found["underfit"] == pytest.approx(1 / 12) and "not readable" not in readable.get_xlabel()
    frame = shape_bias()
    frame.loc[~frame["model"].str.startswith("calibration"), ["value", "low", "high"]] = math.nan
    withheld = drawn(frame)
    # A point at NaN is not drawn.
    visible = {model for model, value in values(withheld).items() if not math.isnan(value)}
    assert visible == {"calibration-shape", "calibration-texture"}
    assert withheld.get_xlabel() == "Drawn\nnot readable"


def test_one_seed_draws_no_seed_ticks():
    def ticks(seeds):
        figure = dots.shape_bias(shown(accuracy=shape_bias(seeds)), Display())
        return sum(line.get_marker() == "|" for line in figure.axes[0].get_lines())

    assert ticks(1) == 0
    assert ticks(2) == 11
