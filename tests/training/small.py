"""Trainings of a second, and how they are killed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from shapelens.artefacts.files import sha256, write_json
from shapelens.attacks.spec import Attack
from shapelens.models.spec import Network
from shapelens.training.adversarial import pgd_adversary
from shapelens.training.optimiser import Sgd
from shapelens.training.run import PenaltyFactory, run_training
from shapelens.training.spec import Training, TrainingRun

CPU = torch.device("cpu")
DECIDING = ("model.safetensors", "spec.json", "selection.json", "history.csv")
SETTINGS = {"epochs": 3, "batch": 16, "lr": 0.05, "pad": 2, "selection_steps": 2, "validation_images": 20}
ADVERSARY = Attack(eps="8/255", steps=2)  # type: ignore[arg-type]


def spec(model: str = "standard", adversary: Attack | None = None, **settings: Any) -> TrainingRun:
    training = Training.model_validate({**SETTINGS, **settings})
    network = Network(width=2)
    match = "pgd-inf-8" if model == "underfit" else None
    return TrainingRun(model=model, seed=3, network=network, training=training, adversary=adversary, match=match)


def execute(
    run: TrainingRun,
    data: Path,
    out: Path,
    state: Path,
    target: float | None = None,
    penalty: PenaltyFactory | None = None,
) -> None:
    """Train a model as its job does, by PGD where its spec has an adversary."""
    selection = None
    if target is not None:
        selection = state.parent / "target.json"
        write_json(selection, {"validation_accuracy": target})
    adversary = pgd_adversary if run.adversary else None
    run_training(run, data, out, state, CPU, adversary, selection, penalty_factory=penalty, code="code 1")


def contents(folder: Path) -> dict[str, str]:
    return {name: sha256(folder / name) for name in DECIDING}


class KilledError(Exception):
    """Stands for a job that dies."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Die at the start of an optimiser step: after the last save, with the weights half on their way."""
    whole, count = Sgd.step, iter(range(10**6))

    def dying(self: Sgd, lr: float) -> None:
        if next(count) == step:
            raise KilledError
        whole(self, lr)

    monkeypatch.setattr(Sgd, "step", dying)
