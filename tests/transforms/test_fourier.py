"""Fourier filters against their closed forms (RECIPES §9)."""

import numpy as np
import pytest

from shapelens.errors import UserError
from shapelens.transforms.fourier import high_pass, low_pass, random_filter, random_masks, squared_radii

RNG = np.random.default_rng(0)
SIZES = [(16, 16), (15, 15), (16, 12), (9, 14)]


def noise(size=(16, 16), count=2):
    return RNG.random((count, 3, *size))


def wave(fy, fx, size=(32, 32), phase=0.3):
    y, x = np.mgrid[: size[0], : size[1]]
    return np.cos(2 * np.pi * (fy * y / size[0] + fx * x / size[1]) + phase)[None, None]


def unshifted_low_pass(images, radius):
    """The released code's fault: distances in the unshifted spectrum from its middle, the Nyquist corner."""
    height, width = images.shape[-2:]
    y, x = np.mgrid[:height, :width]
    keep = np.hypot(y - (height // 2 - 1), x - (width // 2 - 1)) <= radius
    return np.fft.ifft2(np.fft.fft2(images) * keep)


def full_mask(half, width):
    """Extend a mask of the half spectrum by conjugation."""
    rest = half[..., 1 : (width + 1) // 2]
    mirrored = np.roll(rest[..., ::-1, ::-1], 1, axis=-2)
    return np.concatenate([half, mirrored], axis=-1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius", [0.5, 3, 5, 100])
def test_low_and_high_add_up(size, radius):
    x = noise(size)
    np.testing.assert_allclose(low_pass(x, radius) + high_pass(x, radius), x, atol=1e-14)
    low = low_pass(x.astype(np.float32), radius)
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, low_pass(x, radius), atol=1e-6)


@pytest.mark.parametrize(("fy", "fx"), [(0, 3), (3, 0), (3, 4), (-3, 4), (0, 5), (1, 15)])
def test_a_sinusoid_passes_or_vanishes(fy, fx):
    x, radius = wave(fy, fx), np.hypot(fy, fx)
    np.testing.assert_allclose(low_pass(x, radius), x, atol=1e-12)
    np.testing.assert_allclose(low_pass(x, radius - 0.01), 0, atol=1e-12)
    np.testing.assert_allclose(high_pass(x, radius), 0, atol=1e-12)
    np.testing.assert_allclose(high_pass(x, radius - 0.01), x, atol=1e-12)


def test_the_sinusoid_catches_radii_from_the_nyquist_corner():
    slow = wave(0, 3)
    assert np.abs(unshifted_low_pass(slow, 5) - slow).max() > 0.9
    # Its mask is not Hermitian either: the result of a real image is not real.
    assert np.abs(unshifted_low_pass(noise((32, 32)), 5).imag).max() > 1e-3


def test_mean_and_range():
    x = noise()
    np.testing.assert_allclose(high_pass(x, 2).mean((2, 3)), 0, atol=1e-15)
    np.testing.assert_allclose(low_pass(x, 2).mean((2, 3)), x.mean((2, 3)))
    assert high_pass(x, 2).min() < 0  # nothing is clipped or added


@pytest.mark.parametrize("size", SIZES)
def test_masks_are_hermitian_and_results_real(size):
    height, width = size
    x = noise(size)
    half = random_masks(x.shape, 0.4, seed=1)
    for keep, out in [
        (half, random_filter(x, 0.4, seed=1)),
        (np.broadcast_to(squared_radii(*size) <= 9, half.shape), low_pass(x, 3)),
    ]:
        mask = full_mask(keep, width)
        assert mask.shape == x.shape
        conjugate = np.roll(mask[..., ::-1, ::-1], 1, axis=(-2, -1))
        assert np.array_equal(mask, conjugate)
        spectral = np.fft.ifft2(np.fft.fft2(x) * mask)
        assert np.abs(spectral.imag).max() < 1e-12
        np.testing.assert_allclose(out, spectral.real, atol=1e-12)
        # Parseval: the energy kept is the energy of the modes kept.
        energy = (np.abs(np.fft.fft2(x)) ** 2 * mask).sum((2, 3)) / (height * width)
        np.testing.assert_allclose((out**2).sum((2, 3)), energy)


def test_hermitian_catches_masks_without_conjugates():
    x = noise()
    free = RNG.random(x.shape) > 0.4
    assert np.abs(np.fft.ifft2(np.fft.fft2(x) * free).imag).max() > 1e-3


def test_random_filter_extremes():
    x = noise()
    np.testing.assert_allclose(random_filter(x, 0, seed=0), x, atol=1e-14)
    assert not random_filter(x, 1, seed=0).any()
    only_mean = random_filter(x, 1, seed=0, keep_mean=True)
    np.testing.assert_allclose(only_mean, np.broadcast_to(x.mean((2, 3), keepdims=True), x.shape))


def test_random_filter_is_drawn_per_image_and_channel():
    shape = (8, 3, 16, 16)
    whole = random_masks(shape, 0.1, seed=5)
    assert np.array_equal(whole[3:], random_masks((5, *shape[1:]), 0.1, seed=5, first=3))
    assert not np.array_equal(whole, random_masks(shape, 0.1, seed=6))
    flat = whole.reshape(24, -1)
    assert len(np.unique(flat, axis=0)) == 24


def test_modes_are_dropped_at_the_given_rate_the_mean_among_them():
    keep = random_masks((400, 3, 8, 8), 0.1, seed=0)
    dropped = 1 - keep.mean((0, 1))  # of 1200 draws: standard error 0.0087
    assert np.abs(dropped - 0.1).max() < 5 * 0.0087
    assert 0.05 < dropped[0, 0] < 0.15
    assert random_masks((400, 3, 8, 8), 0.9, seed=0, keep_mean=True)[..., 0, 0].all()


def test_refusals():
    for bad in (0, -2, float("nan")):
        with pytest.raises(UserError, match="radius"):
            low_pass(noise(), bad)
        with pytest.raises(UserError, match="radius"):
            high_pass(noise(), bad)
    with pytest.raises(UserError, match="probability"):
        random_filter(noise(), 1.5, seed=0)
