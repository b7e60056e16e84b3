"""A job on images that lie in memory, and small networks, for the tests of instruments that optimise images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.artefacts.files import ImageSet
from shapelens.instruments.measuring import Measurement
from shapelens.instruments.spec import InstrumentSpec, MeasurementJob
from shapelens.models.architectures import build
from shapelens.models.classifier import Classifier
from shapelens.models.normalisation import normalisation

SIDE, CLASSES = 8, 4


class Plain(nn.Module):
    """A network of one hidden layer, its normalisation none: R is its hidden layer."""

    def __init__(self, weight: Tensor, *, relu: bool, classes: int = CLASSES) -> None:
        super().__init__()
        self.hidden = nn.Linear(weight.shape[1], len(weight), bias=False, dtype=weight.dtype)
        self.relu = nn.ReLU() if relu else nn.Identity()
        self.fc = nn.Linear(len(weight), classes, dtype=weight.dtype)
        with torch.no_grad():
            self.hidden.weight.copy_(weight)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.relu(self.hidden(x.flatten(1))))
        return logits


@dataclass(frozen=True)
class InMemory(Measurement):
    """A measurement whose test set is not on the disk."""

    held: Mapping[str, ImageSet] = field(default_factory=dict)

    def images(self, testset: str) -> ImageSet:
        return self.held[testset]


def network(width: int = 4, seed: int = 1) -> Classifier:
    """Return a small network with random weights."""
    made = build("resnet-small", CLASSES, width, seed=seed)
    return Classifier(made, normalisation("dataset", [0.5] * 3, [0.2] * 3)).eval()


def plain(weight: Tensor, *, relu: bool = False) -> Classifier:
    """Return a classifier whose representation is the product with a matrix (k, 3·SIDE²)."""
    return Classifier(Plain(weight, relu=relu), nn.Identity()).eval()


def some_images(count: int = 12, labels: NDArray[np.int64] | None = None) -> ImageSet:
    """Return uint8 images of four classes."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 3, SIDE, SIDE)).astype(np.uint8)
    return ImageSet(pixels, np.arange(count) % CLASSES if labels is None else labels, None)


def job_of(
    section: InstrumentSpec, name: str, *, classifier: nn.Module, images: ImageSet, batch: int = 5, **keys: Any
) -> InMemory:
    """Return the job of one instrument on images in memory."""
    spec = MeasurementJob(instrument=name, settings=section.deciding(), data_seed=3, testsets=("clean",))
    return InMemory(
        classifier=classifier,  # type: ignore[arg-type]
        device=torch.device("cpu"),
        testsets={"clean": Path("clean")},
        spec=spec,
        batch=batch,
        held={"clean": images},
        **keys,
    )
