"""Which images are explained, and the arrays of a whole run."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shapelens.artefacts.files import ImageSet, save_npz
from shapelens.attribution.choose_images import choose_images
from shapelens.attribution.integrated_gradients import draw_baselines, integrated_gradients
from shapelens.attribution.maps import grad
from shapelens.errors import UserError
from shapelens.instruments.saliency.maps_of_model import image_noise, saliency_maps
from shapelens.instruments.saliency.rows import measure_maps
from shapelens.instruments.saliency.spec import Saliency
from shapelens.models.classifier import Classifier
from shapelens.seeds import generator

torch.set_num_threads(1)
LABELS = np.arange(30) % 5
KEYS = {"input_size": None, "device": "cpu"}


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return Classifier(nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(600, 5)), nn.Identity())


@pytest.fixture
def testsets():
    images = np.random.default_rng(0).integers(0, 256, (30, 3, 12, 12), dtype=np.uint8)
    return {
        "clean": ImageSet(images, LABELS, np.full(30, -1)),
        "inverted": ImageSet(1 - images / np.float32(255), LABELS, np.full(30, -1)),
    }


def test_choice_is_stratified_seeded_and_nested():
    labels = np.repeat(np.arange(6), [50, 1, 3, 20, 20, 6])
    chosen = choose_images(labels, 12, 0)
    assert len(np.unique(chosen)) == 12
    assert sorted(np.bincount(labels[chosen])) == [1, 2, 2, 2, 2, 3]
    assert set(labels[chosen[:6]]) == set(range(6))
    assert np.array_equal(choose_images(labels, 5, 0), chosen[:5])
    assert not np.array_equal(choose_images(labels, 12, 1), chosen)
    assert sorted(choose_images(labels, 100, 0)) == list(range(100))


def test_indices_are_taken_as_given():
    assert choose_images(LABELS, (7, 3, 29), 0).tolist() == [7, 3, 29]
    for bad, message in [((3, 30), "30"), ((-1,), "-1"), ((2, 5, 2), "more than once"), ((), "empty"), (31, "has 30")]:
        with pytest.raises(UserError, match=message):
            choose_images(LABELS, bad, 0)


def test_choosing_needs_no_torch():
    code = "import sys, shapelens.attribution.choose_images, shapelens.attribution.map_numbers\n"
    code += "import shapelens.instruments.saliency.rows\n"
    code += "assert not {'torch', 'pandas'} & set(sys.modules)"
    scripts = Path(__file__).parents[2] / "workflow/scripts"
    subprocess.run([sys.executable, "-c", code], cwd=scripts, check=True)


def test_arrays_of_a_run(classifier, testsets, tmp_path):
    chosen = np.array([4, 11, 28])
    saliency = Saliency(samples=6)
    arrays = saliency_maps(classifier, testsets, chosen, saliency, 0, **KEYS)
    assert arrays["methods"].tolist() == ["grad", "smoothgrad"] and arrays["testsets"].tolist() == ["clean", "inverted"]
    assert arrays["labels"].tolist() == LABELS[chosen].tolist() and arrays["images"].tolist() == chosen.tolist()
    assert arrays["predicted"].shape == (2, 3) and arrays["predicted"].dtype == np.int64
    assert arrays["maps"].shape == (2, 2, 3, 3, 12, 12) and arrays["maps"].dtype == np.float32
    x = torch.from_numpy(testsets["clean"].images[chosen] / np.float32(255))
    expected = grad(classifier, x, torch.from_numpy(LABELS[chosen]))
    np.testing.assert_allclose(arrays["maps"][0, 0], expected, atol=1e-6)
    for name in ("one.npz", "two.npz"):
        save_npz(tmp_path / name, saliency_maps(classifier, testsets, chosen, saliency, 0, **KEYS))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as saved:
        assert sorted(saved) == sorted(arrays)
        assert all(np.array_equal(saved[key], arrays[key]) for key in arrays)


def test_noise_is_paired_by_image_not_by_place(classifier, testsets):
    saliency = Saliency(methods=("smoothgrad",), samples=4)
    first = saliency_maps(classifier, testsets, np.array([4, 11]), saliency, 0, **KEYS)["maps"]
    second = saliency_maps(classifier, testsets, np.array([11]), saliency, 0, **KEYS)["maps"]
    np.testing.assert_allclose(first[:, :, 1:], second, atol=1e-6)
    other = saliency_maps(classifier, testsets, np.array([11]), saliency, 1, **KEYS)["maps"]
    assert np.abs(other - second).max() > 1e-4
    a, b = (image_noise((3, 4, 4), n, 0, "clean", 5) for n in (3, 8))
    assert np.array_equal(a, b[:3])
    assert not np.array_equal(a, image_noise((3, 4, 4), 3, 0, "inverted", 5))
    assert not np.array_equal(a, image_noise((3, 4, 4), 3, 0, "clean", 6))


def test_predicted_target_and_resize(classifier, testsets):
    chosen = np.arange(10)
    label, predicted = (
        saliency_maps(classifier, testsets, chosen, Saliency(methods=("grad",), target=target), 0, **KEYS)
        for target in ("label", "predicted")
    )
    same = predicted["predicted"] == predicted["labels"]
    assert 0 < same.sum() < same.size
    np.testing.assert_array_equal((label["maps"] == predicted["maps"]).all((0, 3, 4, 5)), same)
    small = {name: ImageSet(s.images[..., :8, :8], s.labels, s.textures) for name, s in testsets.items()}
    arrays = saliency_maps(classifier, small, chosen, Saliency(samples=2), 0, input_size=12, device="cpu")
    assert arrays["maps"].shape[-2:] == (12, 12)


def test_refusals(classifier, testsets):
    with pytest.raises(UserError, match="images 0 to 29"):
        saliency_maps(classifier, testsets, np.array([30]), Saliency(), 0, **KEYS)
    clean = testsets["clean"]
    mixed = testsets | {"conflict": ImageSet(clean.images, (LABELS + 1) % 5, LABELS)}
    with pytest.raises(UserError, match="conflict have other labels"):
        saliency_maps(classifier, mixed, np.array([3]), Saliency(), 0, **KEYS)
    with pytest.raises(UserError, match="5 classes"):
        saliency_maps(
            classifier, {"clean": ImageSet(clean.images, LABELS + 5, LABELS)}, np.array([3]), Saliency(), 0, **KEYS
        )


IG = {"methods": ("grad", "integrated-gradients"), "integrated_gradients": {"points": 5, "baselines": 3}}


def test_integrated_gradients_are_those_of_the_attribution_room(classifier, testsets):
    chosen = np.array([4, 11])
    saliency = Saliency.model_validate(IG)
    arrays = saliency_maps(classifier, testsets, chosen, saliency, 7, **KEYS)
    x = torch.from_numpy(testsets["inverted"].images[chosen])
    rng = generator(7, "integrated gradients", 11)
    drawn = torch.from_numpy(draw_baselines("uniform", 3, (3, 12, 12), rng))[:, None]
    settings = {"points": 5, "rule": "trapezoid", "score": "probability"}
    maps, gap = integrated_gradients(
        classifier, x[1:], torch.from_numpy(LABELS[chosen[1:]]), baselines=drawn, **settings
    )
    torch.testing.assert_close(torch.from_numpy(arrays["maps"][1, 1, 1]), maps[0], rtol=1e-4, atol=1e-7)
    assert arrays["completeness_gap"].shape == (2, 2)
    assert arrays["completeness_gap"][1, 1] == pytest.approx(float(gap[0]), abs=1e-6)
    # Planted fault: the maps of another image's baselines are others.
    assert not np.allclose(arrays["maps"][1, 1, 1], arrays["maps"][1, 1, 0])


def test_rows_have_the_gap_of_integrated_gradients_alone(classifier, testsets):
    arrays = saliency_maps(classifier, testsets, np.array([4, 11]), Saliency.model_validate(IG), 0, **KEYS)
    rows = measure_maps(arrays, testsets["clean"].images).set_index(["method", "testset"])
    assert rows.loc["grad", "completeness_gap"].isna().all()
    found = rows.loc[("integrated-gradients", "inverted"), "completeness_gap"].to_numpy()
    np.testing.assert_array_equal(found, arrays["completeness_gap"][1])


def test_settings_of_a_method_that_is_not_used_decide_nothing():
    other = Saliency.model_validate({"integrated_gradients": {"points": 9}})
    assert Saliency().deciding() == other.deciding()
    assert Saliency.model_validate(IG).deciding()["integrated_gradients"]["points"] == 5
