"""Training the encoder: a classifier of the dataset's own training images, whose features are then frozen."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from shapelens.models.classifier import Classifier, prepare
from shapelens.models.normalisation import Normalise
from shapelens.models.spec import Network
from shapelens.stylisation.networks import Encoder, convolutions
from shapelens.stylisation.spec import StyleNetworks
from shapelens.training.loop import Images, Outcome, train
from shapelens.training.spec import Training, TrainingRun

SCALE_IMAGES = 256
"""Training images, and style images, over which the features' scale is measured."""
CHUNK = 64
SILENT = 1e-2
"""Channels with less than this share of their layer's mean scale are divided by that mean: their own is near zero."""


class Reader(nn.Module):
    """An encoder without its colour layer, and a linear layer on the mean of its features."""

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*list(encoder)[1:])
        self.fc = nn.Linear(encoder.layout.widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        logits: Tensor = self.fc(self.body(x).mean((2, 3)))
        return logits


def train_encoder(
    encoder: Encoder,
    spec: StyleNetworks,
    train_set: Images,
    validation_set: Images,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    classes: int,
    seed: int,
    device: torch.device,
    state_dir: Path,
) -> Outcome:
    """Train an encoder in place, as a classifier, by the loop that trains every other model; it resumes bit for bit.

    AdaIN can only replace a texture that the features describe; those of a classifier do, where texture helps to name
    the class. The checkpoint with the highest validation accuracy is kept. ``mean``, ``std``: the channel statistics
    that the encoder's colour layer was built with. Raises UserError for a loss that is not finite, and for a step that
    does not fit the device's memory.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # The reader shares all layers of the encoder but the fixed colour layer; the classifier normalises instead.
        model = Classifier(Reader(encoder, classes), Normalise(mean, std))
    settings = Training(
        epochs=spec.encoder_epochs,
        batch=min(spec.encoder_batch, len(train_set)),
        lr=spec.encoder_lr,
        pad=0,
        precision="fp32",
    )
    run = TrainingRun(model="style encoder", seed=seed, classes=classes, network=Network(), training=settings)
    key = "encoder_batch of the style networks"
    outcome = train(run, model, train_set, validation_set, device=device, state_dir=state_dir, batch_key=key)
    model.load_state_dict(outcome.weights)
    return outcome


@torch.no_grad()
def equalise(encoder: Encoder, image_sets: Sequence[Tensor]) -> None:
    """Scale every channel to a root mean square of 1 over some images, in place; each set counts the same.

    ReLU and pooling commute with a positive scale, so a scale taken out of one convolution and put into the next leaves
    the features the same but for their units. The losses then weigh all channels and stages equally (compare the
    normalised VGG of Gatys et al. 2016). ``image_sets``: stored images (n, 3, H, W) each.
    """
    scales = [_mean_squares(encoder, images[:SCALE_IMAGES]) for images in image_sets]
    before: Tensor | None = None
    for number, conv in enumerate(convolutions(encoder)):
        squares = torch.stack([scale[number] for scale in scales]).mean(0)
        size = squares.sqrt()
        size = torch.where(size > SILENT * size.mean(), size, size.mean())
        if before is not None:
            conv.weight.mul_(before[None, :, None, None])
        conv.weight.div_(size[:, None, None, None])
        assert conv.bias is not None
        conv.bias.div_(size)
        before = size


def _mean_squares(encoder: Encoder, images: Tensor) -> list[Tensor]:
    """Return the mean square of each channel after each ReLU, in order, (channels,) each."""
    sums: dict[int, Tensor] = {}
    values: dict[int, int] = {}
    device = next(encoder.parameters()).device
    for part in torch.split(images, CHUNK):
        x = prepare(part.to(device), None)
        for place, module in enumerate(encoder):
            x = module(x)
            if isinstance(module, nn.ReLU):
                sums[place] = sums.get(place, 0) + x.square().sum((0, 2, 3))
                values[place] = values.get(place, 0) + x.numel() // x.shape[1]
    return [sums[place] / values[place] for place in sums]
