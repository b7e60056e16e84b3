"""Attributions laid over images."""

import numpy as np
import pytest

from shapelens.attribution.saved_maps import read_maps
from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.plots.overlays import RAISES, color_of, overlay, overlays
from shapelens.plots.save import save_figure

from ..tidy_data import grid, shown

COUNT = 4
PICTURES = np.random.default_rng(0).random((COUNT, 3, 8, 8)).astype(np.float32)
METHODS = ("integrated-gradients", "expected-gradients")


@pytest.fixture
def paths(tmp_path):
    found = {}
    for place, model in enumerate(grid()):
        path = tmp_path / f"{model.name}.npz"
        rng = np.random.default_rng(place)
        np.savez(
            path,
            methods=np.array(["grad", *METHODS]),
            testsets=np.array(["clean"]),
            images=np.array([4, 9, 2, 7]),
            maps=rng.normal(size=(3, 1, COUNT, 3, 8, 8)).astype(np.float32),
            gap_error=np.where(np.arange(3)[:, None, None] > 1, 0.25, np.full((3, 1, COUNT), np.nan)),
            completeness_gap=np.where(np.arange(3)[:, None, None] > 0, place + rng.random((3, 1, COUNT)), np.nan),
        )
        found[model.name] = path
    return found


def draw(maps, pictures=PICTURES, **options):
    opened = maps if callable(maps) else lambda *which: read_maps(maps, *which)
    options = {"methods": METHODS, **options}
    what = shown(options=options, testsets=("clean",), dataset="cues", maps=opened, pictures=lambda name: pictures)
    return overlays(what, Display())


def test_each_method_has_a_block_of_models_and_each_map_its_gap(paths, tmp_path):
    figure = draw(paths, images=3, exemplars=True)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(figure.axes[0].get_images()) == 3 + 3 * 3 * 2
    assert "Integrated Gradients" in texts and "Expected Gradients" in texts and texts.count("Standard") == 2
    with np.load(paths["pgd-inf-8"]) as file:
        integrated, expected = file["completeness_gap"][1:, 0, 1]
    assert f"{integrated:.2g}" in texts and f"{expected:.2g} ± 0.2" in texts
    save_figure(figure, tmp_path / "a.png", tmp_path / "a.pdf", 100)


def test_all_models_and_images_of_one_method_and_no_gap_where_none_is_stated(paths):
    assert len(draw(paths, methods=["expected-gradients"]).axes[0].get_images()) == COUNT * 12
    figure = draw(paths, methods=["grad"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert not [text for text in texts if text[:1].isdigit()]


def test_a_map_of_zeros_or_of_no_numbers_is_undefined_and_not_a_plain_image(paths):
    def changed(*which):
        maps = read_maps(paths, *which)
        maps.maps["standard"][0] = 0
        maps.maps["standard"][1] = np.nan
        return maps

    texts = [text.get_text() for text in draw(changed, methods=METHODS[:1]).axes[0].texts]
    assert texts.count("undefined") == 2


def test_maps_of_other_images_or_none_are_refused(paths):
    with pytest.raises(UserError, match="not of the same images"):
        draw(paths, pictures=np.concatenate([PICTURES, PICTURES]))
    alone = {"stranger": paths["standard"]}
    with pytest.raises(UserError, match="no model of the grid"):
        draw(alone)


def test_an_overlay_is_the_faded_image_where_the_map_is_0_and_its_colour_where_it_is_strongest():
    image, raw = np.zeros((3, 4, 4), np.float32), np.zeros((3, 4, 4), np.float32)
    image[:, 1, 1] = 1
    raw[:, 2, 3] = 5.0
    raw[:, 0, 0] = -2.5
    for signed in (False, True):
        found = overlay(image, raw, signed=signed)
        assert found[3, 3] == pytest.approx(0.65) and found[1, 1] == pytest.approx(1.0)
        assert found[2, 3] == pytest.approx(color_of(RAISES), abs=0.01)
        assert (found[0, 0, 2] > found[0, 0, 0]) == signed, "blue where it lowers the score"
    # Channels that cancel have a magnitude, but no sign.
    raw[:] = 0
    raw[0, 2, 3], raw[1, 2, 3], raw[2, 0, 0] = 1.0, -1.0, 0.1
    assert overlay(image, raw, signed=True)[2, 3] == pytest.approx(0.65)
    assert overlay(image, raw, signed=False)[2, 3] == pytest.approx(color_of(RAISES), abs=0.01)


def test_an_image_is_brought_to_the_size_of_its_map():
    image = np.zeros((3, 4, 4), np.float32)
    image[:, :2] = 1
    found = overlay(image, np.zeros((3, 8, 8), np.float32), signed=False)
    assert (found[:4] == 1).all() and found[4:] == pytest.approx(0.65)
