"""A penalty on the training loss: differentiated twice, and a part of the training like its adversary."""

import copy
import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from shapelens.artefacts.files import read_json
from shapelens.errors import UserError
from shapelens.models.architectures import build
from shapelens.models.classifier import Classifier
from shapelens.models.normalisation import normalisation
from shapelens.training import loop as loop_module
from shapelens.training.loop import Images, train
from shapelens.training.optimiser import Sgd
from shapelens.training.spec import TrainingRun

from .small import ADVERSARY, CPU, KilledError, contents, execute, kill_at, spec

torch.set_num_threads(1)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
PLAIN = {"epochs": 1, "momentum": 0, "nesterov": False, "weight_decay": 0, "lr": 0.1, "pad": 0, "flip": False}
ONE_STEP = {**PLAIN, "schedule": {"kind": "piecewise", "epochs": [1], "factors": [1]}, "precision": "fp32"}


def squared_gradient(logits: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """‖∂ loss/∂x‖² of a batch's mean cross-entropy (Drucker & LeCun 1992), differentiable."""
    loss = functional.cross_entropy(logits, y)
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    return gradient.square().sum()


@dataclass
class GradientPenalty:
    """``weight`` times the squared gradient, and times a number drawn from the minibatch's seed if ``drawn``."""

    weight: float
    drawn: bool = False
    shown: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def penalty(self, model: nn.Module, x: Tensor, y: Tensor, logits: Tensor, step: int, seed: int) -> Tensor:
        assert model.training and x.requires_grad and x.is_leaf and logits.dtype == torch.float32
        self.shown.append((x.detach().clone(), y.clone()))
        factor = torch.rand((), generator=torch.Generator().manual_seed(seed)) if self.drawn else 1.0
        return self.weight * factor * squared_gradient(logits, x, y)


class Nothing:
    """A penalty of zero that depends on nothing."""

    def penalty(self, model: nn.Module, x: Tensor, y: Tensor, logits: Tensor, step: int, seed: int) -> Tensor:
        return torch.zeros(())


def pictures(n: int = 6, side: int = 8) -> Images:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 3, side, side), generator=generator, dtype=torch.uint8)
    return Images(images, torch.arange(n) % 3)


def gradients_of_one_step(
    model: Classifier, penalty: GradientPenalty, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Tensor]:
    """Train for one step on all images and return the gradients that it took, by the parameters' names."""
    found: dict[str, Tensor] = {}

    def step(self: Sgd, lr: float) -> None:
        found.update({name: parameter.grad for name, parameter in self.parameters.items()})

    monkeypatch.setattr(Sgd, "step", step)
    run, images = spec(**{**ONE_STEP, "batch": 6}), pictures()
    train(run, model, images, images, device=CPU, state_dir=folder, penalty=penalty)
    return found


def test_a_linear_models_gradients_are_those_of_the_closed_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3))
    model = Classifier(network, normalisation("dataset", MEAN, STD))
    weight, bias = (copy.deepcopy(p.detach()).double().numpy() for p in network[1].parameters())
    penalty = GradientPenalty(weight=50.0)
    found = gradients_of_one_step(model, penalty, tmp_path, monkeypatch)

    ((x, y),) = penalty.shown
    n, pixel = len(x), 1 / np.repeat(STD, 64)
    u = ((x.double().numpy() - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))).reshape(n, -1)
    z = u @ weight.T + bias
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    r = p - np.eye(3)[y.numpy()]
    # Of the mean cross-entropy the gradient in image i is s∘Wᵀr/n, s the pixels' scale.
    g = pixel * (r @ weight) / n
    into_r = 2 * penalty.weight * (g * pixel) @ weight.T / n
    into_z = p * into_r - p * (p * into_r).sum(1, keepdims=True)
    of_penalty = 2 * penalty.weight / n * r.T @ (g * pixel) + into_z.T @ u
    names = {tensor.ndim: name for name, tensor in found.items()}
    np.testing.assert_allclose(found[names[2]].numpy(), r.T @ u / n + of_penalty, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[names[1]].numpy(), r.mean(0) + into_z.sum(0), rtol=1e-4, atol=1e-6)
    assert np.abs(of_penalty).max() > 0.1 * np.abs(r.T @ u / n).max()


def test_a_convolutional_models_gradients_are_finite_differences_in_float64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through batch norm in training mode, whose statistics depend on the weights as well."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Classifier(build("resnet-small", 3, 4), normalisation("dataset", MEAN, STD))
    exact = copy.deepcopy(model).double().train()
    penalty = GradientPenalty(weight=30.0)
    found = gradients_of_one_step(model, penalty, tmp_path, monkeypatch)
    ((x, y),) = penalty.shown
    x = x.double().requires_grad_()

    def objective() -> tuple[Tensor, Tensor]:
        logits = exact(x)
        return functional.cross_entropy(logits, y), penalty.weight * squared_gradient(logits, x, y)

    parameters = dict(exact.named_parameters())
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        direction = {n: torch.randn(p.shape, generator=generator, dtype=p.dtype) for n, p in parameters.items()}
        values = []
        for move in (1e-6, -2e-6):
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter += move * direction[name]
            values.append([value.item() for value in objective()])
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter += 1e-6 * direction[name]
        loss, added = ((up - down) / 2e-6 for up, down in zip(*values, strict=True))
        taken = sum((found[name].double() * direction[name]).sum().item() for name in parameters)
        assert taken == pytest.approx(loss + added, rel=2e-3)
        assert abs(added) > 0.02 * abs(loss)


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "history.csv").read_text().splitlines()))


