"""Measures of saliency maps against their closed forms."""

import numpy as np
import pytest

from shapelens.attribution.map_numbers import (
    display_map,
    display_signed,
    distance,
    edge_share,
    edge_weights,
    gini,
    resized,
    total_variation,
)

RNG = np.random.default_rng(0)
SIDE = 20


def one_hot(y=5, x=7, side=SIDE, channels=3):
    maps = np.zeros((channels, side, side))
    maps[0, y, x] = -2.5
    return maps


UNIFORM = np.where(RNG.random((3, SIDE, SIDE)) > 0.5, 1.0, -1.0)


def test_gini():
    n = SIDE * SIDE
    assert gini(UNIFORM) == pytest.approx(0, abs=1e-12)
    assert gini(one_hot()) == pytest.approx(1 - 1 / n)
    half = np.zeros((1, SIDE, SIDE))
    half[0, : SIDE // 2] = -1
    assert gini(half) == pytest.approx(0.5)
    ramp = np.arange(n, dtype=float).reshape(1, SIDE, SIDE)
    assert gini(ramp) == pytest.approx((n + 1) / (3 * n))
    maps = RNG.normal(size=(4, 3, SIDE, SIDE))
    np.testing.assert_allclose(gini(maps), gini(-7 * maps))
    assert gini(maps).shape == (4,)
    # The definition, as a mean absolute difference; and signed sums instead of magnitudes are the planted fault.
    v = np.abs(maps[0]).sum(0).ravel()
    assert gini(maps[0]) == pytest.approx(np.abs(v[:, None] - v).mean() / (2 * v.mean()))
    assert gini(np.abs(maps[0].sum(0))[None]) != pytest.approx(gini(maps[0]), abs=0.01)


def test_total_variation():
    assert total_variation(UNIFORM) == pytest.approx(0, abs=1e-12)
    assert total_variation(one_hot()) == pytest.approx(4)
    assert total_variation(one_hot(0, 0)) == pytest.approx(2)
    assert total_variation(one_hot(0, 4)) == pytest.approx(3)
    half = np.zeros((1, SIDE, SIDE))
    half[0, : SIDE // 2] = 1
    assert total_variation(half) == pytest.approx(SIDE / (SIDE * SIDE / 2))
    checks = (np.indices((SIDE, SIDE)).sum(0) % 2)[None].astype(float)
    assert total_variation(checks) == pytest.approx(2 * SIDE * (SIDE - 1) / (SIDE * SIDE / 2))


def test_distance():
    a, b = RNG.normal(size=(2, 5, 3, SIDE, SIDE))
    np.testing.assert_allclose(distance(a, 3 * a), 0, atol=1e-15)
    np.testing.assert_allclose(distance(a, b), distance(b, a))
    assert ((distance(a, b) > 0) & (distance(a, b) < 1)).all()
    assert distance(one_hot(1, 1), one_hot(2, 2)) == pytest.approx(1)
    assert distance(one_hot(), UNIFORM) == pytest.approx(1 - 1 / SIDE**2)


def edges_without_ties():
    """A bright disc with noise: all Sobel strengths differ."""
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    return (np.hypot(x, y) < 6) * 0.6 + RNG.random((3, SIDE, SIDE)) * 0.1


def test_edge_share():
    weights = edge_weights(edges_without_ties())
    assert set(np.unique(weights)) == {0, 1} and weights.sum() == SIDE * SIDE // 10
    assert edge_share(weights[None], weights) == pytest.approx(10)
    assert edge_share((1 - weights)[None], weights) == pytest.approx(0)
    assert edge_share(UNIFORM, weights) == pytest.approx(1)


def test_edges_are_where_a_reference_finds_them():
    from scipy.ndimage import sobel

    image = edges_without_ties()
    grey = np.tensordot([0.299, 0.587, 0.114], image, 1)
    strength = np.hypot(sobel(grey, 0, mode="nearest"), sobel(grey, 1, mode="nearest"))
    top = strength >= np.sort(strength, axis=None)[-SIDE * SIDE // 10]
    assert np.array_equal(edge_weights(image), top)
    red = np.zeros((3, SIDE, SIDE))
    red[0, :, 5:], red[2, 10:] = 0.5, 0.5  # an edge in red is stronger than one in blue
    weights = edge_weights(red, share=0.05)
    assert weights[:5, 4:6].min() > weights[9:11, :3].max()


def test_ties_share_what_is_left():
    flat = np.full((3, SIDE, SIDE), 0.3)
    np.testing.assert_allclose(edge_weights(flat), 0.1)
    assert edge_share(one_hot(), edge_weights(flat)) == pytest.approx(1)
    stripe = flat.copy()
    stripe[:, :, 8:] = 0.9  # one straight edge: two columns of equal strength
    weights = edge_weights(stripe)
    assert weights.sum() == pytest.approx(SIDE * SIDE / 10)
    np.testing.assert_allclose(weights[:, 7:9], 1)
    weights = edge_weights(stripe, share=0.05)
    np.testing.assert_allclose(weights[:, 7:9], 0.5)
    # The planted fault: ties broken by the order of pixels prefer one side.
    order = np.argsort(-(weights > 0).astype(float), axis=None, kind="stable")[: SIDE * SIDE // 20]
    hard = np.zeros(SIDE * SIDE)
    hard[order] = 1
    assert not np.allclose(hard.reshape(SIDE, SIDE), hard.reshape(SIDE, SIDE)[::-1])
    np.testing.assert_allclose(weights, weights[::-1])
    odd = edge_weights(RNG.random((2, 1, 7, 9)))  # a tenth of 63 pixels is no whole number
    np.testing.assert_allclose(odd.sum((1, 2)), 6.3)


def test_a_map_of_zeros_is_undefined_and_drawn_empty():
    zeros = np.zeros((3, 4, 4), np.float32)
    with np.errstate(all="raise"):
        for value in (gini(zeros), total_variation(zeros), distance(zeros, zeros), edge_share(zeros, np.ones((4, 4)))):
            assert np.isnan(value)
        assert not display_map(zeros).any() and not display_signed(zeros).any()


def test_display():
    maps = RNG.normal(size=(3, SIDE, SIDE)).astype(np.float32)
    shown, size = display_map(maps), np.abs(maps).sum(0)
    top = np.percentile(size, 99)
    assert shown.shape == (SIDE, SIDE) and shown.dtype == np.float32 and shown.max() == 1 and shown.min() >= 0
    np.testing.assert_allclose(shown, np.minimum(size / top, 1), rtol=1e-5)
    signed = display_signed(maps)
    assert signed.min() >= -1 and signed.max() <= 1
    assert np.array_equal(np.sign(signed), np.sign(maps.astype(np.float64).sum(0)))
    np.testing.assert_array_equal(display_signed(-maps), -signed)
    assert display_map(one_hot()).sum() == 1  # the percentile is 0 here
    assert display_signed(one_hot()).sum() == -1


def test_resize_is_that_of_the_network():
    torch = pytest.importorskip("torch")
    from shapelens.models.classifier import prepare

    images = RNG.random((2, 3, 16, 16)).astype(np.float32)
    assert resized(images, (16, 16)) is not images and np.array_equal(resized(images, (16, 16)), images)
    for size in (12, 40):
        np.testing.assert_allclose(resized(images, (size, size)), prepare(torch.from_numpy(images), size), atol=1e-5)
