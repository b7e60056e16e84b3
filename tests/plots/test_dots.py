import math

import pytest

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.plots import dots

from ..tidy_data import accuracy, grid, shape_bias, undefine


def values(axes, kind="measured"):
    return {
        line.get_gid().removeprefix(f"{kind}:"): float(line.get_xdata()[0])
        for line in axes.get_lines()
        if (line.get_gid() or "").startswith(f"{kind}:")
    }


def mean(frame, model, testset, metric):
    hit = (frame["model"] == model) & (frame["testset"] == testset) & (frame["metric"] == metric)
    return float(frame.loc[hit & (frame["seed"] == "mean"), "value"].iloc[0])


def test_robustness_shows_both_accuracies():
    frame = accuracy("cifar10")
    clean, robust = dots.robustness(frame, grid(), Display()).axes
    for model in grid():
        assert values(clean)[model.name] == pytest.approx(100 * mean(frame, model.name, "clean", "accuracy"))
        assert values(robust)[model.name] == pytest.approx(100 * mean(frame, model.name, "clean", "robust_accuracy"))
    assert values(robust, "published")["pgd-inf-2"] == pytest.approx(39.11)
    assert math.isnan(
        values(dots.robustness(frame, grid(), Display(published=False)).axes[0], "published")["pgd-inf-2"]
    )


def test_fourier_has_a_panel_per_measured_filter_and_keeps_gaps():
    frame = undefine(accuracy(), "underfit", "high-pass")
    axes = dots.fourier(frame, grid(), Display()).axes
    assert [ax.get_xlabel() for ax in axes] == ["Low pass (%)", "High pass (%)", "Random filter (%)"]
    assert math.isnan(values(axes[1])["underfit"])
    assert set(values(axes[0])) == {"standard", "underfit", "pgd-inf-8"}
    rest = frame[frame["testset"] != "low-pass"]
    assert len(dots.fourier(rest, grid(), Display()).axes) == 2
    with pytest.raises(UserError, match="nothing was measured"):
        dots.fourier(accuracy("cifar10"), grid(), Display())


def test_calibration_models_are_judged_on_their_own_conflict_set():
    found = values(dots.shape_bias(shape_bias(), grid(calibration=True), Display()).axes[0])
    assert found["calibration-shape"] == 1.0
    assert found["calibration-texture"] == 0.0
    assert found["underfit"] == pytest.approx(1 / 12)
    # Planted fault: on the common conflict set they would stand elsewhere.
    common = shape_bias()
    common = common[common["testset"] == "conflict"]
    assert values(dots.shape_bias(common, grid(calibration=True), Display()).axes[0])["calibration-texture"] == 1.0


def test_one_seed_draws_no_seed_ticks():
    def ticks(seeds):
        figure = dots.shape_bias(shape_bias(seeds), grid(), Display())
        return sum(line.get_marker() == "|" for line in figure.axes[0].get_lines())

    assert ticks(1) == 0
    assert ticks(2) == 11
