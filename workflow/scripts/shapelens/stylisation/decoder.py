"""Training the decoder against a frozen encoder (Huang & Belongie 2017, §6)."""

import datetime
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from shapelens.errors import UserError
from shapelens.machine import termination
from shapelens.models.classifier import prepare
from shapelens.models.within_memory import within_memory
from shapelens.seeds import TrainingStream, derive
from shapelens.stylisation.adain import Moments, adain, moments
from shapelens.stylisation.networks import Encoder, StyleNet
from shapelens.stylisation.spec import StyleNetworks
from shapelens.training.augment import augment, crop_geometry, plan_epoch
from shapelens.training.loop import SAVE_SECONDS
from shapelens.training.optimiser import Adam
from shapelens.training.schedule import learning_rate
from shapelens.training.spec import Schedule, Training
from shapelens.training.state import load_state, save_state

log = logging.getLogger("shapelens")

REPORT_STEPS = 50
COLUMNS = ("step", "lr", "content", "style", "reconstruction")
# The encoder's training draws from the streams of the training loop under the same seed.
FLOOR = 1e-8
"""Added to a variance before its square root, whose gradient at 0 is infinite."""

Row = dict[str, float]


@dataclass
class _Progress:
    step: int = 0
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)


def train_decoder(
    networks: StyleNet,
    spec: StyleNetworks,
    contents: Tensor,
    styles: Tensor,
    *,
    side: int,
    seed: int,
    device: torch.device,
    state_dir: Path,
) -> tuple[list[Row], float]:
    """Train the decoder in place; return the history, one row per 50 steps, and the seconds it took.

    The loss is the distance of the decoded image's features to the AdaIN target (ibid., eq. 12), plus ``style_weight``
    times the distances of their channel means and deviations to the style's, in every stage and in the colours
    themselves (eq. 13), plus ``reconstruction_weight`` times the distance of images to their reconstructions (ours),
    which is what alpha 0 gives, and from which the decoder soon learns the colours. Distances are mean squares.

    Args:
        networks: a trained encoder, and the decoder to train; on ``device``.
        spec: steps, batch and weights.
        contents: stored training images (n, 3, H, W), uint8; also the styles of a share ``own_styles`` of the steps.
        styles: stored style images (s, 3, h, w), uint8.
        side: images are cropped to it at random where they are larger.
        seed: decides all that is drawn.
        device: where to compute.
        state_dir: holds the state of an interrupted run, from which the next call continues to the same bits.

    Raises:
        UserError: the loss is no longer finite, or a step does not fit the device's memory.
    """
    return _Training(networks, spec, contents, styles, side, seed, device, state_dir).run_to_end()


