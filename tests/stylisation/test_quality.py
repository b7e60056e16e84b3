"""Texture removed and shape kept: closed forms, what must not move them, and what must be refused."""

from dataclasses import dataclass

import numpy as np
import pytest

from shapelens.datasets import cues
from shapelens.datasets.cues import TEXTURES, draw
from shapelens.datasets.spec import Cues
from shapelens.errors import UserError
from shapelens.stylisation import quality
from shapelens.stylisation.quality import check, measure, write_quality
from shapelens.transforms.patch_shuffle import patch_permutations, shuffle_patches

SPEC = Cues(kind="cues", contrast=(0.15, 0.45), scale=(0.7, 0.95))


@dataclass(frozen=True)
class Limits:
    min_texture_removed: float = 0.35
    min_shape_kept: float = 0.3


@pytest.fixture(scope="module")
def images():
    return draw(SPEC, count=64, stream="test", mode="both", data_seed=0).images


@pytest.fixture(scope="module")
def swapped():
    """The same silhouettes under another class's texture, louder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cues, "TEXTURES", TEXTURES[3:8] + TEXTURES[:3] + TEXTURES[8:])
        return draw(SPEC.model_copy(update={"texture": 0.1}), count=64, stream="test", mode="both", data_seed=0).images


def wave(cycles_down, cycles_across, side=32, phase=0.0):
    y, x = np.mgrid[:side, :side] / side
    return (0.5 + 0.3 * np.sin(2 * np.pi * (cycles_down * y + cycles_across * x) + phase))[None, None].repeat(3, axis=1)


def test_identical_images(images):
    removed, kept = measure(images, images)
    np.testing.assert_array_equal(removed, 0)
    np.testing.assert_allclose(kept, 1, atol=1e-12)


def test_a_wave_replaced_by_another_is_wholly_removed():
    # Three bins apart in patches of 8 pixels, so that the Hann window's lobes, one bin to either side, do not touch.
    assert measure(wave(0, 12), wave(12, 0))[0] == pytest.approx(1, abs=1e-9)
    assert measure(wave(0, 8), wave(8, 12))[0] > 0.9


def test_a_wave_of_another_phase_or_amplitude_is_the_same_texture():
    assert measure(wave(0, 8), wave(0, 8, phase=1.3))[0] < 0.01
    assert measure(wave(0, 8), 0.3 * wave(0, 8) + 0.5)[0] == pytest.approx(0, abs=1e-12)


def test_half_of_the_power_is_half_of_the_distance():
    both = wave(0, 12) + wave(12, 0) - 0.5
    assert measure(wave(0, 12), both)[0] == pytest.approx(0.5, abs=1e-9)


def test_brightness_and_contrast_and_channel_order_change_nothing(images):
    # float throughout: rounding to 8 bits would remove the faintest textures.
    removed, kept = measure(images, 0.7 * images[:, ::-1] / 255 + 0.2)
    np.testing.assert_allclose(removed, 0, atol=1e-9)
    np.testing.assert_allclose(kept, 1, atol=1e-9)


def test_a_good_stylisation_passes(images, swapped):
    removed, kept = measure(images, swapped)
    assert removed.mean() > 0.65 and kept.mean() > 0.95
    check(removed, kept, Limits(), "stylised")


@pytest.mark.parametrize("fault", ["other image", "constant", "noise", "shuffled"])
def test_a_lost_shape_is_seen_and_refused(images, fault):
    rng = np.random.default_rng(0)
    lost = {
        "other image": np.roll(images, 1, axis=0),
        "constant": np.full(images.shape, 0.4, dtype=np.float32),
        "noise": rng.random(images.shape),
        "shuffled": shuffle_patches(images, patch_permutations(len(images), 4, 0)),
    }[fault]
    removed, kept = measure(images, lost)
    assert kept.mean() < 0.1
    with pytest.raises(UserError, match=r"shape is lost.*min_shape_kept") as error:
        check(removed, kept, Limits(), "stylised")
    assert "The texture is still there" not in str(error.value)


def test_a_kept_texture_is_seen_and_refused(images):
    rng = np.random.default_rng(0)
    removed, kept = measure(images, np.clip(images / 255 + rng.normal(0, 0.01, images.shape), 0, 1))
    assert removed.mean() < 0.1 and kept.mean() > 0.99
    with pytest.raises(UserError, match=r"stylised: .*texture removed 0\.\d{3} ± .*0\.35 .*raise detail.* or alpha"):
        check(removed, kept, Limits(), "stylised")


def test_a_common_layout_is_no_shape_kept():
    # All images have the same frame and a square of their own; a stylised set that keeps the frame alone keeps nothing.
    rng = np.random.default_rng(0)
    frame = np.full((24, 3, 32, 32), 0.2)
    frame[:, :, 4:28, 4:28] = 0.6
    own = frame.copy()
    for image in own:
        y, x = rng.integers(6, 20, 2)
        image[:, y : y + 6, x : x + 6] = 0.9
    kept = measure(own, np.roll(own, 1, axis=0))[1].mean()
    assert kept < 0.2
    # A planted fault: plain correlation takes the frame for the shape.
    plain = [
        np.corrcoef(a, b)[0, 1] for a, b in zip(*map(quality.edge_map, (own, np.roll(own, 1, axis=0))), strict=True)
    ]
    assert np.mean(plain) > 0.5


def test_fine_texture_of_flat_areas_counts(images, swapped):
    faint = measure(images, swapped)[0].mean()
    spectra = [np.abs(np.fft.fft2(x / 255 - x.mean((-2, -1), keepdims=True) / 255)) ** 2 for x in (images, swapped)]
    whole = [s.sum(1).reshape(len(s), -1) / s.sum((1, 2, 3))[:, None] for s in spectra]
    # A planted fault: one spectrum of the whole image holds little but the silhouette.
    assert 0.5 * np.abs(whole[0] - whole[1]).sum(1).mean() < 0.3 < faint


def test_degenerate_images():
    flat, textured = np.full((1, 3, 32, 32), 0.5), wave(0, 12)
    edged = textured * (np.mgrid[:32, :32][0] > 15)
    for original, stylised, removed, kept in (
        (flat, flat, 0, 1),
        (flat, edged, 0, 0),
        (edged, flat, 1, 0),
        (flat, flat + np.float32(1e-7), 0, 1),
    ):
        found = measure(original, stylised)
        assert (found[0].item(), found[1].item()) == (removed, kept)
    twins = np.concatenate([edged, edged])
    np.testing.assert_allclose(measure(twins, twins)[1], 1)
    assert [len(part) for part in measure(twins[:0], twins[:0])] == [0, 0]


def test_chunks_and_dtypes_do_not_matter(images, swapped, monkeypatch):
    whole = measure(images, swapped)
    monkeypatch.setattr(quality, "CHUNK_VALUES", 7 * 3 * 32 * 32)
    for part, chunked in zip(whole, measure(images, (swapped / 255).astype(np.float32)), strict=True):
        np.testing.assert_allclose(chunked, part, atol=1e-5)
        assert ((part >= 0) & (part <= 1)).all() and part.dtype == np.float64


@pytest.mark.parametrize("shape", [(2, 1, 9, 33), (2, 3, 70, 64), (1, 3, 224, 224)])
def test_any_shape(shape):
    x = np.random.default_rng(0).random(shape)
    removed, kept = measure(x, x)
    np.testing.assert_allclose(removed, 0)
    np.testing.assert_allclose(kept, 1)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="both must be"):
        measure(np.zeros((2, 3, 32, 32)), np.zeros((3, 3, 32, 32)))
    with pytest.raises(ValueError, match="too small"):
        measure(np.zeros((2, 3, 7, 32)), np.zeros((2, 3, 7, 32)))


def test_check_refuses_beyond_chance_alone():
    limits = Limits(min_texture_removed=0.5, min_shape_kept=0.5)
    good = np.full(4, 0.9)
    check(np.array([0.2, 0.4, 0.6, 0.7]), good, limits, "few")  # mean 0.475, but the interval holds 0.5
    with pytest.raises(UserError, match="texture is still there"):
        check(np.tile([0.2, 0.4, 0.6, 0.7], 100), np.tile(good, 100), limits, "many")
    with pytest.raises(UserError, match="shape is lost"):
        check(np.array([0.9]), np.array([0.49]), limits, "one")
    with pytest.raises(UserError, match=r"texture is still there.*shape is lost"):
        check(np.zeros(9), np.zeros(9), limits, "both")
    with pytest.raises(ValueError, match="no images"):
        check(np.empty(0), np.empty(0), limits, "none")


def test_written_file(tmp_path):
    write_quality(tmp_path / "quality.csv", np.array([0.123456789, 0]), np.array([1, 2e-5]))
    text = (tmp_path / "quality.csv").read_bytes()
    assert text == b"image,texture_removed,shape_kept\n0,0.123457,1\n1,0,2e-05\n"
