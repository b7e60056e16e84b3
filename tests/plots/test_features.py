"""Pictures of what excites single units."""

import numpy as np
from matplotlib.text import Text

from shapelens.names.display import Display
from shapelens.names.models import ModelInfo
from shapelens.plots import features

from ..tidy_data import shown

MODELS = [ModelInfo(name=name, family=name) for name in ("standard", "underfit")]


def arrays(seed=0, units=3, top=2):
    rng = np.random.default_rng(seed)

    def pixels(*shape):
        return rng.integers(0, 256, (*shape, 3, 6, 6)).astype(np.uint8)

    return {
        "units": np.arange(units) + 7,
        "steps": np.array([0, 4]),
        "way": pixels(2, units),
        "most": pixels(units, top),
        "least": pixels(units, top),
        "purity": np.array([1.0, np.nan, np.nan])[:units],
        "firing": np.array([0.9, 0.1, 0.0])[:units],
    }


def given(**found):
    return shown("features", MODELS, arrays=lambda _: found)


def test_a_row_has_what_was_made_and_what_was_found():
    found = {"standard": arrays(), "underfit": arrays(1)}
    figure = features.pictures(given(**found), Display())
    drawn = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    own = found["underfit"]
    expected = [own["way"][-1, 0], *own["most"][0], *own["least"][0]]
    for picture, pixels in zip(drawn[15:20], expected, strict=True):
        np.testing.assert_allclose(picture, pixels.transpose(1, 2, 0) / 255, atol=1e-6)
    words = [text.get_text() for text in figure.findobj(Text)]
    assert {"unit 7", "100% one class", "–", "silent", "Standard", "Underfit"} <= set(words)


def test_frames_go_from_the_start_to_what_was_made():
    frames = features.pictures_frames(given(standard=arrays()), Display())
    assert len(frames) == 2
    first = np.asarray(frames[1].axes[0].images[0].get_array())
    np.testing.assert_allclose(first, arrays()["way"][1, 0].transpose(1, 2, 0) / 255, atol=1e-6)
