"""Pictures of images made for each class."""

import numpy as np
from matplotlib.text import Text

from shapelens.names.display import Display
from shapelens.names.models import ModelInfo
from shapelens.plots import class_images

from ..tidy_data import shown


def test_draws_come_first_and_then_what_each_model_made():
    rng = np.random.default_rng(0)
    start = rng.integers(0, 256, (1, 2, 3, 6, 6)).astype(np.uint8)
    found = {
        name: {
            "classes": np.array([1, 3]),
            "steps": np.array([0, 5]),
            "way": np.concatenate([start, rng.integers(0, 256, start.shape).astype(np.uint8)]),
        }
        for name in ("standard", "underfit")
    }
    models = [ModelInfo(name=name, family=name) for name in found]
    given = shown("class_images", models, arrays=lambda _: found, class_names=lambda: ["a", "b", "c", "d"])
    figure = class_images.pictures(given, Display())
    drawn = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    expected = [*start[0], *found["standard"]["way"][1], *found["underfit"]["way"][1]]
    for picture, pixels in zip(drawn, expected, strict=True):
        np.testing.assert_allclose(picture, pixels.transpose(1, 2, 0) / 255, atol=1e-6)
    assert {"b", "d", "Draws"} <= {text.get_text() for text in figure.findobj(Text)}
    assert len(class_images.pictures_frames(given, Display())) == 2
