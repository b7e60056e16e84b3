"""Images with the representation of another: argmin over x of ‖R(x) − R(target)‖ / ‖R(target)‖."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.attacks.ascent import Ascent, Climbed
from shapelens.errors import UserError
from shapelens.instruments.optimised import in_parts_of, raised, without_snapshots
from shapelens.models.within_memory import Fitting
from shapelens.seeds import generator

NOISE = (0.5, 0.55)
"""Range of the noise that a start is drawn from, as in the released code of Boychev (2022)."""


class Starts(NamedTuple):
    """Where the targets are approached from."""

    names: tuple[str, ...]
    """Name of each start of a target: ``image-1``, …, ``noise-1``, …"""
    images: NDArray[np.int64]
    """Index of the test image that each start is, (targets, starts); −1: noise."""


def choose_starts(
    labels: NDArray[np.integer], targets: NDArray[np.int64], sources: int, noise: int, data_seed: int
) -> Starts:
    """Draw, for each target, test images of other classes; the same for every model.

    Raises UserError where there are too few, or nothing to start from.
    """
    if sources + noise == 0:
        raise UserError("instruments.inversion: sources and noise are both 0, so there is nothing to start from")
    chosen = np.full((len(targets), sources + noise), -1, dtype=np.int64)
    for place, target in enumerate(targets):
        others = np.flatnonzero(labels != labels[target])
        if len(others) < sources:
            raise UserError(
                f"instruments.inversion.sources: {sources} images of other classes asked for, but the test set has "
                f"{len(others)} of another class than image {target}"
            )
        if sources:
            rng = generator(data_seed, "inversion sources", int(target))
            chosen[place, :sources] = rng.choice(others, size=sources, replace=False)
    names = (*(f"image-{n + 1}" for n in range(sources)), *(f"noise-{n + 1}" for n in range(noise)))
    return Starts(names, chosen)


def draw_noise(shape: tuple[int, ...], target: int, number: int, data_seed: int) -> NDArray[np.float32]:
    """Draw a start of noise (C, H, W) for a target; it is the same on every device."""
    rng = generator(data_seed, "inversion noise", target, number)
    return rng.uniform(*NOISE, size=shape).astype(np.float32)


def invert(
    representation: nn.Module,
    starts: Tensor,
    wanted: Tensor,
    ascent: Ascent,
    *,
    device: str | torch.device,
    batch: int,
    fitting: Fitting,
) -> Climbed:
    """Drive each start towards a representation.

    ``representation``: maps images to R (N, k), on ``device``; ``starts``: (N, C, H, W); ``wanted``: R of their targets
    (N, k). The distance is not divided by ‖R(target)‖: steps have a length of their own, so a factor moves nothing.
    """
    to = wanted.to(device)
    return raised(
        representation,
        lambda found, rows: -torch.linalg.vector_norm(found - to[rows], dim=1),
        starts,
        ascent,
        device=device,
        batch=batch,
        fitting=fitting,
    )


def invert_all(
    representation: nn.Module,
    starts: Tensor,
    targets: Tensor,
    ascent: Ascent,
    *,
    shown: int,
    device: str | torch.device,
    batch: int,
    fitting: Fitting,
) -> tuple[Tensor, Tensor]:
    """Invert every target from each of its starts; note the way to the first ``shown``.

    ``starts``: (T, J, C, H, W); ``targets``: (T, C, H, W), both on the CPU. Returns the images (T, J, C, H, W) and the
    way (len(ascent.snapshots), shown, J, C, H, W).
    """
    count = starts.shape[1]
    wanted = in_parts_of(representation, targets, batch, device).repeat_interleave(count, 0)
    flat = starts.flatten(0, 1)
    first = min(shown, len(targets)) * count
    noted = invert(representation, flat[:first], wanted[:first], ascent, device=device, batch=batch, fitting=fitting)
    found = [noted.images]
    if first < len(flat):
        rest = without_snapshots(ascent)
        args = (representation, flat[first:], wanted[first:], rest)
        found.append(invert(*args, device=device, batch=batch, fitting=fitting).images)
    return torch.cat(found).view_as(starts), noted.snapshots.view(-1, first // count, *starts.shape[1:])
