"""Feature visualisation: closed forms of a linear representation, purity, and units that say nothing."""

import numpy as np
import pytest
import torch

from shapelens.artefacts.files import ImageSet
from shapelens.errors import UserError
from shapelens.instruments.features import measure as room
from shapelens.instruments.features.spec import Features
from shapelens.instruments.features.units import chance_purity, choose_units, extremes, purity

from .optimised_data import CLASSES, SIDE, job_of, network, plain, some_images

torch.set_num_threads(1)
D = 3 * SIDE**2


def measured(settings, classifier, images=None, **keys):
    return room.measure(job_of(settings, "features", classifier=classifier, images=images or some_images(), **keys))


def test_a_linear_unit_is_excited_most_by_the_corner_of_the_box_that_its_weights_name():
    """max ⟨w, x⟩ over [0, 1] is the sum of the positive weights; in a ball of radius ε around grey, ½Σw + ε‖w‖."""
    drawn = torch.randn(3, D, generator=torch.Generator().manual_seed(0))
    weight = drawn.sign() * (0.5 + drawn.abs())  # none is so small that its pixel hardly moves
    found = measured(Features(units=(0, 2), iterations=60, purity_images=4), plain(weight)).rows
    np.testing.assert_allclose(found["activation"], weight[[0, 2]].clamp_min(0).sum(1), rtol=1e-5)
    ball = measured(Features(units=(0, 2), iterations=60, eps=0.5, step=0.1, purity_images=4), plain(weight)).rows
    expected = weight[[0, 2]].sum(1) / 2 + 0.5 * weight[[0, 2]].norm(dim=1)
    np.testing.assert_allclose(ball["activation"], expected, rtol=1e-4)


def test_images_of_one_class_make_a_pure_unit_and_the_class_is_named():
    images = some_images(16)
    pixels = images.images.astype(np.int64)
    pixels[images.labels == 2, 0] = 255  # the first channel is full in class 2, and nowhere else
    pixels[images.labels != 2, 0] //= 4
    weight = torch.zeros(2, D)
    weight[0, : SIDE**2] = 1
    weight[1, SIDE**2 :] = 1
    given = ImageSet(pixels.astype(np.uint8), images.labels, None)
    result = measured(Features(units=(0, 1), iterations=2, top=2, purity_images=4), plain(weight), given)
    rows = result.rows
    assert rows["purity"][0] == 1 and rows["top_class"][0] == 2
    assert 0.25 < rows["chance_purity"][0] < 0.6 and rows["purity"][1] < 1
    assert (rows["firing"] == 1).all()
    own = given.images[:, 0].reshape(16, -1).sum(1)
    assert np.array_equal(result.arrays["most"][0, 0], given.images[own.argmax()])
    assert np.array_equal(result.arrays["least"][0, 0], given.images[own.argmin()])


def test_a_unit_that_never_fires_is_a_row_of_what_can_be_said():
    weight = torch.cat([torch.rand(1, D), -torch.rand(1, D) - 0.1])
    rows = measured(Features(units=(0, 1), iterations=3), plain(weight, relu=True)).rows
    silent = rows[rows["unit"] == 1].iloc[0]
    assert silent["firing"] == 0 and silent["natural_activation"] == 0
    assert np.isnan(silent["purity"]) and np.isnan(silent["gain"]) and silent["top_class"] == -1
    assert rows[rows["unit"] == 0].iloc[0].drop("judge_names_class").notna().all()


def test_a_unit_that_fires_on_too_few_images_has_no_purity():
    """Of images on which it is silent, any could come first."""
    weight = torch.zeros(1, D)
    weight[0, 0] = 1
    images = some_images()
    images.images[:, 0, 0, 0] = 0
    images.images[:3, 0, 0, 0] = 200
    for asked, defined in ((3, True), (4, False)):
        rows = measured(Features(units=(0,), iterations=1, purity_images=asked), plain(weight, relu=True), images).rows
        assert rows["purity"].notna().all() == defined and rows["firing"][0] == 0.25


def test_what_is_measured_is_there_with_a_judge_and_the_same_again():
    settings = Features(units=3, iterations=4, frames=3, top=2, purity_images=5, start="noise")
    one, two = (measured(settings, network(), judge=network(6, seed=2), batch=batch) for batch in (2, 50))
    assert tuple(one.rows.columns) == room.COLUMNS and list(one.rows["image"]) == [0, 1, 2]
    assert one.rows["judge_names_class"].isin([0, 1]).all()
    np.testing.assert_allclose(one.rows["activation"], two.rows["activation"], rtol=1e-4)
    assert (one.rows["activation"] >= one.rows["activation"] * 0).all()
    assert one.arrays["way"].shape == (3, 3, 3, SIDE, SIDE) and one.arrays["most"].shape == (3, 2, 3, SIDE, SIDE)
    start = one.arrays["way"][0]
    assert start.min() >= 114 and start.max() <= 141 and not np.array_equal(start[0], start[1])


def test_the_most_active_units_come_first():
    activations = np.array([[0, 3, 1, 3], [0, 3, 2, 4.0]])
    assert choose_units(activations, 3).tolist() == [3, 1, 2]
    assert choose_units(activations, (2, 0)).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("units", "words"),
    [
        (5, "5 units asked for, but the model's representation has 4"),
        (0, "0 units asked for"),
        ((1, 4, 9), "4, 9: the model's representation has units 0 to 3"),
        ((), "an empty list"),
        ((1, 1), "named twice"),
    ],
)
def test_units_that_are_not_there_are_refused(units, words):
    with pytest.raises(UserError, match=rf"instruments\.features\.units: .*{words}"):
        choose_units(np.zeros((2, 4)), units)


def test_purity_and_what_chance_makes_of_it():
    assert purity(np.array([1, 1, 2, 1])) == (0.75, 1) and purity(np.array([2, 1])) == (0.5, 1)
    labels = np.repeat(np.arange(CLASSES), 50)
    assert chance_purity(labels, 200, 0) == pytest.approx(1 / CLASSES)
    # Two of many: equal with one chance in four, else half.
    assert chance_purity(np.repeat(np.arange(CLASSES), 5000), 2, 0) == pytest.approx(0.625, abs=0.03)
    found = extremes(np.array([0.0, 2, 2, -1]), 2)
    assert found.most.tolist() == [1, 2] and found.least.tolist() == [3, 0]
