"""What does not fit the device's memory is computed in parts, with the results of the whole.

There is no GPU in these tests: a hook on the model raises torch's error above a number of images, on the way forward
or, with fewer, on the way back, as gradients need more memory.
"""

import functools
import logging

import numpy as np
import pytest
import torch
from torch import nn

from shapelens.artefacts.files import ImageSet
from shapelens.attacks.spec import Attack, SpatialAttack
from shapelens.errors import UserError
from shapelens.instruments.robust.attack import robust_table
from shapelens.instruments.robust.spec import Robustness
from shapelens.instruments.saliency.maps_of_model import saliency_maps
from shapelens.instruments.saliency.spec import Saliency
from shapelens.models.answers import predict
from shapelens.models.classifier import Classifier
from shapelens.models.from_elsewhere import initialise
from shapelens.models.spec import Network
from shapelens.models.within_memory import Fitting, InParts, in_parts, within_memory
from shapelens.stylisation.apply import Stylist, stylise_set
from shapelens.stylisation.decoder import train_decoder
from shapelens.stylisation.networks import Layout, build
from shapelens.stylisation.spec import StyleNetworks
from shapelens.training.adversarial import pgd_adversary
from shapelens.training.loop import Images, train
from shapelens.training.spatial import spatial_adversary
from shapelens.training.spec import Training, TrainingRun

torch.set_num_threads(1)
KEYS = {"input_size": None, "device": "cpu"}
COUNT = 37
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 12, 12), dtype=np.uint8)
LABELS = np.arange(COUNT) % 5
OTHERS = (LABELS + 2) % 6 - 1
SOURCE = ImageSet(IMAGES, LABELS, np.full(COUNT, -1))
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB"


class Device:
    """The memory of a device: a model's hook that knows how many images fit, and how many it has let pass."""

    def __init__(self, forwards, backwards=None, training=False, error=torch.OutOfMemoryError):
        self.forwards, self.backwards, self.training, self.error = forwards, backwards or forwards, training, error
        self.largest = self.refused = 0

    def __deepcopy__(self, memo):
        return self  # copies of a model compute on the same device

    def check(self, count, most):
        if count > most:
            self.refused += 1
            raise self.error(FULL)
        self.largest = max(self.largest, count)

    def __call__(self, module, inputs):
        (x,) = inputs
        if module.training != self.training:
            return
        self.check(len(x), self.forwards)
        if x.requires_grad:
            x.register_hook(lambda gradient: self.check(len(gradient), self.backwards))

    def hold(self, model):
        model.register_forward_pre_hook(self)
        return model


def classifier(device=None):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.Conv2d(6, 6, 3, stride=2), nn.Tanh(), nn.Flatten(),
        nn.Linear(96, 5),
    )  # fmt: skip
    network[1].running_mean.uniform_(-0.3, 0.3)
    model = Classifier(network, nn.Identity()).eval()
    return device.hold(model) if device else model


@pytest.fixture(params=[(5, None), (1, None), (9, 4)], ids=["forwards", "one by one", "backwards"])
def device(request):
    return Device(*request.param)


def test_predictions(device, caplog):
    with caplog.at_level(logging.WARNING, "shapelens"):
        found = predict(classifier(device), IMAGES, LABELS, OTHERS, batch=16, **KEYS)
    expected = predict(classifier(), IMAGES, LABELS, OTHERS, batch=16, **KEYS)
    assert device.refused and device.largest <= device.forwards
    assert np.array_equal(found[0], expected[0]) and len(np.unique(found[0])) > 1
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)
    assert np.array_equal(found.rank, expected.rank) and np.array_equal(found.other_rank, expected.other_rank)
    assert "does not hold 16 images at once (CUDA out of memory): on with 8" in caplog.text
    assert caplog.text.count("does not hold 16") == 1  # what was learnt holds for the batches that follow


