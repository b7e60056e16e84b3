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
from shapelens.attribution.expected_gradients import draw_samples, expected_gradients
from shapelens.attribution.integrated_gradients import draw_baselines, integrated_gradients
from shapelens.attribution.maps import grad
from shapelens.errors import UserError
from shapelens.instruments.saliency.expected import choose_background
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
    assert arrays["completeness_gap"].shape == (2, 2, 2) and np.isnan(arrays["completeness_gap"][0]).all()
    assert arrays["completeness_gap"][1, 1, 1] == pytest.approx(float(gap[0]), abs=1e-6)
    # Planted fault: the maps of another image's baselines are others.
    assert not np.allclose(arrays["maps"][1, 1, 1], arrays["maps"][1, 1, 0])


def test_rows_have_the_gap_of_integrated_gradients_alone(classifier, testsets):
    arrays = saliency_maps(classifier, testsets, np.array([4, 11]), Saliency.model_validate(IG), 0, **KEYS)
    rows = measure_maps(arrays, testsets["clean"].images).set_index(["method", "testset"])
    assert rows.loc["grad", "completeness_gap"].isna().all()
    found = rows.loc[("integrated-gradients", "inverted"), "completeness_gap"].to_numpy()
    np.testing.assert_array_equal(found, arrays["completeness_gap"][1, 1])


def test_settings_of_a_method_that_is_not_used_decide_nothing():
    other = Saliency.model_validate({"integrated_gradients": {"points": 9}})
    assert Saliency().deciding() == other.deciding()
    assert Saliency.model_validate(IG).deciding()["integrated_gradients"]["points"] == 5
    other = Saliency.model_validate({"expected_gradients": {"samples": 9}})
    assert Saliency().deciding() == other.deciding() and not other.reads_training()
    assert Saliency.model_validate(EG).deciding()["expected_gradients"]["samples"] == 12


EG = {"methods": ("grad", "expected-gradients"), "expected_gradients": {"samples": 12, "background": 8}}


def training(count=20, classes=5, side=12):
    images = np.random.default_rng(3).integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    return ImageSet(images, np.arange(count) % classes, np.full(count, -1))


def explained(classifier, testsets, chosen, asked=EG, data_seed=7, **keys):
    saliency = Saliency.model_validate(asked)
    return saliency_maps(classifier, testsets, np.array(chosen), saliency, data_seed, **KEYS, **keys)


def test_expected_gradients_are_those_of_the_attribution_room(classifier, testsets):
    arrays = explained(classifier, testsets, [4, 11], training=training())
    x = torch.from_numpy(testsets["inverted"].images[[11]])
    background = torch.from_numpy(choose_background(training(), 8, 7) / np.float32(255))
    chosen, places = map(torch.from_numpy, draw_samples(12, 8, generator(7, "expected gradients", 11)))
    drawn = {"background": background, "chosen": chosen[:, None], "places": places[:, None]}
    target = torch.from_numpy(LABELS[[11]])
    found = expected_gradients(classifier, x, target, **drawn)
    torch.testing.assert_close(torch.from_numpy(arrays["maps"][1, 1, 1]), found.maps[0], rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        explains = classifier(x)[0, target[0]] - classifier(background)[:, target[0]].mean()
    gap = abs(float(found.maps.sum() - explains))
    numbers = {name: arrays[name][1, 1, 1] for name in ("completeness_gap", "gap_error", "standard_error")}
    assert numbers["completeness_gap"] == pytest.approx(gap, abs=1e-5) and gap > 1e-3
    assert numbers["gap_error"] == pytest.approx(found.sum_errors.item(), rel=1e-4)
    assert numbers["standard_error"] == pytest.approx((found.errors.norm() / found.maps.norm()).item(), rel=1e-4)
    assert all(np.isnan(arrays[name][0]).all() for name in numbers)


def test_expected_gradients_of_an_image_do_not_depend_on_its_company_and_leave_other_methods_alone(
    classifier, testsets
):
    pair = explained(classifier, testsets, [4, 11], training=training())
    alone = explained(classifier, testsets, [11], training=training())
    np.testing.assert_allclose(pair["maps"][:, :, 1:], alone["maps"], atol=1e-6)
    other = explained(classifier, testsets, [11], training=training(), data_seed=8)
    assert np.abs(other["maps"][1] - alone["maps"][1]).max() > 1e-4
    without = explained(classifier, testsets, [4, 11], asked={"methods": ("grad",)})
    np.testing.assert_array_equal(without["maps"][0], pair["maps"][0])
    assert not {"completeness_gap", "standard_error"} & set(without)


def test_more_samples_close_the_gap_as_its_error_says(classifier, testsets):
    clean = {"clean": testsets["clean"]}
    asked = {**EG, "expected_gradients": {"samples": 400, "background": 20}}
    arrays = explained(classifier, clean, range(20), asked=asked, training=training())
    z = arrays["completeness_gap"][1] / arrays["gap_error"][1]
    assert np.mean(z < 2) > 0.8 and arrays["standard_error"][1].max() < 0.3


def test_a_map_of_zeros_has_no_standard_error(testsets):
    constant = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(432, 5)), nn.Identity())
    nn.init.zeros_(constant.network[1].weight)
    arrays = explained(constant, testsets, [4], training=training())
    assert np.isnan(arrays["standard_error"]).all() and (arrays["completeness_gap"][1] == 0).all()


def test_the_background_is_resized_as_the_images_are(classifier, testsets):
    saliency = Saliency.model_validate(EG)
    small = {name: ImageSet(s.images[..., :8, :8], s.labels, s.textures) for name, s in testsets.items()}
    keys = {"input_size": 12, "device": "cpu", "training": training(side=8)}
    assert saliency_maps(classifier, small, np.array([3]), saliency, 0, **keys)["maps"].shape[-2:] == (12, 12)


def test_the_background_is_drawn_from_all_training_images_alike_and_more_continue_fewer():
    whole = training(400)
    few, many = (choose_background(whole, n, 3) for n in (30, 300))
    np.testing.assert_array_equal(few, many[:30])
    assert len({image.tobytes() for image in many}) == 300
    assert (few != choose_background(whole, 30, 4)).any()


def test_a_background_that_is_not_there_too_small_or_of_one_class_is_refused(classifier, testsets):
    with pytest.raises(UserError, match=r"saliency\.methods: expected-gradients needs training images"):
        explained(classifier, testsets, [4])
    with pytest.raises(UserError, match=r"background: 8 images asked for, but there are 6 training .* allowed: 2 to 6"):
        explained(classifier, testsets, [4], training=training(6))
    with pytest.raises(UserError, match=r"its 8 images are all of class 0, .* so are all training images"):
        explained(classifier, testsets, [4], training=training(20, classes=1))
    rare = training(1000)
    rare.labels[:] = 2
    rare.labels[0] = 1
    with pytest.raises(UserError, match=r"all of class 2, .* the training images have 2 classes; ask for more"):
        explained(classifier, testsets, [4], training=rare)


def test_a_method_that_is_not_asked_for_is_not_loaded():
    assert Saliency().loads() == ()
    assert Saliency.model_validate(IG).loads() == ("shapelens.instruments.saliency.integrated",)
    assert Saliency.model_validate(EG).loads() == ("shapelens.instruments.saliency.expected",)
