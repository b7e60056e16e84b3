"""The model that everything else sees: images in [0, 1] go in, one logit per class of the dataset comes out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from shapelens.errors import UserError


class Classifier(nn.Module):
    """Normalisation and network in one; optionally a selection of the network's outputs.

    ``input_size`` is the side that images must have, or None for any: pass it to ``prepare``.
    """

    class_indices: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        normalise: nn.Module,
        *,
        class_indices: Sequence[int] | None = None,
        input_size: int | None = None,
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.network = network
        self.input_size = input_size
        indices = None if class_indices is None else torch.tensor(class_indices, dtype=torch.int64)
        self.register_buffer("class_indices", indices, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) in [0, 1] to logits (N, classes)."""
        logits: Tensor = self.network(self.normalise(x))
        if self.class_indices is not None:
            logits = logits.index_select(1, self.class_indices)
        return logits


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
    device = next(model.parameters()).device
    mode = model.training
    model.eval()
    try:
        parts = [model(prepare(part.to(device), model.input_size)).float() for part in torch.split(images, batch)]
    finally:
        model.train(mode)
    return torch.cat(parts)