@pytest.mark.parametrize(
    "attack",
    [
        {"norm": "inf", "eps": 0.03},
        {"norm": "inf", "eps": 0.03, "restarts": 2},
        {"norm": "l2", "eps": 0.5, "restarts": 2},
        {"norm": "inf", "eps": 0.02, "robust_attack": "autoattack", "limit": 12},
    ],
    ids=["inf", "inf, two starts", "l2, two starts", "autoattack"],
)
def test_attacks_draw_the_same_starts(device, attack):
    if attack.get("robust_attack") == "autoattack":
        pytest.importorskip("pyautoattack")
    robustness = Robustness(**{"steps": 2, "step": 0.002, "random_start": True, **attack})
    run = functools.partial(robust_table, source=SOURCE, robustness=robustness, data_seed=0, **KEYS)
    found, expected = run(classifier(device), batch=16), run(classifier(), batch=16)
    assert device.refused and device.largest <= device.forwards
    np.testing.assert_allclose(found, expected, atol=2e-5)
    if "limit" not in attack:  # planted: smaller batches draw other starts
        other = run(classifier(), batch=8)
        assert np.abs(other["probability"] - expected["probability"]).max() > 1e-4


def test_saliency_maps(device):
    saliency = Saliency(methods=("grad", "smoothgrad"), samples=20, testsets=("clean",))
    run = functools.partial(saliency_maps, testsets={"clean": SOURCE}, indices=np.arange(11), data_seed=0, **KEYS)
    found, expected = run(classifier(device), saliency=saliency), run(classifier(), saliency=saliency)
    assert device.refused and device.largest <= device.forwards
    assert np.array_equal(found["predicted"], expected["predicted"])
    np.testing.assert_allclose(found["maps"], expected["maps"], atol=1e-6)
    assert np.abs(expected["maps"]).max() > 1e-2


def test_stylised_images(device, tmp_path):
    networks = build(Layout((4, 6), (1,)), [0.5] * 3, [0.25] * 3, 0)
    everything, style_of = np.arange(COUNT), np.arange(COUNT) * 7 % COUNT
    for name, memory in (("whole", None), ("parts", device)):
        stylist = Stylist(networks, "cpu")
        if memory:
            memory.hold(stylist.encoder)
            memory.hold(stylist.decoder)
        stylise_set(stylist, IMAGES, everything, IMAGES, style_of, 1.0, tmp_path / f"{name}.npy", batch=16)
    assert device.refused and device.largest <= device.forwards
    np.testing.assert_allclose(np.load(tmp_path / "parts.npy"), np.load(tmp_path / "whole.npy"), atol=1e-5)


def outcome(tmp_path, device=None, adversary=None, **settings):
    """Train two epochs of two steps on noise."""
    settings = {"epochs": 2, "batch": 16, "lr": 0.01, "selection_steps": 2, "precision": "fp32", **settings}
    run = TrainingRun(
        model="m", seed=0, network=Network(width=8), training=Training(**settings), adversary=adversary, classes=5
    )
    make = spatial_adversary if isinstance(adversary, SpatialAttack) else pgd_adversary
    model = initialise(run.network, 5, [0.5] * 3, [0.25] * 3, 0)
    if device:
        device.hold(model)
    images = Images(torch.from_numpy(IMAGES), torch.from_numpy(LABELS))
    return train(
        run,
        model,
        images,
        images,
        device=torch.device("cpu"),
        state_dir=tmp_path / f"state-{id(device)}",
        adversary=make(run, 12) if adversary else None,
    )


@pytest.mark.parametrize(
    ("adversary", "settings"),
    [
        (Attack(norm="l2", eps=0.3, steps=2), {}),
        (SpatialAttack(kind="spatial", budget=1, steps=2, random_start=True), {}),
        (SpatialAttack(kind="spatial", budget=1), {"recipe": "released"}),
    ],
    ids=["l2", "spatial", "L-BFGS on the whole batch"],
)
def test_attacks_and_validations_of_a_training(tmp_path, adversary, settings):
    device = Device(9, 4)
    found, expected = (outcome(tmp_path, memory, adversary, **settings) for memory in (device, None))
    assert device.refused and device.largest <= 9
    for row, other in zip(found.history, expected.history, strict=True):
        assert row == pytest.approx(other, abs=1e-5)
    for name, weights in expected.weights.items():
        torch.testing.assert_close(found.weights[name], weights, atol=1e-4, rtol=1e-4)


