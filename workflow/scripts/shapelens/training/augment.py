"""Random crops and flips, one draw per image, on whatever device the stored images lie."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from shapelens.errors import UserError


@dataclass(frozen=True)
class EpochPlan:
    """What happens to each training image in one epoch: all that is random, drawn at once.

    ``order`` (n,): image of each place; ``top``, ``left`` (n,): corner of its crop in the padded image; ``flip`` (n,).
    """

    order: Tensor
    top: Tensor
    left: Tensor
    flip: Tensor

    def batch(self, index: int, size: int) -> "EpochPlan":
        """Return the part of the plan for one minibatch."""
        part = slice(index * size, (index + 1) * size)
        return EpochPlan(self.order[part], self.top[part], self.left[part], self.flip[part])


def crop_geometry(side: int, target: int, pad: int) -> tuple[int, int]:
    """Return (zero padding, number of possible corners along each side) for crops of side ``target``.

    Stored images larger than the target are cropped to it and not padded. Raises UserError for smaller ones.
    """
    if side < target:
        raise UserError(
            f"training images have side {side}, smaller than the validation images' {target}; store them alike"
        )
    padding = pad if side == target else 0
    return padding, side + 2 * padding - target + 1


def plan_epoch(images: int, corners: int, flip: bool, seed: int) -> EpochPlan:
    """Draw an epoch from its own seed, on the CPU, so that every device sees the same images."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(images, generator=generator)
    top, left = torch.randint(corners, (2, images), generator=generator)
    mirrored = torch.randint(2, (images,), generator=generator).bool()
    return EpochPlan(order, top, left, mirrored & flip)


def augment(images: Tensor, plan: EpochPlan, target: int, padding: int) -> Tensor:
    """Crop and flip a minibatch of stored images.

    ``images``: (N, C, H, W) in any type, already in the plan's order; ``plan``: corners and flips of these N images;
    ``target``: side of the crops; ``padding``: zeros added on each side first. Returns (N, C, target, target) of the
    same type, laid out channels last.
    """
    if padding:
        images = functional.pad(images, (padding,) * 4)
    device = images.device
    along = torch.arange(target, device=device)
    rows = plan.top.to(device)[:, None] + along
    columns = plan.left.to(device)[:, None] + torch.where(plan.flip.to(device)[:, None], along.flip(0), along)
    number = torch.arange(len(images), device=device)[:, None, None]
    # Index arrays on both sides of a slice put its axis last: the result is NHWC in memory, as convolutions like it.
    return images[number, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
