"""The figure of what is left when a cue is suppressed: what is drawn are the table's numbers."""

import math

import pandas as pd
import pytest

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.plots import reliance

from ..tidy_data import COLUMNS, entry, grid, shown, undefine, wilson

SETS = (
    "patch-shuffle-2", "patch-shuffle-8", "gaussian-blur", "bilateral", "saturation-1024", "saturation-8", "greyscale",
    "channel-shuffle", "patch-frame-2", "patch-frame-8",
)  # fmt: skip


def measured(testsets=SETS, clean=0.8):
    """Return accuracy.csv of two seeds: of model m on set s a share of 1 − (m + s)/30, calibration models included."""
    rows = []
    for place, model in enumerate(grid(calibration=True)):
        for seed in ("0", "1", "mean"):
            right = 0.11 if model.name == "calibration-shape" else clean
            rows.append(("cues", model.name, seed, "clean", "accuracy", right, 0.0, 1.0, 500, math.nan))
            for number, testset in enumerate(testsets):
                value = 1 - (place + number) / 30
                rows.append(
                    ("cues", model.name, seed, testset, "relative_accuracy", value, *wilson(value, 300), 500, math.nan)
                )
    return pd.DataFrame(rows, columns=COLUMNS)


def draw(frame, testsets=SETS):
    what = shown("reliance", grid(calibration=True), testsets=testsets, dataset="cues", accuracy=frame, chance=0.1)
    return reliance.cues(what, Display())


def at(axes, kind):
    return {
        line.get_gid().removeprefix(f"{kind}:"): float(line.get_xdata()[0])
        for line in axes.get_lines()
        if (line.get_gid() or "").startswith(f"{kind}:")
    }


def titles(figure):
    return [axes.get_legend().get_title().get_text() for axes in figure.axes]


def test_each_panel_has_the_numbers_of_its_cue_for_every_model():
    figure = draw(measured())
    assert titles(figure) == ["Shape", "Texture", "Colour", "Control: seams alone"]
    labels = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes]
    assert labels[:2] == [["shuffle 2", "shuffle 8"], ["Gaussian blur", "bilateral", "saturation 1024"]]
    assert labels[2:] == [["greyscale", "channel shuffle"], ["frame 2", "frame 8"]]
    drawn = {name: value for axes in figure.axes for name, value in at(axes, "measured").items()}
    assert len(drawn) == 13 * 9  # all models, rulers among them; of saturation the highest level
    for place, model in enumerate(grid(calibration=True)):
        for number, testset in enumerate(SETS):
            if testset != "saturation-8":
                assert drawn[f"{model.name}:{testset}"] == pytest.approx(100 - 100 * (place + number) / 30)


def test_intervals_are_drawn_and_the_axis_holds_values():
    figure = draw(measured())
    bars = [tuple(segment[:, 0]) for lines in figure.axes[0].collections for segment in lines.get_segments()]
    assert any(bar == pytest.approx([100 * end for end in wilson(1 - 1 / 30, 300)]) for bar in bars)
    frame = measured()
    frame.loc[frame["testset"] == "greyscale", ["value", "high"]] = 1.7, math.inf
    assert draw(frame).axes[0].get_xlim()[1] > 170


def test_guessing_is_marked_where_it_would_put_each_model():
    ticks = at(draw(measured()).axes[0], "guessing")
    assert ticks["standard"] == pytest.approx(100 * 0.1 / 0.8)
    assert ticks["calibration-shape"] == pytest.approx(100 * 0.1 / 0.11)  # it has learnt nothing that helps here


def test_what_is_undefined_leaves_a_gap_and_what_a_study_lacks_no_panel():
    figure = draw(undefine(measured(), "standard", "patch-shuffle-2"))
    assert math.isnan(at(figure.axes[0], "measured")["standard:patch-shuffle-2"])
    few = ("patch-shuffle-2", "saturation-8", "saturation-1024")
    assert titles(draw(measured(few), few)) == ["Shape", "Texture"]
    with pytest.raises(UserError, match="nothing was measured for the figure reliance"):
        draw(measured(()))


def test_the_entry_shows_every_set_that_the_panels_know():
    begins = {begin.rstrip("-") for begins in reliance.CUES.values() for begin in begins}
    assert {name.rstrip("-*") for name in entry("reliance").testsets} == begins
