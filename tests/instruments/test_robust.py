"""Predictions under attack: closed forms of linear models, and the spectrum of the perturbation."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from shapelens.artefacts.files import ImageSet
from shapelens.errors import UserError
from shapelens.instruments.robust import attack as robust
from shapelens.instruments.robust.attack import autoattack_parts, robust_table
from shapelens.instruments.robust.spec import Robustness
from shapelens.instruments.robust.spectrum import share_above
from shapelens.models.classifier import Classifier

torch.set_num_threads(1)
SIDE = 8
D = 3 * SIDE * SIDE


def linear(classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(D, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(classes, D, generator=generator) * 0.2)
        layer.bias.copy_(-layer.weight.sum(1) / 2)  # mid-grey is on every boundary
    return Classifier(nn.Sequential(nn.Flatten(), layer), nn.Identity()), layer


def source(classifier, count=60, wrong=0.2, seed=0):
    """Images within [0.3, 0.7], so that the box never binds, mostly with the label that the model gives them."""
    rng = np.random.default_rng(seed)
    images = rng.integers(77, 179, (count, 3, SIDE, SIDE), dtype=np.uint8)
    with torch.no_grad():
        logits = classifier(torch.from_numpy(images / np.float32(255)))
    labels = logits.argmax(1).numpy()
    labels = np.where(rng.random(count) < wrong, (labels + 1) % logits.shape[1], labels)
    return ImageSet(images, labels, np.full(count, -1))


def table(classifier, images, attack, seed=0, batch=16):
    return robust_table(classifier, images, attack, seed, input_size=None, batch=batch, device="cpu")


def withstands(layer, images, norm, eps):
    """The closed form: the margin to every other class exceeds eps times the dual norm of the difference."""
    w, b = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    logits = images.images.reshape(len(images), -1) / 255 @ w.T + b
    rows = np.arange(len(images))
    margin = logits[rows, images.labels][:, None] - logits
    difference = w[images.labels][:, None] - w[None]
    dual = np.abs(difference).sum(2) if norm == "inf" else np.sqrt((difference**2).sum(2))
    slack = margin - eps * dual
    slack[rows, images.labels] = np.inf
    return slack.min(1)


@pytest.mark.parametrize(("norm", "eps"), [("inf", 0.01), ("l2", 0.08)])
@pytest.mark.parametrize("restarts", [1, 2])
def test_two_class_linear_model_equals_the_margin_test(norm, eps, restarts):
    classifier, layer = linear(2)
    images = source(classifier)
    attack = Robustness(norm=norm, eps=eps, steps=40, step=eps / 8, restarts=restarts, random_start=True)
    found = table(classifier, images, attack)
    slack = withstands(layer, images, norm, eps)
    clear = np.abs(slack) > 0.01 * eps * (5 if norm == "inf" else 1)
    right = (found["predicted"] == found["label"]).to_numpy()
    assert np.array_equal(right[clear], slack[clear] > 0)
    assert clear.mean() > 0.9 and 0.1 < right.mean() < 0.7  # the margin decides something
    # The planted fault: an attack of half the strength is noticed.
    half = table(classifier, images, attack.model_copy(update={"eps": eps / 2}))
    assert not np.array_equal((half["predicted"] == half["label"]).to_numpy()[clear], slack[clear] > 0)


def test_columns_and_already_wrong_images_stay_wrong():
    classifier, _ = linear(4)
    images = source(classifier)
    found = table(classifier, images, Robustness(eps=0.01, steps=5))
    assert {name: str(kind) for name, kind in found.dtypes.items()} == {
        "image": "int32", "label": "int16", "clean_predicted": "int16", "predicted": "int16",
        "probability": "float32", "perturbation_high": "float32", "image_high": "float32",
    }  # fmt: skip
    assert found["image"].tolist() == list(range(60))
    wrong = found["clean_predicted"] != found["label"]
    assert 0.1 < wrong.mean() < 0.4
    assert (found["predicted"] != found["label"])[wrong].all()
    assert found[["perturbation_high", "image_high"]].stack().between(0, 1).all()


def test_an_attack_that_helps_does_not_count(monkeypatch):
    classifier, _ = linear(2)
    images = source(classifier)
    monkeypatch.setattr(robust, "perturb", lambda model, x, y, attack, generator: 1 - x)  # turns every class round
    found = table(classifier, images, Robustness(eps=0.1))
    wrong = (found["clean_predicted"] != found["label"]).to_numpy()
    assert wrong.any() and not wrong.all()
    assert (found["predicted"] != found["label"]).all()
    assert found["perturbation_high"].isna().to_numpy().tolist() == wrong.tolist()
    clean = table(classifier, images, Robustness(eps=0))
    np.testing.assert_array_equal(found["probability"][wrong], clean["probability"][wrong])


@pytest.mark.parametrize("kind", ["pgd", "autoattack"])
def test_eps_zero_is_clean(kind):
    if kind == "autoattack":
        pytest.importorskip("pyautoattack")
    classifier, _ = linear(4)
    found = table(classifier, source(classifier), Robustness(eps=0, robust_attack=kind))
    assert found["predicted"].equals(found["clean_predicted"].rename("predicted"))
    assert found["perturbation_high"].isna().all() and found["image_high"].notna().all()


def test_depends_on_seed_and_batch_and_not_on_the_limit():
    classifier, _ = linear(4)
    images = source(classifier)
    attack = Robustness(eps=0.02, steps=3, step=0.002)
    first = table(classifier, images, attack)
    assert first.equals(table(classifier, images, attack))
    assert not first.equals(table(classifier, images, attack, seed=1))
    limited = table(classifier, images, attack.model_copy(update={"limit": 21}))
    assert limited["predicted"].tolist() == first["predicted"].tolist()[:21]
    np.testing.assert_allclose(limited, first[:21], atol=1e-5)
    assert len(table(classifier, images, attack.model_copy(update={"limit": 1000}))) == 60


@pytest.mark.parametrize(("norm", "restarts"), [("inf", 1), ("inf", 2), ("l2", 1)])
def test_parts_of_a_batch_change_nothing(norm, restarts, monkeypatch):
    classifier, _ = linear(4)
    images = source(classifier)
    attack = Robustness(norm=norm, eps=0.02, steps=2, step=0.002, restarts=restarts, random_start=True)
    whole = table(classifier, images, attack, batch=60)
    monkeypatch.setattr(robust, "fits_cache", lambda x: 7)
    in_parts = table(classifier, images, attack, batch=60)
    np.testing.assert_allclose(in_parts, whole, atol=1e-6)
    if norm == "l2" or restarts > 1:  # planted: parts where they change the starts
        monkeypatch.setattr(robust, "together", lambda x, attack: 7)
        assert np.abs(table(classifier, images, attack, batch=60)["probability"] - whole["probability"]).max() > 1e-6


def test_gradients_come_from_the_copy_and_verdicts_from_the_classifier(monkeypatch):
    classifier, layer = linear(4)
    images = source(classifier)
    opposite, other = linear(4)
    with torch.no_grad():
        other.weight.copy_(-layer.weight)
        other.bias.copy_(-layer.bias)
    attack = Robustness(eps=0.005, steps=5, step=0.002)
    harmed = table(classifier, images, attack)
    monkeypatch.setattr(robust, "fused", lambda model, example: opposite)
    helped = table(classifier, images, attack)
    assert helped["clean_predicted"].equals(harmed["clean_predicted"])
    right = (harmed["clean_predicted"] == harmed["label"]).to_numpy()
    assert (helped["predicted"] == helped["label"])[right].mean() > (harmed["predicted"] == harmed["label"])[
        right
    ].mean()


def test_the_model_and_the_global_generator_are_left_as_they_were():
    pytest.importorskip("pyautoattack")
    classifier, layer = linear(4)
    classifier.train()
    weight, state = layer.weight.detach().clone(), torch.get_rng_state()
    images = source(classifier, count=8)
    for kind in ("pgd", "autoattack"):
        table(classifier, images, Robustness(eps=0.2, steps=2, robust_attack=kind))
    assert classifier.training and layer.weight.requires_grad and layer.weight.grad is None
    assert torch.equal(layer.weight, weight) and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("classes", [2, 3, 4, 12])
def test_autoattack_suits_few_classes(classes):
    pytest.importorskip("pyautoattack")
    classifier, layer = linear(classes)
    images = source(classifier, count=12)
    eps = 0.003 if classes == 4 else 0.1  # only one case leaves images to the slow Square attack
    attack = Robustness(eps=eps, robust_attack="autoattack")
    found = table(classifier, images, attack)
    right = (found["predicted"] == found["label"]).to_numpy()
    slack = withstands(layer, images, "inf", eps)
    clear = np.abs(slack) > 0.01
    assert clear.sum() >= 10
    assert np.array_equal(right[clear], slack[clear] > 0)
    assert right.any() == (classes == 4)
    assert found["perturbation_high"][right].isna().all()


def test_autoattack_parts_and_missing_package(monkeypatch):
    assert autoattack_parts(10) == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert autoattack_parts(3) == ["apgd-ce", "apgd-dlr", "fab-t", "square"]
    assert autoattack_parts(2) == ["apgd-ce", "fab-t", "square"]
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    classifier, _ = linear(4)
    with pytest.raises(UserError, match="pip install pyautoattack"):
        table(classifier, source(classifier), Robustness(eps=0.1, robust_attack="autoattack"))


def test_refuses_labels_beyond_the_model():
    classifier, _ = linear(4)
    images = source(linear(6)[0])
    with pytest.raises(UserError, match="4 classes"):
        table(classifier, images, Robustness(eps=0.1))


def wave(fy, fx, height=32, width=32):
    y, x = np.mgrid[:height, :width]
    return torch.from_numpy(np.sin(2 * np.pi * (fy * y / height + fx * x / width)))[None, None] + 0.5


@pytest.mark.parametrize(("fy", "fx"), [(0, 4), (4, 0), (3, -4), (0, 1), (16, 3)])
@pytest.mark.parametrize("width", [32, 33])
def test_share_of_a_sinusoid_is_zero_or_one(fy, fx, width):
    x, radius = wave(fy, fx, width=width), np.hypot(fy, fx)
    assert share_above(x, radius + 0.01).item() == pytest.approx(0, abs=1e-12)
    assert share_above(x, radius - 0.01).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("size", [(16, 16), (15, 15), (9, 14)])
def test_share_counts_conjugates_twice(size):
    """Against the full spectrum; the half spectrum without weights is the planted fault."""
    x = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0)).double()
    height, width = size
    radii = np.hypot(*np.meshgrid(np.fft.fftfreq(height, 1 / height), np.fft.fftfreq(width, 1 / width), indexing="ij"))
    power = np.abs(np.fft.fft2(x.numpy())) ** 2 * (radii > 0)
    expected = (power * (radii > 3)).sum((1, 2, 3)) / power.sum((1, 2, 3))
    np.testing.assert_allclose(share_above(x, 3), expected, rtol=1e-12)
    half = power[..., : width // 2 + 1]
    unweighted = (half * (radii > 3)[:, : width // 2 + 1]).sum((1, 2, 3)) / half.sum((1, 2, 3))
    assert np.abs(unweighted - expected).max() > 1e-4


def test_share_of_nothing_is_undefined():
    x = torch.zeros(3, 3, 8, 8)
    x[1] = 0.3
    x[2, 0, 0, 0] = 1e-6
    assert share_above(x, 2).isnan().tolist() == [True, True, False]
