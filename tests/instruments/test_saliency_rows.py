"""What is measured on saliency maps: one row per map, and the distance between the maps of two models."""

import numpy as np
import pytest

from shapelens.artefacts.files import save_npz
from shapelens.attribution.map_numbers import edge_share, edge_weights, gini, normalised
from shapelens.errors import UserError
from shapelens.instruments.saliency.between_models import distance_table
from shapelens.instruments.saliency.rows import measure_maps

RNG = np.random.default_rng(0)
SIDE = 20
CLEAN = RNG.integers(0, 256, (10, 3, SIDE, SIDE), dtype=np.uint8)


def arrays_of(side=SIDE, **changes):
    return {
        "methods": np.array(["grad", "smoothgrad"]),
        "testsets": np.array(["saturation-1024", "clean"]),
        "images": np.array([9, 2, 4]),
        "labels": np.array([0, 1, 2]),
        "predicted": np.zeros((2, 3), np.int64),
        "maps": RNG.normal(size=(2, 2, 3, 3, side, side)).astype(np.float32),
        **changes,
    }


@pytest.fixture
def saved(tmp_path):
    paths = {}
    for model, seed in [("standard", 0), ("standard", 1), ("pgd-inf-8", 0), ("pgd-inf-8", 1), ("big", 0)]:
        paths[model, seed] = tmp_path / model / f"seed{seed}.npz"
        save_npz(paths[model, seed], arrays_of(30 if model == "big" else SIDE))
    return paths


def test_where_the_object_is_known_each_map_says_how_much_of_it_lies_there():
    covered = np.zeros((3, SIDE, SIDE))
    covered[:, 4:14, 6:12] = 1
    maps = np.zeros((2, 2, 3, 3, SIDE, SIDE), np.float32)
    maps[..., 8, 8] = 3.0  # inside, off the contour
    maps[..., 0, 0] = -1.0
    maps[1, :, 2] = 0
    rows = measure_maps(arrays_of(maps=maps), CLEAN, covered).set_index(["method", "image"]).query("testset == 'clean'")
    assert (rows.loc["grad", "object_share"] == 0.75).all() and (rows.loc["grad", "pointing"] == 1).all()
    assert (rows.loc["grad", "contour_share"] == 0).all()
    assert rows["object_area"].to_numpy() == pytest.approx(60 / 400)
    assert rows["contour_area"].to_numpy() == pytest.approx((12 * 8 - 8 * 4) / 400)
    # A map of zeros has no share, and that is not 0.
    zero = rows.loc[("smoothgrad", 4)]
    assert zero[["object_share", "contour_share", "pointing", "gini"]].isna().all() and zero["object_area"] == 0.15


def test_the_object_is_looked_for_at_the_size_of_the_maps():
    covered = np.zeros((3, SIDE, SIDE))
    covered[:, 10:] = 1
    maps = np.zeros((2, 2, 3, 3, 2 * SIDE, 2 * SIDE), np.float32)
    maps[..., 30, 5] = 1
    rows = measure_maps(arrays_of(maps=maps), CLEAN, covered)
    assert (rows["object_share"] == 1).all() and rows["object_area"].to_numpy() == pytest.approx(0.5)


def test_where_the_object_is_not_known_or_moved_nothing_is_said_of_it():
    names = ["object_share", "contour_share", "pointing", "object_area", "contour_area"]
    assert measure_maps(arrays_of(), CLEAN)[names].isna().all(axis=None)
    shuffled = arrays_of(testsets=np.array(["patch-shuffle-2", "clean"]))
    rows = measure_maps(shuffled, CLEAN, np.ones((3, SIDE, SIDE))).set_index("testset")
    assert rows.loc["patch-shuffle-2", names].isna().all(axis=None)
    assert rows.loc["clean", "object_share"].to_numpy() == pytest.approx(1)


@pytest.mark.parametrize("side", [SIDE, 30])
def test_every_map_has_a_row(side):
    arrays = arrays_of(side)
    table = measure_maps(arrays, CLEAN)
    assert list(table.columns) == [
        *("method", "testset", "image", "gini", "edge_share", "total_variation", "distance_to_clean"),
        *("completeness_gap", "gap_error", "standard_error"),
        *("object_share", "contour_share", "pointing", "object_area", "contour_area"),
    ]  # fmt: skip
    assert len(table) == 2 * 2 * 3
    assert (table.query("testset == 'clean'")["distance_to_clean"] == 0).all()
    assert (table.query("testset != 'clean'")["distance_to_clean"] > 0).all()
    row = table.query("method == 'smoothgrad' and testset == 'clean'").iloc[1]
    maps = arrays["maps"][1, 1, 1]
    assert row["image"] == 2 and row["gini"] == pytest.approx(float(gini(maps)))
    if side == SIDE:
        assert row["edge_share"] == pytest.approx(float(edge_share(maps, edge_weights(CLEAN[2] / 255))))


def test_the_maps_of_every_two_models_are_compared(saved):
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


def test_maps_of_other_images_are_refused(saved, tmp_path):
    save_npz(tmp_path / "other.npz", arrays_of(images=np.array([1, 2, 4])))
    with pytest.raises(UserError, match="different images"):
        distance_table({("standard", 0): saved["standard", 0], ("x", 0): tmp_path / "other.npz"}, "cues")
