"""What instruments on ``attacks.ascent`` share: many images raised at once, and the judge's view of the results."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.artefacts.files import ImageSet
from shapelens.attacks.ascent import Ascent, Climbed, ascend
from shapelens.errors import UserError
from shapelens.instruments.ways import Way
from shapelens.models.answers import to_device
from shapelens.models.classifier import Classifier, prepare
from shapelens.models.evaluation_mode import still
from shapelens.models.for_gradients import fits_cache
from shapelens.models.representation import Representation
from shapelens.models.within_memory import Fitting, in_parts, slices

Reading = Callable[[Tensor, slice], Tensor]
"""Maps what the network makes of some images (n, …) and their places among all to one value each (n,), to be raised."""


def raised(
    network: nn.Module,
    reading: Reading,
    starts: Tensor,
    ascent: Ascent,
    *,
    device: str | torch.device,
    batch: int,
    fitting: Fitting,
) -> Climbed:
    """Raise what is read of a network's outputs, from each start; a few images at once, each the whole way.

    ``network``: on ``device``, held still here; ``starts``: (N, C, H, W) in [0, 1], anywhere. The device's memory is
    that of ``batch`` images, whatever N. How many go together changes a result by no more than float32 rounding.

    Returns the images and snapshots on the CPU; raises UserError for gradients that are not finite.
    """
    at_once = batch if torch.device(device).type != "cpu" else min(batch, fits_cache(starts) * torch.get_num_threads())

    def climb(rows: slice, size: int) -> Climbed:
        x = starts[rows].to(device)
        parted = in_parts(network, size, len(x))
        return ascend(lambda images: reading(parted(images), rows), x, ascent)

    images, snapshots = [], []
    with still(network):
        for rows in slices(len(starts), at_once):
            try:
                found = fitting.fit(rows.stop - rows.start, partial(climb, rows))
            except FloatingPointError as error:
                raise UserError(f"{error}; or leave this model out of the instrument's models") from None
            images.append(found.images.cpu())
            snapshots.append(found.snapshots.cpu())
    return Climbed(torch.cat(images), torch.cat(snapshots, 1))


def ascent_of(way: Way) -> Ascent:
    """Return how a section of the config asks for images to be optimised, its snapshots among it."""
    return Ascent(
        norm="l2",
        step=way.step,
        steps=way.iterations,
        eps=math.inf if way.eps is None else way.eps,
        keep=way.keep,
        snapshots=spaced(way.iterations, way.frames),
    )


def without_snapshots(ascent: Ascent) -> Ascent:
    """Return the same way without notes of it."""
    return replace(ascent, snapshots=())


def spaced(steps: int, frames: int) -> tuple[int, ...]:
    """Return up to so many numbers of steps, from 0 to all, closer together at the beginning, where most happens."""
    between = np.geomspace(1, max(1, steps), max(2, frames - 1)).round().astype(int).tolist()
    return tuple(sorted({0, *(between if steps else [])}))


class Judged(NamedTuple):
    """What the judge sees in images."""

    features: NDArray[np.float64]
    """Its representation of each, (N, k)."""
    predicted: NDArray[np.int64]
    """The class that it names, (N,)."""


def in_parts_of(network: nn.Module, images: Tensor, size: int, device: str | torch.device) -> Tensor:
    """Return what a network makes of images (N, C, H, W), on the CPU; ``size`` of them at once."""
    with still(network), torch.inference_mode():
        return torch.cat([network(part.to(device)).cpu() for part in torch.split(images, size)])


def judged(judge: Classifier, images: Tensor, batch: int, device: str | torch.device) -> Judged:
    """Return the judge's view of images (N, C, H, W) in [0, 1], brought to the size that it takes."""
    x = torch.cat([prepare(part, judge.input_size) for part in torch.split(images, batch)])
    features = in_parts_of(Representation(judge, x[:1].to(device)), x, batch, device)
    logits = in_parts_of(judge, x, batch, device)
    return Judged(features.double().numpy(), logits.argmax(1).numpy())


def at_input(source: ImageSet, rows: "slice | NDArray[np.int64]", input_size: int | None) -> Tensor:
    """Return some stored images as a network takes them, (n, C, H, W) in [0, 1], on the CPU."""
    x, _ = to_device(source.images[rows], source.labels[rows], input_size=input_size, device="cpu")
    return x.clamp(0, 1)


def to_bytes(images: Tensor) -> NDArray[np.uint8]:
    """Return images in [0, 1] as they are looked at, in 256 steps."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
