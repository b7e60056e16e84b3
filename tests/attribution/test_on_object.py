"""Where on an object a map lies: closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shapelens.attribution.agreement import rank_correlation
from shapelens.attribution.maps import grad
from shapelens.attribution.on_object import contour, pointing, share
from tests.attribution.test_maps import Scores

SIDE = 12
DISC = (np.hypot(*(np.mgrid[:SIDE, :SIDE] - 5.5)) < 4).astype(float)


def pixel(row, column, value=1.0):
    one = np.zeros((3, SIDE, SIDE), np.float32)
    one[:, row, column] = value
    return one


def test_a_model_that_reads_one_pixel_has_its_whole_map_there():
    model = Scores(lambda x: x[:, (1 * SIDE + 3) * SIDE + 4])
    maps = grad(model, torch.rand(2, 3, SIDE, SIDE), torch.zeros(2, dtype=torch.int64), score="logit").numpy()
    here = np.zeros((SIDE, SIDE))
    here[3, 4] = 1
    assert share(maps, here).tolist() == [1, 1] and share(maps, 1 - here).tolist() == [0, 0]
    assert pointing(maps, here).tolist() == [1, 1] and pointing(maps, 1 - here).tolist() == [0, 0]
    # Planted fault: its neighbour has nothing of it.
    assert share(maps, np.roll(here, 1, axis=1)).tolist() == [0, 0]


def test_a_uniform_map_has_the_share_of_the_area():
    even = np.full((3, SIDE, SIDE), -0.2)
    assert share(even, DISC) == pytest.approx(DISC.mean())
    assert share(even, DISC / 2) == pytest.approx(DISC.mean() / 2)
    assert pointing(even, DISC) == pytest.approx(DISC.mean())


def test_signs_and_channels_do_not_cancel():
    map_ = pixel(5, 5, 2.0) + pixel(0, 0, -1.0)
    map_[0] *= -1
    assert share(map_, DISC) == pytest.approx(2 / 3)
    assert pointing(map_, DISC) == 1


def test_the_pointing_game_is_won_by_the_largest_value_alone_and_ties_share_it():
    most_outside = pixel(0, 0, 1.1) + sum(pixel(5, column, 1.0) for column in range(3, 8))
    assert share(most_outside, DISC) > 0.8 and pointing(most_outside, DISC) == 0
    assert pointing(pixel(0, 0) + pixel(5, 5), DISC) == 0.5
    assert pointing(pixel(0, 0) + pixel(5, 5) + pixel(6, 6), DISC) == pytest.approx(2 / 3)
    edge = DISC.copy()
    edge[0, 0], edge[0, 1] = 0.5, 0.49
    assert pointing(pixel(0, 0), edge) == 1 and pointing(pixel(0, 1), edge) == 0


def test_a_map_of_zeros_is_undefined_and_not_0():
    maps = np.stack([pixel(5, 5, 0.0), pixel(5, 5)])
    for measure in (share, pointing):
        found = measure(maps, DISC)
        assert np.isnan(found[0]) and found[1] == 1


def test_the_contour_is_where_both_sides_meet():
    square = np.zeros((SIDE, SIDE))
    square[3:9, 3:9] = 1
    found = contour(square)
    # 6 × 6 inside: a ring of 20 within, one of 28 with its corners without.
    assert found.sum() == 48 and found[2, 2] == found[3, 3] == 1 and found[4, 4] == found[1, 1] == 0
    assert contour(np.zeros((SIDE, SIDE))).sum() == contour(np.ones((SIDE, SIDE))).sum() == 0
    large = np.zeros((96, 96))
    large[40:] = 1
    assert np.flatnonzero(contour(large)[:, 50]).tolist() == [37, 38, 39, 40, 41, 42]
    np.testing.assert_array_equal(contour(np.stack([square, 1 - square])), [found, found])


def test_an_object_at_the_border_has_no_contour_along_it():
    half = np.zeros((SIDE, SIDE))
    half[:6] = 1
    assert np.flatnonzero(contour(half).any(1)).tolist() == [5, 6]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), scale=st.floats(1e-6, 1e6))
def test_shares_lie_in_0_1_add_up_and_know_no_scale(seed, scale):
    rng = np.random.default_rng(seed)
    maps, mask = rng.normal(size=(3, SIDE, SIDE)), rng.random((SIDE, SIDE))
    on = share(maps, mask)
    assert 0 <= on <= 1 and on + share(maps, 1 - mask) == pytest.approx(1)
    assert share(scale * maps, mask) == pytest.approx(on)
    assert 0 <= pointing(maps, mask) <= 1 and pointing(maps, np.ones_like(mask)) == 1


def test_rank_correlation_is_spearmans_over_pixels():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 10, size=(2, 4, 3, SIDE, SIDE)).astype(float)  # many ties, all exact
    sizes = (np.abs(maps).sum(1).reshape(4, -1) for maps in (a, b))
    expected = [spearmanr(*pair).statistic for pair in zip(*sizes, strict=True)]
    np.testing.assert_allclose(rank_correlation(a, b), expected)
    np.testing.assert_allclose(rank_correlation(a, -2 * a), 1)
    size = np.abs(a).sum(1, keepdims=True)
    reverse = size.max() + 1 - size
    np.testing.assert_allclose(rank_correlation(a, reverse), -1)
    assert np.isnan(rank_correlation(np.zeros_like(a), b)).all()
