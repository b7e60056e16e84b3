"""Expected gradients as a method of the saliency instrument, against a background of training images."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.artefacts.files import ImageSet
from shapelens.attribution.expected_gradients import (
    Expected,
    draw_samples,
    expected_gradients,
    mean_scores,
    scores_of,
)
from shapelens.attribution.maps import default_chunk
from shapelens.errors import UserError
from shapelens.instruments.saliency.method import Explain, Explained, Inputs
from shapelens.models.answers import to_device
from shapelens.models.within_memory import slices
from shapelens.seeds import generator

KEY = "saliency.expected_gradients.background"


def prepare(classifier: nn.Module, inputs: Inputs) -> Explain:
    """Return the method for one model, its background drawn and answered once for all test sets.

    Numbers: ``completeness_gap``, how far a map's sum is from S_c(x) − mean S_c(b) (additivity), and its standard
    error ``gap_error``, in units of the score; ``standard_error`` of the map, √Σ s² / √Σ E², s being the standard error
    of each value.

    Raises UserError for a background that is not there, smaller than asked, or of one class.
    """
    settings = inputs.saliency.expected_gradients
    background = _prepared(choose_background(inputs.training, settings.background, inputs.data_seed), inputs)

    def answer(size: int) -> Tensor:
        return mean_scores(classifier, background, inputs.device, settings.score, size)

    start = inputs.fitting.fit(default_chunk(background[:1].to(inputs.device)), answer)
    return partial(_explain, classifier, inputs, background, start)


def choose_background(training: ImageSet | None, count: int, data_seed: int) -> NDArray[np.generic]:
    """Draw ``count`` of the training images with data_seed, stored as they are; more continue those of fewer.

    Every image is as likely as any other, so the background has the classes as the training images have them.

    Raises:
        UserError: there are no training images or fewer than asked, or all that were drawn are of one class.
    """
    if training is None:
        raise UserError("saliency.methods: expected-gradients needs training images for its background")
    if count > len(training):
        raise UserError(
            f"{KEY}: {count} images asked for, but there are {len(training)} training images; allowed: 2 to "
            f"{len(training)}"
        )
    chosen = generator(data_seed, "background").permutation(len(training))[:count]
    classes = np.unique(training.labels[chosen])
    if len(classes) < 2:
        whole = len(np.unique(training.labels))
        remedy = (
            f"the training images have {whole} classes; ask for more" if whole > 1 else "so are all training images"
        )
        raise UserError(
            f"{KEY}: its {count} images are all of class {classes[0]}, so maps would say how an image differs from "
            f"that class and not from images at large; {remedy}"
        )
    return np.asarray(training.images[np.sort(chosen)])[np.argsort(np.argsort(chosen))]


def _prepared(images: NDArray[np.generic], inputs: Inputs) -> Tensor:
    """Return images at the network's input size, float32 in the machine's memory, brought there a few at a time."""
    parts = []
    for rows in slices(len(images), 64):
        labels = np.zeros(rows.stop - rows.start, dtype=np.int64)
        x, _ = to_device(images[rows], labels, input_size=inputs.input_size, device=inputs.device)
        parts.append(x.cpu())
    return torch.cat(parts)


def _explain(
    classifier: nn.Module,
    inputs: Inputs,
    background: Tensor,
    start: Tensor,
    x: Tensor,
    target: Tensor,
    indices: NDArray[np.int64],
) -> Explained:
    """Explain image by image, because every image has draws of its own; they are the same on every test set."""
    settings = inputs.saliency.expected_gradients

    def explain(one: slice, chosen: Tensor, places: Tensor, size: int) -> Expected:
        return expected_gradients(
            classifier,
            x[one],
            target[one],
            background=background,
            chosen=chosen,
            places=places,
            score=settings.score,
            chunk=size,
        )

    found: list[Expected] = []
    for i, image in enumerate(indices):
        rng = generator(inputs.data_seed, "expected gradients", int(image))
        chosen, places = map(torch.from_numpy, draw_samples(settings.samples, len(background), rng))
        compute = partial(explain, slice(i, i + 1), chosen[:, None], places[:, None])
        found.append(inputs.fitting.fit(min(default_chunk(x), settings.samples), compute))
    maps = torch.cat([one.maps for one in found])
    ends = inputs.fitting.fit(len(x), lambda size: scores_of(classifier, x, target, settings.score, size))
    gaps = (maps.double().sum((1, 2, 3)).cpu() - (ends - start[target.cpu()])).abs()
    size, error = (part.double().flatten(1).norm(dim=1).cpu() for part in (maps, torch.cat([e.errors for e in found])))
    numbers = {
        "completeness_gap": gaps,
        "gap_error": torch.cat([one.sum_errors for one in found]),
        "standard_error": torch.where(size > 0, error / size, torch.nan),
    }
    return Explained(maps, {name: one.numpy() for name, one in numbers.items()})
