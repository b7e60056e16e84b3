"""The model that everything else sees: images in [0, 1] go in, one logit per class of the dataset comes out."""

import math
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional

from shapelens.errors import UserError


class Classifier(nn.Module):
    """Normalisation and network in one; optionally a selection or another reading of the network's outputs.

    ``input_size`` is the side that images must have, or None for any: pass it to ``prepare``. ``answer`` turns the
    network's outputs into one logit for each class.
    """

    def __init__(
        self,
        network: nn.Module,
        normalise: nn.Module,
        *,
        class_indices: Sequence[int] | None = None,
        answer: nn.Module | None = None,
        input_size: int | None = None,
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.network = network
        self.input_size = input_size
        self.answer = Pooled([(index,) for index in class_indices]) if class_indices is not None else answer

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) in [0, 1] to logits (N, classes)."""
        logits: Tensor = self.network(self.normalise(x))
        if self.answer is not None:
            logits = self.answer(logits)
        return logits


class OneLogit(nn.Module):
    """Two classes from one output z: the second one's probability is σ(z), so the logits are 0 and z."""

    def forward(self, z: Tensor) -> Tensor:
        """Map (N, 1) or (N,) to (N, 2)."""
        z = z.reshape(-1, 1)
        return torch.cat((torch.zeros_like(z), z), 1)


class OfProbabilities(nn.Module):
    """The logarithm of outputs that are probabilities already; what is 0 counts as the smallest normal float."""

    def forward(self, p: Tensor) -> Tensor:
        """Map (N, outputs) to logits of the same shape."""
        return p.float().clamp_min(torch.finfo(torch.float32).tiny).log()


class LogitOfProbability(nn.Module):
    """The logit of one probability, that of the second class."""

    def forward(self, p: Tensor) -> Tensor:
        """Map (N, 1) or (N,) to logits of the same shape."""
        return torch.logit(p.float(), eps=torch.finfo(torch.float32).eps)


class Pooled(nn.Module):
    """One logit for each class from the outputs that stand for it: the logarithm of the mean or sum of probabilities.

    The softmax over all outputs has one denominator, which no comparison of classes sees; so it is left out, and a
    class of one output keeps that output as its logit.
    """

    index: Tensor
    offset: Tensor

    def __init__(self, groups: Sequence[Sequence[int]], pooling: str = "mean") -> None:
        super().__init__()
        longest = max(map(len, groups))
        padded = [[*group, *[group[0]] * (longest - len(group))] for group in groups]
        offsets = [
            [-math.log(len(group)) if pooling == "mean" else 0.0] * len(group) + [-math.inf] * (longest - len(group))
            for group in groups
        ]
        self.register_buffer("index", torch.tensor(padded, dtype=torch.int64), persistent=False)
        self.register_buffer("offset", torch.tensor(offsets), persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits (N, outputs) to (N, classes)."""
        if self.index.shape[1] == 1:
            return logits.index_select(1, self.index[:, 0])
        members = logits.index_select(1, self.index.flatten()).reshape(len(logits), *self.index.shape)
        pooled: Tensor = torch.logsumexp(members + self.offset.to(members.dtype), 2)
        return pooled


def prepare(images: Tensor, input_size: int | None) -> Tensor:
    """Turn stored images into network input: float32, resized on their device, before any attack.

    ``images``: (N, C, H, W), uint8 (divided by 255) or floating (kept as they are). ``input_size``: side of the
    result, or None to keep it. The resize is bilinear and antialiased, so values stay within their range.
    """
    if images.ndim != 4:
        raise UserError(f"images: shape {tuple(images.shape)} is not (N, C, H, W)")
    x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if input_size is None or x.shape[2:] == (input_size, input_size):
        return x
    return functional.interpolate(x, (input_size, input_size), mode="bilinear", align_corners=False, antialias=True)


@torch.no_grad()
def predict(model: Classifier, images: Tensor, *, batch: int = 256) -> Tensor:
    """Return logits (n, classes) of stored images (n, C, H, W), float32 on the model's device, in evaluation mode.

    The model's mode is restored. Stored images may lie on another device; they are moved batch by batch.
    """
    device = next(chain(model.parameters(), model.buffers())).device
    mode = model.training
    model.eval()
    try:
        parts = [model(prepare(part.to(device), model.input_size)).float() for part in torch.split(images, batch)]
    finally:
        model.train(mode)
    return torch.cat(parts)
