"""Hybrids: the low frequencies of one image with the high ones of another."""

import numpy as np
import pytest

from shapelens.artefacts.files import ImageSet, open_image_set, read_json
from shapelens.errors import UserError
from shapelens.stylisation.detail import Exchange
from shapelens.transforms.fourier import high_pass, low_pass
from shapelens.transforms.mixed import hybrids, mixed_by_frequency, write_mixed_testset
from shapelens.transforms.spec import Hybrid, TextureExchange

RNG = np.random.default_rng(0)
# Around mid-grey, so that no hybrid leaves [0, 1] and nothing is clipped.
MILD = RNG.integers(100, 156, (6, 3, 16, 16), dtype=np.uint8)


def test_a_hybrid_of_an_image_with_itself_is_the_image():
    assert np.allclose(hybrids(MILD, MILD, 3), MILD / 255, atol=1e-6)


@pytest.mark.parametrize("radius", [0.5, 2, 3.5, 5])
def test_each_image_gives_its_own_band(radius):
    shapes, textures = MILD[:3], MILD[3:]
    mixed = hybrids(shapes, textures, radius).astype(np.float64)
    assert np.allclose(low_pass(mixed, radius), low_pass(shapes / 255, radius), atol=1e-6)
    assert np.allclose(high_pass(mixed, radius), high_pass(textures / 255, radius), atol=1e-6)


def test_hybrids_are_images():
    wild = RNG.integers(0, 2, (4, 3, 16, 16), dtype=np.uint8) * 255
    mixed = hybrids(wild[:2], wild[2:], 3)
    assert mixed.dtype == np.float32 and mixed.min() == 0 and mixed.max() == 1


def test_the_set_names_the_class_of_both_cues(tmp_path):
    labels = np.array([0, 1, 2, 0, 1, 2])
    source = ImageSet(MILD, labels, np.full(6, -1))
    write_mixed_testset(source, Hybrid(count=5), mixed_by_frequency(3.0), 7, tmp_path, radius=3.0)
    made = open_image_set(tmp_path)
    assert made.labels.tolist() == [0, 1, 2, 0, 1] and (made.labels != made.textures).all()
    low = low_pass(np.asarray(made.images, dtype=np.float64), 3)
    assert np.allclose(low, low_pass(MILD[:5] / 255, 3), atol=1e-6)
    manifest = read_json(tmp_path / "manifest.json")
    assert manifest["radius"] == 3.0 and manifest["images"] == 5


def test_sets_that_cannot_be_mixed_are_refused(tmp_path):
    with pytest.raises(UserError, match="no images"):
        write_mixed_testset(
            ImageSet(MILD[:0], np.zeros(0, int), np.zeros(0, int)), Hybrid(), mixed_by_frequency(3.0), 0, tmp_path
        )
    with pytest.raises(UserError, match="class"):
        write_mixed_testset(
            ImageSet(MILD, np.zeros(6, int), np.full(6, -1)), Hybrid(), mixed_by_frequency(3.0), 0, tmp_path
        )


def test_textures_are_exchanged_between_the_same_pairs(tmp_path):
    labels = np.array([0, 1, 2, 0, 1, 2])
    source = ImageSet(MILD, labels, np.full(6, -1))
    write_mixed_testset(source, TextureExchange(), Exchange(2.0, 7), 7, tmp_path / "a")
    write_mixed_testset(source, Hybrid(), mixed_by_frequency(3.0), 7, tmp_path / "b", radius=3.0)
    made, hybrid = open_image_set(tmp_path / "a"), open_image_set(tmp_path / "b")
    assert np.array_equal(made.textures, hybrid.textures) and np.array_equal(made.labels, labels)
    assert not np.array_equal(made.images, hybrid.images) and "radius" not in read_json(
        tmp_path / "a" / "manifest.json"
    )
