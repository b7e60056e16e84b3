"""Per-image predictions of a model on stored images."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.errors import UserError
from shapelens.models.classifier import prepare
from shapelens.models.evaluation_mode import still
from shapelens.models.within_memory import Fitting, slices


class Answers(NamedTuple):
    """What a model says of each image; arrays (N,)."""

    predicted: NDArray[np.int16]
    """The class of the largest logit, the lowest such class where several are equal."""
    probability: NDArray[np.float32]
    """Probability of the label, in [0, 1]."""
    rank: NDArray[np.int16]
    """Place of the label among all classes by logit, see ``ranks``; 1 exactly where it is ``predicted``."""
    other_rank: NDArray[np.int16]
    """Place of a second class of the image, 0 where it has none."""
    other_probability: NDArray[np.float32]
    """Probability of that class, NaN where there is none."""


def predict(
    classifier: nn.Module,
    images: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    others: NDArray[np.integer[Any]] | None = None,
    *,
    input_size: int | None,
    batch: int,
    device: str | torch.device,
) -> Answers:
    """Return the class that the model names for each image, and the place and probability of one or two classes.

    Images go to the device batch by batch, where they are made float32 and resized, so a memory-mapped set of any
    length needs the memory of one batch, and of part of one where the device has no more. Computed in float32; the
    model is left as it was. Neither the batch size nor the order of the images changes a result by more than float32
    rounding.

    Args:
        classifier: maps float32 images (B, C, S, S) to logits (B, classes); on ``device``.
        images: (N, C, H, W), uint8 or float32, possibly outside [0, 1] (Fourier-filtered sets).
        labels: (N,), the classes that count as right.
        others: (N,), a second class of each image, such as that of its texture; −1, or None for all: there is none.
        input_size: side S of the network's input; None: as stored.
        batch: images per pass.
        device: where to compute.

    Raises:
        UserError: a label or second class is not among the model's classes, the model's outputs are not numbers, or not
            even one image fits the device.
    """
    count = len(images)
    found = Answers(
        predicted=np.empty(count, dtype=np.int16),
        probability=np.empty(count, dtype=np.float32),
        rank=np.empty(count, dtype=np.int16),
        other_rank=np.zeros(count, dtype=np.int16),
        other_probability=np.full(count, np.nan, dtype=np.float32),
    )
    second = np.full(count, -1) if others is None else np.asarray(others)
    fitting = Fitting()

    def answer(rows: slice) -> None:
        x, y = to_device(images[rows], labels[rows], input_size=input_size, device=device)
        logits = classifier(x)
        if rows.start == 0:
            for classes in (labels, second[second >= 0]):
                check_labels(classes, logits.shape[1])
        found.predicted[rows], found.probability[rows] = (part.cpu().numpy() for part in judge(logits, y))
        found.rank[rows] = ranks(logits, y).cpu().numpy()
        has = np.flatnonzero(second[rows] >= 0)
        if len(has):
            kept, z = logits[torch.from_numpy(has).to(logits.device)], torch.from_numpy(second[rows][has]).to(y)
            found.other_probability[rows][has] = judge(kept, z)[1].cpu().numpy()
            found.other_rank[rows][has] = ranks(kept, z).cpu().numpy()

    def answer_batch(first: int, count: int, size: int) -> None:
        for part in slices(count, size):
            answer(slice(first + part.start, first + part.stop))

    with still(classifier), torch.inference_mode():
        for rows in slices(len(images), batch):
            fitting.fit(rows.stop - rows.start, partial(answer_batch, rows.start, rows.stop - rows.start))
            check_finite(found.probability[rows], rows.start)
    return found


def to_device(
    images: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    *,
    input_size: int | None,
    device: str | torch.device,
) -> tuple[Tensor, Tensor]:
    """Bring a batch of stored images and their labels to the device, ready for the network."""
    x = torch.from_numpy(np.array(images)).to(device)  # a copy: torch warns of read-only memory maps
    y = torch.from_numpy(np.array(labels, dtype=np.int64)).to(device)
    return prepare(x, input_size), y


def judge(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the predicted classes (int16) and the probabilities of the labels (float32), each (N,)."""
    probability = torch.softmax(logits.float(), dim=1).gather(1, labels[:, None]).squeeze(1)
    return logits.argmax(dim=1).to(torch.int16), probability


def ranks(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the place of a class among all, by logit: int16 (N,), 1 for the most probable.

    Equal logits are placed by class, the lower one first, as ``argmax`` does: place 1 is exactly where ``judge`` names
    the class.
    """
    own = logits.gather(1, classes[:, None])
    lower = torch.arange(logits.shape[1], device=logits.device) < classes[:, None]
    return (1 + ((logits > own) | ((logits == own) & lower)).sum(dim=1)).to(torch.int16)


def check_labels(labels: NDArray[np.integer[Any]], classes: int) -> None:
    """Raise UserError if a label is not among the model's classes."""
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise UserError(
            f"the images have labels {labels.min()} to {labels.max()}, but the model gives {classes} classes: it was "
            "trained on other classes; for a finished model set outputs, those of each class of the dataset"
        )


def check_finite(probability: NDArray[np.float32], first: int) -> None:
    """Raise UserError if a probability is not a number; ``first`` is the index of the first image."""
    bad = np.flatnonzero(~np.isfinite(probability))
    if len(bad):
        raise UserError(
            f"the model's outputs for image {first + bad[0]} are not finite: its weights are damaged or its training "
            "diverged; train it again, with a lower learning rate if it diverged"
        )
