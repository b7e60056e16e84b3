import math

import pandas as pd
import pytest
from matplotlib.text import Text

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.plots.by_class import MOST_CLASSES, cue_conflict
from shapelens.plots.dots import shape_bias
from shapelens.plots.save import save_figure
from shapelens.stats.tidy import PER_CLASS, read_tidy

from ..tidy_data import conflicts, grid, shown


def draw(whole, parts):
    models = grid(calibration=True)
    return cue_conflict(shown(accuracy=whole, per_class=parts, dataset="cues", models=models), Display())


def marks(axes):
    """Return the position of every marker by row and model."""
    found = {}
    for line in axes.get_lines():
        if (line.get_gid() or "").startswith("measured:"):
            _, row, model = line.get_gid().split(":")
            found[row, model] = float(line.get_xdata()[0]), float(line.get_ydata()[0])
    return found


def test_a_row_for_all_classes_and_one_for_each():
    figure = draw(*conflicts())
    drawn, stylised = figure.axes
    assert [ax.get_xlabel().split("\n")[0] for ax in figure.axes] == ["Drawn", "Stylised"]
    labels = [text.get_text() for text in drawn.get_yticklabels()]
    assert labels == ["All classes", "class 0", "class 1", "class 2"]
    found = marks(drawn)
    assert len(found) == 11 * 4
    assert found["class 1", "underfit"][0] == pytest.approx((1 + 1 / 3) / 12)
    assert found["All classes", "fgsm-8"][0] == pytest.approx(10 / 12)
    assert marks(stylised)["All classes", "fgsm-8"][0] == pytest.approx(10 / 12 + 0.05)
    # An undefined share leaves a gap; it is no zero.
    assert math.isnan(found["class 0", "standard"][0])


def test_marks_lie_in_their_row():
    axes = draw(*conflicts()).axes[0]
    ticks = dict(zip([t.get_text() for t in axes.get_yticklabels()], axes.get_yticks(), strict=True))
    bottom, top = axes.get_ylim()
    assert bottom > top == 0
    for (row, _), (_, y) in marks(axes).items():
        assert min(ticks, key=lambda name: abs(ticks[name] - y)) == row or row == "All classes"
        assert top < y < bottom


def test_one_set_has_one_panel_and_many_classes_only_all():
    whole, parts = conflicts()
    one = draw(*(frame[frame["testset"] == "cue-conflict"] for frame in (whole, parts)))
    assert len(one.axes) == 1 and one.axes[0].get_xlabel().startswith("Stylised")
    many = draw(*conflicts(MOST_CLASSES + 1))
    assert {row for row, _ in marks(many.axes[0])} == {"All classes"}
    assert any(f"{MOST_CLASSES + 1} classes, not drawn" in text.get_text() for text in many.texts)
    # The legend must not be taller than the paper.
    many.draw_without_rendering()
    assert many.axes[-1].get_legend().get_window_extent().y0 > 0


def test_a_panel_on_which_only_rulers_are_read_says_so():
    whole, parts = conflicts()
    rulers = whole[whole["model"] == "standard"].assign(model="calibration-shape", value=1.0)
    withheld = whole.assign(value=whole["value"].where(whole["testset"] != "cue-conflict"))
    figure = draw(pd.concat([withheld, rulers]), parts)
    assert [ax.get_xlabel() for ax in figure.axes] == ["Drawn\n0 texture, 1 shape", "Stylised\nnot readable"]


def test_without_shape_bias_there_is_no_figure():
    whole, parts = conflicts()
    with pytest.raises(UserError, match="no shape bias"):
        draw(whole[whole["metric"] != "shape_bias"], parts)


def test_per_class_is_read_with_names_that_look_like_numbers(tmp_path):
    _, parts = conflicts()
    parts["class"] = parts["class"].replace({"class 0": "007", "class 1": "None"})
    parts.to_csv(tmp_path / "a.csv", index=False)
    assert list(dict.fromkeys(read_tidy(tmp_path / "a.csv", PER_CLASS)["class"])) == ["007", "None", "class 2"]
    with pytest.raises(UserError, match="column metric, published is missing"):
        read_tidy(tmp_path / "a.csv")


def test_both_sets_stand_side_by_side_by_model():
    drawn, stylised = shape_bias(shown(accuracy=conflicts()[0], dataset="cues"), Display()).axes
    values = [
        {line.get_gid(): line.get_xdata()[0] for line in ax.get_lines() if line.get_gid()} for ax in (drawn, stylised)
    ]
    assert values[1]["measured:underfit"] - values[0]["measured:underfit"] == pytest.approx(0.05)


def test_own_stimuli_have_a_panel_under_their_name_and_without_rulers_no_scale():
    whole, parts = (frame.replace({"testset": {"conflict": "geirhos"}}) for frame in conflicts())
    opened = {"accuracy": whole, "per_class": parts, "testsets": ["cue-conflict", "geirhos"], "dataset": "cues"}
    figure = cue_conflict(shown(**opened), Display())
    assert [ax.get_xlabel().split("\n")[0] for ax in figure.axes] == ["Stylised", "geirhos"]
    assert marks(figure.axes[1])["All classes", "fgsm-8"][0] == pytest.approx(10 / 12)
    assert figure.axes[1].get_xlabel().endswith("scale not known")
    ruled = cue_conflict(shown(models=grid(calibration=True), **opened), Display())
    assert not ruled.axes[1].get_xlabel().endswith("scale not known")


@pytest.mark.parametrize("name", ["$1_to_$5", "c$os$t", "a_{b}^2", "Katze ä", "\\frac", "$", "_plain"])
def test_a_name_is_shown_as_text(name, tmp_path):
    whole, parts = conflicts()
    parts = parts.replace({"class": {"class 1": name}})
    models = [model.model_copy(update={"label": name}) if model.name == "spatial" else model for model in grid()]
    figure = cue_conflict(shown(accuracy=whole, per_class=parts, dataset="cues", models=models), Display())
    save_figure(figure, tmp_path / "a.png", tmp_path / "a.pdf", 50)
    assert name in [text.get_text() for text in figure.axes[0].get_yticklabels()]
    texts = [text for text in figure.findobj(Text) if text.get_text() == name]
    assert texts
    assert not any(text.get_parse_math() for text in texts)


def test_a_label_that_begins_with_an_underscore_is_in_the_legend():
    models = [model.model_copy(update={"label": "_ours"}) if model.name == "fgsm-8" else model for model in grid()]
    whole, parts = conflicts()
    figure = cue_conflict(shown(accuracy=whole, per_class=parts, dataset="cues", models=models), Display())
    assert "_ours" in [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
