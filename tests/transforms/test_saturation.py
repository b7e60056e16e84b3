"""Saturation against its closed forms (RECIPES §9)."""

import numpy as np
import pytest

from shapelens.errors import UserError
from shapelens.transforms.saturation import saturate

LEVELS = (0.25, 0.5, 1, 2, 4, 8, 16, 64, 1024)
VALUES = np.arange(256) / 255


def published(v, p):
    """The published formula, term by term."""
    return 0.5 * np.sign(2 * v - 1) * np.abs(2 * v - 1) ** (2 / p) + 0.5


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_follows_the_formula_and_keeps_dtype_and_range(level, dtype):
    out = saturate(VALUES.astype(dtype), level)
    assert out.dtype == dtype
    assert out.min() >= 0 and out.max() <= 1
    np.testing.assert_allclose(out, published(VALUES, level), atol=2e-6 if dtype == np.float32 else 1e-15)


def test_level_two_is_the_identity_to_the_last_bit():
    for dtype in (np.float32, np.float64):
        images = np.random.default_rng(0).random((3, 3, 8, 8)).astype(dtype)
        out = saturate(images, 2)
        assert np.array_equal(out, images)
        assert not np.shares_memory(out, images)


@pytest.mark.parametrize("level", [1e-300, 0.01, *LEVELS, 1e300, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fixed_points_are_exact(level, dtype):
    points = np.array([0, 0.5, 1], dtype)
    with np.errstate(all="raise"):
        assert np.array_equal(saturate(points, level), points)


@pytest.mark.parametrize("level", LEVELS)
def test_odd_about_one_half_and_monotone(level):
    np.testing.assert_allclose(saturate(VALUES, level) + saturate(1 - VALUES, level), 1, atol=1e-12)
    assert (np.diff(saturate(VALUES, level)) >= 0).all()


def composition_error(function, p, q):
    return np.abs(function(function(VALUES, q), p) - function(VALUES, p * q / 2)).max()


@pytest.mark.parametrize("p", LEVELS)
@pytest.mark.parametrize("q", [1, 2, 4, 8, 16])
def test_levels_compose(p, q):
    assert composition_error(saturate, p, q) < 1e-12


def test_composition_catches_an_exponent_turned_round():
    def wrong(v, p):
        return 0.5 * np.sign(2 * v - 1) * np.abs(2 * v - 1) ** (p / 2) + 0.5 if p != 2 else v

    def off(v, p):
        return 0.5 * np.sign(2 * v - 1) * np.abs(2 * v - 1) ** (1 / p) + 0.5

    assert np.abs(wrong(VALUES, 8) - published(VALUES, 8)).max() > 0.1
    assert composition_error(off, 8, 4) > 0.01


def test_limits():
    np.testing.assert_array_equal(saturate(VALUES, np.inf), (VALUES > 0.5).astype(float))
    inner = VALUES[1:-1]
    np.testing.assert_allclose(saturate(inner, 1e-4), 0.5)
    assert np.abs(saturate(VALUES, 1e9) - (VALUES > 0.5)).max() < 1e-6


@pytest.mark.parametrize("level", [0, -1, float("nan")])
def test_refuses_levels_that_are_not_above_zero(level):
    with pytest.raises(UserError, match="above 0"):
        saturate(VALUES, level)


def test_refuses_integers():
    with pytest.raises(ValueError, match="uint8"):
        saturate(np.zeros((2, 2), np.uint8), 4)
