"""What holds of the transforms for images of every shape, type and level."""

import os

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shapelens.errors import UserError
from shapelens.transforms.apply import transform
from shapelens.transforms.fourier import high_pass, low_pass, random_filter, random_masks
from shapelens.transforms.patch_shuffle import patch_permutations, shuffle_patches
from shapelens.transforms.saturation import saturate
from shapelens.transforms.spec import Clean, HighPass, LowPass, PatchShuffle, RandomFilter, Saturation

FUZZ = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")),
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 13), st.integers(1, 13))
UNIT = st.floats(0, 1, width=32)
IMAGES = SHAPES.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=UNIT))
LEVELS = st.one_of(st.floats(1e-3, 1e6), st.sampled_from([5e-324, 1e-300, 2.0, 1e308, float("inf")]))
SEEDS = st.integers(0, 2**63 - 1)


@FUZZ
@given(images=IMAGES, level=LEVELS, single=st.booleans())
def test_saturation_keeps_range_order_and_symmetry(images, level, single):
    images = images.astype(np.float32 if single else np.float64)
    out = saturate(images, level)
    assert out.shape == images.shape and out.dtype == images.dtype
    assert ((out >= 0) & (out <= 1)).all()
    order = np.argsort(images, axis=None)
    assert (np.diff(out.ravel()[order]) >= 0).all()
    fixed = np.array([0, 0.5, 1], images.dtype)
    np.testing.assert_array_equal(saturate(fixed, level), fixed)
    np.testing.assert_array_equal(saturate(images, 2.0), images)
    # Light and dark are treated alike; 1 − v rounds, which steep curves enlarge.
    exact = np.round(images * 64) / 64
    np.testing.assert_allclose(saturate(1 - exact, level), 1 - saturate(exact, level), atol=1e-6)


@FUZZ
@given(images=IMAGES, p=st.floats(0.1, 100), q=st.floats(1, 100))
def test_saturations_compose(images, p, q):
    np.testing.assert_allclose(saturate(saturate(images, q), p), saturate(images, p * q / 2), atol=1e-6)


@FUZZ
@given(shape=SHAPES, k=st.integers(1, 6), seed=SEEDS, first=st.integers(0, 10**6), data=st.data())
def test_a_shuffle_moves_patches_and_nothing_else(shape, k, seed, first, data):
    count, channels, height, width = shape
    shape = (count, channels, height * k, width * k)
    kind = data.draw(st.sampled_from([np.uint8, np.float32, np.int64]))
    images = np.random.default_rng(seed).integers(0, 256, shape).astype(kind)
    order = patch_permutations(count, k, seed, first)
    out = shuffle_patches(images, order)
    assert out.shape == shape and out.dtype == kind
    np.testing.assert_array_equal(np.sort(out, axis=None), np.sort(images, axis=None))
    np.testing.assert_array_equal(shuffle_patches(out, np.argsort(order, axis=1)), images)
    for place in range(k * k):
        top, left = place // k * height, place % k * width
        patch = out[0, :, top : top + height, left : left + width]
        top, left = order[0, place] // k * height, order[0, place] % k * width
        np.testing.assert_array_equal(patch, images[0, :, top : top + height, left : left + width])
    np.testing.assert_array_equal(patch_permutations(1, k, seed, first + count - 1)[0], order[-1])


@FUZZ
@given(shape=SHAPES, k=st.integers(2, 20))
def test_a_shuffle_that_does_not_fit_is_refused_with_what_does(shape, k):
    height, width = shape[2:]
    images = np.zeros(shape, np.uint8)
    fits = height % k == 0 and width % k == 0
    try:
        shuffle_patches(images, patch_permutations(len(images), k, 0))
        assert fits
    except UserError as error:
        assert not fits and f"k = {k}" in str(error) and "choose k among 1" in str(error)


@FUZZ
@given(images=IMAGES, radius=st.one_of(st.floats(1e-6, 30), st.sampled_from([5e-324, 1e308, float("inf")])))
def test_filters_are_linear_projections_that_share_the_image(images, radius):
    low, high = low_pass(images, radius), high_pass(images, radius)
    np.testing.assert_allclose(low + high, images, atol=1e-12)
    np.testing.assert_allclose(low_pass(low, radius), low, atol=1e-12)
    np.testing.assert_allclose(low_pass(high, radius), 0, atol=1e-12)
    np.testing.assert_allclose(high.mean((2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(low_pass(3 * images - 1, radius), 3 * low - 1, atol=1e-11)
    # Energy is shared, too (Parseval), and a shifted image is filtered to the shifted result.
    np.testing.assert_allclose((low**2).sum() + (high**2).sum(), (images**2).sum(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        low_pass(np.roll(images, (1, 2), (2, 3)), radius), np.roll(low, (1, 2), (2, 3)), atol=1e-12
    )


@FUZZ
@given(images=IMAGES, probability=st.floats(0, 1), seed=SEEDS, first=st.integers(0, 10**6), keep=st.booleans())
def test_the_random_filter_is_a_real_projection_drawn_per_image(images, probability, seed, first, keep):
    out = random_filter(images, probability, seed, first, keep)
    assert out.shape == images.shape and np.isfinite(out).all()
    np.testing.assert_allclose(random_filter(out, probability, seed, first, keep), out, atol=1e-12)
    alone = random_filter(images[-1:], probability, seed, first + len(images) - 1, keep)
    np.testing.assert_allclose(alone[0], out[-1], atol=1e-12)
    if keep:
        np.testing.assert_allclose(out.mean((2, 3)), images.mean((2, 3)), atol=1e-12)
    masks = random_masks(images.shape, probability, seed, first, keep)
    spectrum = np.fft.rfft2(out)
    assert np.abs(spectrum[~masks]).max(initial=0) < 1e-9


@FUZZ
@given(
    shape=SHAPES,
    spec=st.sampled_from(
        [Clean(), Saturation(level=1024), Saturation(level=0.25), PatchShuffle(k=1), LowPass(radius=2),
         HighPass(radius=2), HighPass(radius=1, add_half=True), RandomFilter(), RandomFilter(probability=1)]
    ),
    seed=SEEDS,
    first=st.integers(0, 10**6),
)  # fmt: skip
def test_a_set_is_the_same_however_it_is_cut_into_chunks(shape, spec, seed, first):
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    before = images.copy()
    whole = transform(images, spec, seed, first)
    parts = [transform(images[i : i + 1], spec, seed, first + i) for i in range(len(images))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    np.testing.assert_array_equal(images, before)
    assert whole.shape == shape and whole.dtype in (np.uint8, np.float32) and np.isfinite(whole).all()
    if spec.kind == "saturation":
        assert whole.min() >= 0 and whole.max() <= 1