def batch_losses(networks: StyleNet, content: Tensor, style: Tensor, whole: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return content, style and reconstruction loss of a batch; see ``train_decoder``.

    ``content``, ``style``: (N, 3, S, S) in [0, 1]; ``whole``: how many of the content images are reconstructed as well.
    """
    encoder, decoder = networks
    count, height, width = len(content), content.shape[2], content.shape[3]
    with torch.no_grad():
        features = encoder(content)
        wanted = [moments(values) for values in _described(encoder, style)]
        target = adain(features, wanted[-1])
    decoded = decoder(torch.cat([target, features[:whole]]))[:, :, :height, :width]
    found = _described(encoder, decoded[:count])
    style_loss = torch.stack([_distance(*pair) for pair in zip(found, wanted, strict=True)]).sum()
    colours = encoder[0]
    reconstruction = functional.mse_loss(colours(decoded[count:]), colours(content[:whole]))
    return functional.mse_loss(found[-1], target), style_loss, reconstruction


def _described(encoder: Encoder, images: Tensor) -> list[Tensor]:
    """Return the normalised colours, and the features of every stage."""
    return [encoder[0](images), *encoder.stages(images)]


def _distance(features: Tensor, wanted: Moments) -> Tensor:
    variance, mean = torch.var_mean(features, dim=(2, 3), correction=0, keepdim=True)
    deviation = (variance + FLOOR).sqrt()
    return functional.mse_loss(mean, wanted.mean) + functional.mse_loss(deviation, wanted.deviation)


class _Training:
    def __init__(
        self,
        networks: StyleNet,
        spec: StyleNetworks,
        contents: Tensor,
        styles: Tensor,
        side: int,
        seed: int,
        device: torch.device,
        state_dir: Path,
    ) -> None:
        self.networks, self.spec, self.device, self.state_dir = networks, spec, device, state_dir
        self.contents, self.styles, self.side, self.seed = contents, styles, side, seed
        self.batch = min(spec.decoder_batch, len(contents))
        self.whole = max(1, self.batch // 4)
        self.per_epoch = len(contents) // self.batch
        self.schedule = Training(epochs=1, lr=spec.decoder_lr, schedule=Schedule(warmup=0.1))
        self.optimiser = Adam(networks.decoder)
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)
        self.progress = _Progress()
        self.too_large = (
            f"style decoder: a training step on {self.batch} pairs of images does not fit; lower decoder_batch of the "
            "style networks, or compute.jobs_per_gpu"
        )

    def run_to_end(self) -> tuple[list[Row], float]:
        self._resume()
        started = saved = time.monotonic()
        before, first, total = self.progress.seconds, self.progress.step, self.spec.decoder_steps
        with termination.deferred() as ending:
            while self.progress.step < total:
                lr = learning_rate(self.schedule, self.progress.step, total)
                with within_memory(self.too_large):
                    self._step(lr)
                step = self.progress.step
                if step % REPORT_STEPS == 0 or step == total:
                    self._report(lr, (time.monotonic() - started) / (step - first))
                # The clock and signals decide when the state is saved, never what is computed.
                ends = ending()
                if ends or time.monotonic() - saved > SAVE_SECONDS or step == total:
                    self.progress.seconds = before + time.monotonic() - started
                    self._save()
                    saved = time.monotonic()
                if ends:
                    log.warning("style decoder: ends at step %d (SIGTERM), saved", step)
                    break
        return self.progress.rows, self.progress.seconds

    def _step(self, lr: float) -> None:
        content, style = self._draw(self.progress.step)
        losses = torch.stack(batch_losses(self.networks, content, style, self.whole))
        weights = losses.new_tensor([1.0, self.spec.style_weight, self.spec.reconstruction_weight])
        (losses * weights).sum().backward()  # type: ignore[no-untyped-call]
        self.optimiser.step(lr)
        self.sums += losses.detach()
        self.progress.step += 1

    def _draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the content and style images of a step; the same step always draws the same ones."""
        content = self._training_images(TrainingStream.STYLE_CONTENTS, step)
        style = self._training_images(TrainingStream.STYLE_OWN, step)
        generator = torch.Generator().manual_seed(derive(self.seed, TrainingStream.STYLE_PAINTINGS, step))
        own = torch.rand(self.batch, generator=generator) < self.spec.own_styles
        chosen = torch.randint(len(self.styles), (self.batch,), generator=generator)
        # Style images are stored at the side of the test images, which is the side of the crops.
        painted = prepare(self.styles[chosen.to(self.styles.device)].to(self.device), self.side)
        return content, torch.where(own.to(self.device)[:, None, None, None], style, painted)

    def _training_images(self, stream: int, step: int) -> Tensor:
        epoch, index = divmod(step, self.per_epoch)
        padding, corners = crop_geometry(self.contents.shape[-1], self.side, 0)
        plan = plan_epoch(len(self.contents), corners, False, derive(self.seed, stream, epoch))
        part = plan.batch(index, self.batch)
        return prepare(augment(self.contents[part.order.to(self.device)], part, self.side, padding), None)

    def _report(self, lr: float, seconds: float) -> None:
        step, total = self.progress.step, self.spec.decoder_steps
        means = (self.sums / ((step - 1) % REPORT_STEPS + 1)).tolist()
        if not all(map(math.isfinite, means)):
            raise UserError(
                f"style decoder: the loss is no longer finite at step {step}; lower decoder_lr "
                f"(it is {self.spec.decoder_lr:g}). The state before it, if any, is in {self.state_dir}"
            )
        self.progress.rows.append(dict(zip(COLUMNS, (step, lr, *means), strict=True)))
        self.sums.zero_()
        left = datetime.timedelta(seconds=round(seconds * (total - step)))
        log.info(
            "style decoder: step %d/%d, content %.4f, style %.4f, reconstruction %.4f, %s left",
            *(step, total, *means, left),
        )

    def _save(self) -> None:
        groups = {"decoder": self.networks.decoder.state_dict(), **self.optimiser.state(), "sums": {"sums": self.sums}}
        record = {"step": self.progress.step, "seconds": self.progress.seconds, "rows": self.progress.rows}
        save_state(self.state_dir, groups, record)

    def _resume(self) -> None:
        state = load_state(self.state_dir, self.device)
        if state is None:
            return
        groups, record = state
        self.networks.decoder.load_state_dict(groups["decoder"])
        for key, tensors in self.optimiser.state().items():
            for name, tensor in tensors.items():
                tensor.copy_(groups[key][name])
        self.sums.copy_(groups["sums"]["sums"])
        self.progress = _Progress(record["step"], record["seconds"], record["rows"])
        log.info("style decoder: continues at step %d of %d", record["step"], self.spec.decoder_steps)
