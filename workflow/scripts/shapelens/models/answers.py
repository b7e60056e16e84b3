"""Per-image predictions of a model on stored images."""

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.errors import UserError
from shapelens.models.classifier import prepare
from shapelens.models.evaluation_mode import still
from shapelens.models.within_memory import Fitting, slices


def predict(
    classifier: nn.Module,
    images: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    *,
    input_size: int | None,
    batch: int,
    device: str | torch.device,
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return each image's predicted class and the probability that the model gives to its label.

    Images go to the device batch by batch, where they are made float32 and resized, so a memory-mapped set of any
    length needs the memory of one batch, and of part of one where the device has no more. Computed in float32; the
    model is left as it was. Neither the batch size nor the order of the images changes a result by more than float32
    rounding.

    Args:
        classifier: maps float32 images (B, C, S, S) to logits (B, classes); on ``device``.
        images: (N, C, H, W), uint8 or float32, possibly outside [0, 1] (Fourier-filtered sets).
        labels: (N,), the classes that count as right.
        input_size: side S of the network's input; None: as stored.
        batch: images per pass.
        device: where to compute.

    Returns:
        predicted int16 (N,) and probability float32 (N,), in [0, 1].

    Raises:
        UserError: a label is not among the model's classes, the model's outputs are not numbers, or not even one image
            fits the device.
    """
    predicted = np.empty(len(images), dtype=np.int16)
    probability = np.empty(len(images), dtype=np.float32)
    fitting = Fitting()

    def answer(rows: slice) -> None:
        x, y = to_device(images[rows], labels[rows], input_size=input_size, device=device)
        logits = classifier(x)
        if rows.start == 0:
            check_labels(labels, logits.shape[1])
        predicted[rows], probability[rows] = (part.cpu().numpy() for part in judge(logits, y))

    def answer_batch(first: int, count: int, size: int) -> None:
        for part in slices(count, size):
            answer(slice(first + part.start, first + part.stop))

    with still(classifier), torch.inference_mode():
        for rows in slices(len(images), batch):
            fitting.fit(rows.stop - rows.start, partial(answer_batch, rows.start, rows.stop - rows.start))
            check_finite(probability[rows], rows.start)
    return predicted, probability


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


def check_labels(labels: NDArray[np.integer[Any]], classes: int) -> None:
    """Raise UserError if a label is not among the model's classes."""
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise UserError(
            f"the images have labels {labels.min()} to {labels.max()}, but the model gives {classes} classes: it was "
            "trained on other classes; for a finished model set class_indices, one output for each class of the dataset"
        )


def check_finite(probability: NDArray[np.float32], first: int) -> None:
    """Raise UserError if a probability is not a number; ``first`` is the index of the first image."""
    bad = np.flatnonzero(~np.isfinite(probability))
    if len(bad):
        raise UserError(
            f"the model's outputs for image {first + bad[0]} are not finite: its weights are damaged or its training "
            "diverged; train it again, with a lower learning rate if it diverged"
        )