@pytest.mark.parametrize("adversarial", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_penalty_of_zero_changes_no_bit(adversarial: bool, precision: str, data: Path, tmp_path: Path) -> None:
    run = spec("m", ADVERSARY if adversarial else None, precision=precision)
    execute(run, data, tmp_path / "none", tmp_path / "state")
    for number, penalty in enumerate((Nothing(), GradientPenalty(0.0))):
        out = tmp_path / str(number)
        execute(run, data, out, tmp_path / "state", penalty=lambda *_, chosen=penalty: chosen)
        for name in ("model.safetensors", "selection.json"):
            assert contents(out)[name] == contents(tmp_path / "none")[name]
        assert [row.pop("penalty") for row in rows(out)] == ["0"] * 3
        assert [{**row, "penalty": "0"} for row in rows(tmp_path / "none")] == rows(out)


CASES = {
    "standard": (spec("standard"), None),
    "pgd-inf-8": (spec("pgd-inf-8", ADVERSARY), None),
    "underfit": (spec("underfit", match_every=2), 0.99),
    "bf16": (spec("bf16", precision="bf16"), None),
}


def drawn(run: TrainingRun, side: int) -> GradientPenalty:
    assert side == 12
    return GradientPenalty(0.5, drawn=True)


@pytest.mark.parametrize("name", CASES)
def test_a_killed_training_with_a_penalty_ends_with_the_same_bytes(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, target = CASES[name]
    execute(run, data, tmp_path / "unbroken", tmp_path / "state", target, drawn)
    monkeypatch.setattr(loop_module, "SAVE_SECONDS", 0.0)
    for step in (3, 2):
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            kill_at(patch, step)
            execute(run, data, tmp_path / "out", tmp_path / "state", target, drawn)
    execute(run, data, tmp_path / "out", tmp_path / "state", target, drawn)
    assert contents(tmp_path / "out") == contents(tmp_path / "unbroken")
    execute(run, data, tmp_path / "free", tmp_path / "state", target)
    assert contents(tmp_path / "free")["model.safetensors"] != contents(tmp_path / "out")["model.safetensors"]


def test_its_mean_stands_in_the_history_and_the_log_and_the_loss_is_the_cross_entropy(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Seven:
        def penalty(self, model: nn.Module, x: Tensor, y: Tensor, logits: Tensor, step: int, seed: int) -> Tensor:
            return torch.tensor(7.0 + step % 4)

    with caplog.at_level("INFO", logger="shapelens"):
        execute(spec(), data, tmp_path / "out", tmp_path / "state", penalty=lambda *_: Seven())
    assert [row["penalty"] for row in rows(tmp_path / "out")] == ["8.5"] * 3
    assert all(float(row["loss"]) < 2 for row in rows(tmp_path / "out"))
    assert sum(", penalty 8.5000, clean " in record.getMessage() for record in caplog.records) == 3
    assert "penalty" not in read_json(tmp_path / "out" / "selection.json")


def test_a_penalty_sees_the_adversarys_images(data: Path, tmp_path: Path) -> None:
    clean, attacked = GradientPenalty(0.0), GradientPenalty(0.0)
    execute(spec("a"), data, tmp_path / "a", tmp_path / "state", penalty=lambda *_: clean)
    execute(spec("b", ADVERSARY), data, tmp_path / "b", tmp_path / "state", penalty=lambda *_: attacked)
    # The first minibatch is that of both, before the attack.
    change = (attacked.shown[0][0] - clean.shown[0][0]).abs().max()
    assert 0.9 * 8 / 255 < change <= 8 / 255 + 1e-6 and torch.equal(attacked.shown[0][1], clean.shown[0][1])


def test_a_penalty_that_is_not_finite_says_what_to_change(data: Path, tmp_path: Path) -> None:
    class Overflow:
        def penalty(self, model: nn.Module, x: Tensor, y: Tensor, logits: Tensor, step: int, seed: int) -> Tensor:
            return torch.tensor(float("inf"))

    for penalty in (GradientPenalty(float("inf")), Overflow()):
        with pytest.raises(UserError, match=r"no longer finite.*lower training\.lr"):
            execute(spec(), data, tmp_path / "out", tmp_path / "state", penalty=lambda *_, chosen=penalty: chosen)


def test_a_penalty_on_a_compiled_network_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"standard: training\.compile: .* set it to false"):
        execute(spec(compile=True), data, tmp_path / "out", tmp_path / "state", penalty=lambda *_: Nothing())
