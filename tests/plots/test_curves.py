import math

import numpy as np
import pytest

from shapelens.errors import UserError
from shapelens.instruments.registry import TABLES
from shapelens.names.display import Display
from shapelens.plots.curves import levels
from shapelens.plots.style import looks
from shapelens.tables.layout import select

from ..tidy_data import accuracy, entry, grid, shown, undefine


def figure5(frame, display=None):
    return levels(shown(accuracy=frame, options=entry("figure5").options), display or Display())


def figure7(frame):
    return levels(shown(accuracy=frame, options=entry("figure7").options), Display())


def lines(figure, kind="measured"):
    return {
        line.get_gid().removeprefix(f"{kind}:"): np.asarray(line.get_ydata(), dtype=float)
        for line in figure.axes[0].get_lines()
        if (line.get_gid() or "").startswith(f"{kind}:")
    }


def wrong(figure, frame, table, identity):
    """Return the models whose line is not what the table says."""
    tidy = select(TABLES[table], frame, grid())
    mean = tidy[tidy["seed"] == "mean"]
    found = []
    for model, ys in lines(figure).items():
        rows = mean[mean["model"] == model]
        want = [100 * v for v in rows["value"]]
        want.insert(identity, 100.0)
        if not np.allclose(ys, want, equal_nan=True):
            found.append(model)
    return found


@pytest.mark.parametrize(
    ("draw", "table", "identity", "count"), [(figure5, "saturation", 3, 9), (figure7, "patch_shuffle", 0, 4)]
)
def test_lines_are_the_tables_numbers(draw, table, identity, count):
    frame = accuracy()
    figure = draw(frame)
    assert len(lines(figure)) == 11
    assert all(len(ys) == count for ys in lines(figure).values())
    assert wrong(figure, frame, table, identity) == []
    # Planted fault: the numbers of one seed instead of the mean.
    faulty = frame.copy()
    faulty["seed"] = faulty["seed"].replace({"mean": "7", "0": "mean"})
    assert len(wrong(figure, faulty, table, identity)) == 11


def test_undefined_values_leave_gaps():
    frame = undefine(accuracy(), "pgd-inf-8", "saturation-64")
    ys = lines(figure5(frame))["pgd-inf-8"]
    assert math.isnan(ys[-2])
    assert np.isfinite(np.delete(ys, -2)).all()


def test_published_curves_only_where_published_and_wanted():
    assert len(lines(figure5(accuracy()), "published")) == 11
    assert not lines(figure5(accuracy(published=False)), "published")
    assert not lines(figure5(accuracy(), Display(published=False)), "published")
    ys = lines(figure5(accuracy()), "published")["standard"]
    assert ys[-1] == pytest.approx(20.03)


def test_labels_units_and_small_print():
    figure = figure5(accuracy())
    axes = figure.axes[0]
    assert axes.get_ylabel() == "Accuracy on correctly classified (%)"
    assert "Saturation level p" in axes.get_xlabel()
    ticks = [axes.xaxis.get_major_formatter()(x, 0) for x in axes.xaxis.get_major_locator()()]
    assert ticks == ["0.25", "0.5", "1", "2", "4", "8", "16", "64", "1024"]
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "Saturated images: Caltech-256"
    assert "n = 6,000 test images" in texts[1] and "seeds 0, 1" in texts[1]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend[:4] == ["Standard", "Underfit", "PGD-ℓ∞", "ε = 8/255"]


def test_models_that_were_not_measured_are_left_out():
    frame = accuracy()
    frame = frame[frame["model"].isin(["standard", "fgsm-8"])]
    assert set(lines(figure5(frame))) == {"standard", "fgsm-8"}
    with pytest.raises(UserError, match="no test set is called patch-shuffle"):
        figure7(frame[~frame["testset"].str.startswith("patch")])


def test_unknown_palette_is_refused():
    with pytest.raises(UserError, match=r"display\.palette"):
        figure5(accuracy(), Display(palette="colourblind"))


def test_shade_and_width_grow_with_eps():
    styles = looks(grid(), [(0.0, 0.4, 0.7)] * 6)
    family = [styles[f"pgd-inf-{eps}"] for eps in (1, 2, 4, 8)]
    assert [look.width for look in family] == sorted(look.width for look in family)
    assert [look.color[0] for look in family] == sorted((look.color[0] for look in family), reverse=True)
    assert len({styles[m.name].marker for m in grid()}) == 5
