"""The silhouettes that are found again are those that were drawn."""

import numpy as np
import pytest

from shapelens.datasets.cues import draw
from shapelens.datasets.silhouettes import silhouettes
from shapelens.datasets.spec import Cues

PLAIN = Cues(kind="cues", classes=10, noise=0, texture=0)


@pytest.mark.parametrize("mode", ["both", "shape-only", "conflict"])
@pytest.mark.parametrize("size", [32, 48])
def test_a_drawn_image_is_two_colours_mixed_by_its_silhouette(mode, size):
    spec = PLAIN.model_copy(update={"size": size})
    drawn = draw(spec, count=20, stream="test", mode=mode, data_seed=4)
    which = [0, 3, 17, 11]
    covered = silhouettes(spec, drawn.labels[which], which, stream="test", mode=mode, data_seed=4)
    assert covered.shape == (4, size, size) and covered.min() == 0 and covered.max() == 1
    for mask, image in zip(covered, drawn.images[which] / 255, strict=True):
        assert 0.02 < mask.mean() < 0.5
        for channel in image:
            inside, outside = channel[mask == 1].mean(), channel[mask == 0].mean()
            np.testing.assert_allclose(channel, outside + mask * (inside - outside), atol=1 / 255)


def test_texture_noise_and_clutter_move_no_silhouette():
    cluttered = PLAIN.model_copy(update={"clutter": 5, "noise": 0.1, "texture": 0.05})
    found = [silhouettes(s, [3, 8], [5, 6], stream="test", mode="both", data_seed=1) for s in (PLAIN, cluttered)]
    np.testing.assert_array_equal(*found)


def test_another_seed_split_or_image_has_another_place():
    def of(**changes):
        what = {"stream": "test", "mode": "both", "data_seed": 1, **changes}
        return silhouettes(PLAIN, [3], what.pop("images", [5]), **what)

    for changes in ({"data_seed": 2}, {"stream": "validation"}, {"mode": "conflict"}, {"images": [6]}):
        assert (of() != of(**changes)).any(), changes
