"""Sets that suppress texture or colour, and the control of the patch shuffle, against closed forms and peers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from torchvision.transforms.v2.functional import rgb_to_grayscale

from shapelens.errors import UserError
from shapelens.transforms.blur import BILATERAL_REACH, BLUR_REACH, bilateral, gaussian_blur, gaussian_kernel
from shapelens.transforms.colour import channel_permutations, greyscale, shuffle_channels
from shapelens.transforms.patch_frame import behind_seams, frame_patches
from shapelens.transforms.patch_shuffle import patch_permutations, shuffle_patches
from shapelens.transforms.spec import frame_width, has_interior

from .test_fuzz import FUZZ, SEEDS

RNG = np.random.default_rng(0)


def colours(count=4, side=32):
    return RNG.integers(0, 256, (count, 3, side, side), dtype=np.uint8)


# Gaussian blur


def test_an_impulse_becomes_the_kernel():
    x = np.zeros((1, 1, 41, 41))
    x[..., 20, 20] = 1
    found = gaussian_blur(x, 2 / 41)[0, 0]
    places = np.arange(41) - 20
    square = places[:, None] ** 2 + places**2
    np.testing.assert_allclose(found[12:29, 12:29], (np.exp(-square / 8) / (8 * np.pi))[12:29, 12:29], rtol=1e-3)
    assert found.sum() == pytest.approx(1) and not found[:, :12].any()


@pytest.mark.parametrize("half_waves", [0, 1, 5, 16])
def test_a_wave_that_fits_the_mirrored_image_keeps_the_gaussians_share(half_waves):
    """cos(πk(x+½)/N) is an eigenfunction of every symmetric filter under mirror continuation, the border included."""
    side, sigma = 64, 0.04
    wave = np.cos(np.pi * half_waves * (np.arange(side) + 0.5) / side)
    found = gaussian_blur(np.broadcast_to(wave, (2, 3, side, side)), sigma)
    share = np.exp(-2 * np.pi**2 * sigma**2 * (half_waves / 2) ** 2)
    np.testing.assert_allclose(found, np.broadcast_to(share * wave, found.shape), atol=1e-4)


def test_blur_is_that_of_scipy_and_scales_with_the_side():
    x = RNG.random((2, 3, 24, 30))
    peer = gaussian_filter(x, (0, 0, 0.05 * 24, 0.05 * 30), mode="reflect", radius=(0, 0, 5, 6))
    np.testing.assert_allclose(gaussian_blur(x, 0.05), peer, atol=1e-12)
    # The same picture at twice the resolution is blurred alike.
    wave = [np.cos(2 * np.pi * 3 * (np.arange(side) + 0.5) / side)[None, None, None] for side in (64, 128)]
    small, large = (gaussian_blur(np.repeat(w, w.shape[-1], axis=2), 0.04) for w in wave)
    assert np.abs(large).max() == pytest.approx(np.abs(small).max(), rel=0.01)


@pytest.mark.parametrize("blur", [lambda x: gaussian_blur(x, 0.1), lambda x: bilateral(x, 0.1, 0.2)])
def test_blurs_stay_in_range_keep_flat_images_and_channels_apart_in_place(blur):
    x = RNG.random((3, 3, 16, 16)).astype(np.float32)
    out = blur(x)
    assert out.dtype == x.dtype and out.min() >= x.min() and out.max() <= x.max()
    np.testing.assert_allclose(blur(np.full_like(x, 0.3)), 0.3, rtol=1e-6)
    np.testing.assert_allclose(blur(x[..., ::-1])[..., ::-1], out, atol=1e-6)
    np.testing.assert_allclose(blur(x[1:2]), out[1:2])


def test_kernels():
    for reach in (BLUR_REACH, BILATERAL_REACH):
        kernel = gaussian_kernel(1.5, reach)
        assert len(kernel) == 2 * 1.5 * reach + 1 and kernel.sum() == pytest.approx(1)
        assert kernel[len(kernel) // 2 + 1] / kernel.max() == pytest.approx(np.exp(-1 / 4.5))


# Bilateral filter


def by_hand(x, sigma, range_sigma, n, row, column):
    """One pixel of the bilateral filter, as its definition says."""
    side = x.shape[-1]
    radius = int(np.ceil(2 * sigma * side))
    mirrored = np.pad(x[n], [(0, 0), (radius, radius), (radius, radius)], mode="symmetric")
    above, below = np.zeros(3), 0.0
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            other = mirrored[:, radius + row + dy, radius + column + dx]
            near = np.exp(-(dy**2 + dx**2) / (2 * (sigma * side) ** 2))
            alike = np.exp(-np.sum((other - x[n, :, row, column]) ** 2) / (2 * range_sigma**2))
            above, below = above + near * alike * other, below + near * alike
    return above / below


def test_bilateral_is_its_definition():
    x = RNG.random((2, 3, 12, 12))
    found = bilateral(x, 0.12, 0.3)
    for n, row, column in ((0, 0, 0), (0, 5, 7), (1, 11, 3)):
        np.testing.assert_allclose(found[n, :, row, column], by_hand(x, 0.12, 0.3, n, row, column), rtol=1e-12)


def test_bilateral_with_any_colour_alike_is_the_blur_with_its_kernel():
    x = RNG.random((2, 3, 20, 20))
    blur = gaussian_filter(x, (0, 0, 2, 2), mode="reflect", truncate=BILATERAL_REACH)
    np.testing.assert_allclose(bilateral(x, 0.1, np.inf), blur, atol=1e-12)
    np.testing.assert_allclose(bilateral(x, 0.1, 1e-3), x, atol=1e-6)  # and with none alike the image


def test_bilateral_takes_faint_texture_and_keeps_an_edge():
    stripes = 0.03 * (np.arange(32) % 2)
    x = np.broadcast_to(0.2 + stripes + 0.6 * (np.arange(32) >= 16), (1, 3, 32, 32))
    row = bilateral(x, 0.06, 0.2)[0, 0, 5]
    assert np.ptp(row[4:12]) < 0.005 and row[16] - row[15] > 0.55
    assert gaussian_blur(x, 0.06)[0, 0, 5, 16] - gaussian_blur(x, 0.06)[0, 0, 5, 15] < 0.15


# Colour


def test_greyscale_is_pillows_and_torchvisions():
    x = colours()
    x[0, :, 0, :3] = np.eye(3, dtype=np.uint8) * 255
    found = greyscale(x)
    assert found[0, 0, 0, :3].tolist() == [76, 150, 29]  # 0.299, 0.587 and 0.114 of 255
    assert np.array_equal(found[:, 0], found[:, 1]) and np.array_equal(found[:, 0], found[:, 2])
    for n in range(len(x)):
        assert np.array_equal(found[n, 0], np.asarray(Image.fromarray(x[n].transpose(1, 2, 0)).convert("L")))
    peer = rgb_to_grayscale(torch.from_numpy(x / 255)).numpy()
    assert np.abs(found[:, :1] / 255 - peer).max() < 0.001 + 0.5 / 255
    assert np.array_equal(greyscale(found), found)  # grey stays as it is


def test_channels_are_permuted_never_left_and_all_five_ways():
    drawn = channel_permutations(3000, seed=0)
    ways, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(ways) == 5 and [0, 1, 2] not in ways.tolist()
    assert ((counts - 600) ** 2 / 600).sum() < 23  # 4 degrees of freedom: exceeded with probability 1e-4
    x = colours(20)
    out = shuffle_channels(x, drawn[:20])
    assert np.array_equal(np.sort(out, axis=1), np.sort(x, axis=1))
    assert all(np.array_equal(out[n, c], x[n, drawn[n, c]]) for n in range(20) for c in range(3))
    assert np.array_equal(shuffle_channels(out, np.argsort(drawn[:20], axis=1)), x)


def test_channel_draws_depend_on_seed_and_index_alone():
    parts = [channel_permutations(4, 3), channel_permutations(6, 3, first=4)]
    assert np.array_equal(np.concatenate(parts), channel_permutations(10, 3))
    assert not np.array_equal(channel_permutations(10, 3), channel_permutations(10, 4))


@pytest.mark.parametrize("change", [greyscale, lambda x: shuffle_channels(x, np.zeros((1, 3), int))])
def test_colour_needs_three_channels(change):
    with pytest.raises(UserError, match="1 channels"):
        change(np.zeros((1, 1, 4, 4), np.uint8))


# Patch frames


@FUZZ
@given(k=st.sampled_from([2, 3, 4, 6]), patch=st.sampled_from([5, 8, 22]), seed=SEEDS)
def test_frames_have_the_shuffles_pixels_behind_the_seams_and_else_the_images_own(k, patch, seed):
    side = k * patch
    x = np.random.default_rng(1).integers(0, 256, (3, 3, side, side), dtype=np.uint8)
    permutations = patch_permutations(3, k, seed)
    out, shuffled, width = frame_patches(x, permutations), shuffle_patches(x, permutations), frame_width(side)
    for axis in (2, 3):
        for seam in range(patch, side, patch):
            at = range(seam, seam + width)
            assert np.array_equal(out.take(at, axis), shuffled.take(at, axis))
    starts = range(0, side, patch)
    for top in starts:
        for left in starts:
            inside = np.s_[..., top + width : top + patch, left + width : left + patch]
            assert np.array_equal(out[inside], x[inside])
    # The border of the image is no seam.
    assert np.array_equal(out[..., :patch, :patch], x[..., :patch, :patch])
    still = np.tile(np.arange(k * k), (3, 1))
    assert np.array_equal(frame_patches(x, still), x)


def test_frames_are_as_wide_as_the_picture_asks():
    assert [frame_width(side) for side in (24, 32, 64, 65, 224)] == [1, 1, 1, 2, 4]
    assert np.flatnonzero(behind_seams(12, 3)).tolist() == [4, 8]
    assert np.flatnonzero(behind_seams(130, 2)).tolist() == [65, 66, 67]
    assert [has_interior(32, k) for k in (2, 8, 16)] == [True, True, False]
    with pytest.raises(UserError, match=r"k = 16.*smaller k"):
        frame_patches(colours(), patch_permutations(4, 16, 0))


@pytest.mark.parametrize(
    "blur", [lambda s: gaussian_blur(np.zeros((1, 4, 4)), s), lambda s: bilateral(np.zeros((1, 3, 4, 4)), s, 1)]
)
def test_widths_are_above_zero(blur):
    with pytest.raises(UserError, match="sigma 0 must be above 0"):
        blur(0)