def test_a_training_step_is_never_split(tmp_path):
    with pytest.raises(UserError, match=r"m, seed 0: a training step on 16 images .* lower training\.batch, .*compute"):
        outcome(tmp_path, Device(15, training=True))
    outcome(tmp_path, Device(16, training=True))


def test_a_step_of_the_style_decoder_is_never_split(tmp_path):
    networks = build(Layout((4, 6), (1,)), [0.5] * 3, [0.25] * 3, 0)
    networks.encoder.requires_grad_(False)
    Device(4).hold(networks.encoder.eval())
    images = torch.from_numpy(IMAGES)
    spec = StyleNetworks(widths=(4, 6), convolutions=(1,), decoder_steps=1, decoder_batch=5)
    with pytest.raises(UserError, match="5 pairs of images does not fit; lower decoder_batch"):
        train_decoder(
            networks, spec, images, images, side=12, seed=0, device=torch.device("cpu"), state_dir=tmp_path / "state"
        )


@pytest.mark.parametrize("back", [None, 0])
def test_not_even_one_image(back):
    none = {"forwards": 0} if back is None else {"forwards": 99, "backwards": -1}
    if back is None:
        with pytest.raises(
            UserError, match=r"not even one image .*\(CUDA out of memory\); lower compute\.jobs_per_gpu"
        ):
            predict(classifier(Device(**none)), IMAGES, LABELS, batch=16, **KEYS)
    with pytest.raises(UserError, match=r"lower compute\.jobs_per_gpu, or robustness\.batch"):
        robust_table(classifier(Device(**none)), SOURCE, Robustness(eps=0.1, steps=1), 0, batch=16, **KEYS)
    with pytest.raises(UserError, match=r"compute\.jobs_per_gpu, or saliency\.images"):
        saliency_maps(
            classifier(Device(**none)), {"clean": SOURCE}, np.arange(5), Saliency(samples=4), data_seed=0, **KEYS
        )


def test_other_errors_pass_and_those_of_libraries_count():
    def fail(text, size):
        raise RuntimeError(text)

    with pytest.raises(RuntimeError, match="shapes differ"):
        Fitting().fit(8, functools.partial(fail, "shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"), within_memory("advice"):
        fail("shapes differ", 1)
    for text in ("CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"):
        with pytest.raises(UserError, match="not even one image"):
            Fitting().fit(8, functools.partial(fail, text))
        with pytest.raises(UserError, match="advice"), within_memory("advice"):
            fail(text, 1)
    assert Fitting().fit(0, lambda size: size) == 1  # an empty batch has a size too


def test_parts_keep_the_memory_of_one():
    """What is saved for the way back is counted, with the images themselves, which are there anyway."""
    model = classifier()
    saved = []

    def gradient(model, low=False):
        saved.clear()
        x = torch.from_numpy(IMAGES).float().div(255).requires_grad_()
        keep = torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t)
        with keep, torch.autocast("cpu", torch.bfloat16, enabled=low):
            score = model(x).logsumexp(1).sum()
        return torch.autograd.grad(score, x)[0], sum(saved)

    for parameter in model.parameters():
        parameter.requires_grad_(False)
    (whole, much), (parts, little) = gradient(model), gradient(in_parts(model, 4, COUNT))
    torch.testing.assert_close(parts, whole, atol=1e-7, rtol=1e-5)
    assert little < much / 5
    low, low_parts = gradient(model, low=True)[0], gradient(in_parts(model, 4, COUNT), low=True)[0]
    rounding = (low - whole).abs().max()
    assert (low_parts - low).abs().max() < rounding / 5  # also on the way back, where autocast is over
    assert in_parts(model, COUNT, COUNT) is model
    assert isinstance(in_parts(model, COUNT - 1, COUNT), InParts)
