"""Measures of saliency maps against their closed forms."""

import numpy as np
import pytest

from shapelens.artefacts.files import save_npz
from shapelens.attribution.map_numbers import (
    display_map,
    display_signed,
    distance,
    edge_share,
    edge_weights,
    gini,
    normalised,
    resized,
    total_variation,
)
from shapelens.errors import UserError
from shapelens.instruments.saliency.rows import distance_table, measure_maps

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


@pytest.fixture
def saved(tmp_path):
    paths = {}
    for model, seed in [("standard", 0), ("standard", 1), ("pgd-inf-8", 0), ("pgd-inf-8", 1), ("big", 0)]:
        side = 30 if model == "big" else SIDE
        arrays = {
            "methods": np.array(["grad", "smoothgrad"]),
            "testsets": np.array(["saturation-1024", "clean"]),
            "images": np.array([9, 2, 4]),
            "labels": np.array([0, 1, 2]),
            "predicted": np.zeros((2, 3), np.int64),
            "maps": RNG.normal(size=(2, 2, 3, 3, side, side)).astype(np.float32),
        }
        paths[model, seed] = tmp_path / model / f"seed{seed}.npz"
        save_npz(paths[model, seed], arrays)
    return paths


CLEAN = RNG.integers(0, 256, (10, 3, SIDE, SIDE), dtype=np.uint8)


def test_tables(saved):
    table = measure_maps(saved, CLEAN, "cues")
    assert list(table.columns) == [
        "dataset", "model", "seed", "method", "testset", "image", "gini", "edge_share", "total_variation",
        "distance_to_clean",
    ]  # fmt: skip
    assert len(table) == 5 * 2 * 2 * 3
    assert (table.query("testset == 'clean'")["distance_to_clean"] == 0).all()
    assert (table.query("testset != 'clean'")["distance_to_clean"] > 0).all()
    row = table.query("model == 'pgd-inf-8' and seed == 1 and method == 'smoothgrad' and testset == 'clean'").iloc[1]
    maps = np.load(saved["pgd-inf-8", 1])["maps"][1, 1, 1]
    assert row["image"] == 2 and row["gini"] == pytest.approx(float(gini(maps)))
    assert row["edge_share"] == pytest.approx(float(edge_share(maps, edge_weights(CLEAN[2] / 255))))
    pairs = distance_table(saved, "cues")
    assert list(pairs.columns) == ["dataset", "method", "testset", "seed", "model_a", "model_b", "image", "distance"]
    assert set(zip(pairs["model_a"], pairs["model_b"], pairs["seed"], strict=True)) == {
        ("standard", "pgd-inf-8", 0), ("standard", "pgd-inf-8", 1)
    }  # fmt: skip
    assert len(pairs) == 2 * 2 * 2 * 3
    a, b = (np.load(saved[model, 0])["maps"][0, 0, 2] for model in ("standard", "pgd-inf-8"))
    first = pairs.query("method == 'grad' and testset == 'saturation-1024' and seed == 0 and image == 4")
    assert first["distance"].item() == pytest.approx(np.abs(normalised(a) - normalised(b)).sum() / 2)
    alone = distance_table({("standard", 0): saved["standard", 0]}, "cues")
    assert len(alone) == 0 and list(alone.columns) == list(pairs.columns)


def test_tables_refuse_what_does_not_belong_together(saved, tmp_path):
    with np.load(saved["standard", 0]) as file:
        arrays = dict(file)
    save_npz(tmp_path / "other.npz", arrays | {"images": np.array([1, 2, 4])})
    with pytest.raises(UserError, match="different images"):
        distance_table({("standard", 0): saved["standard", 0], ("x", 0): tmp_path / "other.npz"}, "cues")
    save_npz(tmp_path / "dirty.npz", arrays | {"testsets": np.array(["a", "b"])})
    with pytest.raises(UserError, match="clean"):
        measure_maps({("x", 0): tmp_path / "dirty.npz"}, CLEAN, "cues")
