"""The training loop: standard, adversarial, penalised or stopped at another model's accuracy; it resumes bit for bit.

Adversary and penalty come as arguments: this module imports neither, so that a change of an attack's code makes no
model stale that is trained without one.
"""

import datetime
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from shapelens.errors import UserError
from shapelens.machine import termination
from shapelens.models.classifier import Classifier, prepare
from shapelens.models.devices import native_bf16
from shapelens.models.snapshots import has_snapshot, keep_snapshot
from shapelens.models.within_memory import Fitting, in_parts, within_memory
from shapelens.seeds import TrainingStream, derive, generator
from shapelens.training.augment import EpochPlan, augment, crop_geometry, plan_epoch
from shapelens.training.optimiser import Sgd
from shapelens.training.schedule import learning_rate
from shapelens.training.selection import Best, Row, Target, collapsed, criterion, describe, is_enough, score
from shapelens.training.spec import TrainingRun
from shapelens.training.state import load_state, save_state

log = logging.getLogger("shapelens")

SAVE_SECONDS = 60.0
CHECK_STEPS = 16


class Adversary(Protocol):
    """What adversarial training needs of an attack; images are at the network's input size, in [0, 1]."""

    def attack(self, model: nn.Module, x: Tensor, y: Tensor, step: int, seed: int) -> Tensor:
        """Return the images to train on at this step."""

    def check(self, model: nn.Module, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return validation images attacked by one step and by PGD."""


class Penalty(Protocol):
    """What is added to the training loss, such as a gradient penalty."""

    def penalty(self, model: nn.Module, x: Tensor, y: Tensor, logits: Tensor, step: int, seed: int) -> Tensor:
        """Return a scalar to add to the loss of this step, differentiable in the model's parameters.

        ``x``: the images trained on (N, 3, H, W), float32 in [0, 1], after the attack if there is one; they require
        gradients, so that ``torch.autograd.grad(…, x, create_graph=True)`` may be taken of what follows from
        ``logits``, and be part of the penalty. ``logits``: float32 (N, classes), of the training step's own pass, batch
        norm in training mode. Another pass through ``model`` would move batch norm's running statistics a second time;
        where one is needed, leave them as they were. Called under autocast where the training has it. ``step``,
        ``seed``: of this minibatch; draw from the seed alone, for a resumed training repeats only that.
        """


@dataclass(frozen=True)
class Images:
    """A split: stored images (n, 3, H, W), uint8, and labels (n,), int64, both on the training device."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class Progress:
    """Where a training stands, apart from its tensors."""

    step: int = 0
    losses: int = 0
    """Steps since the last validation, of which the history has the mean loss."""
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """A finished training: the kept weights, one row per validation, and why these weights were kept."""

    weights: dict[str, Tensor]
    history: list[Row]
    selection: dict[str, Any]
    steps: int
    seconds: float
    snapshots: tuple[int, ...]
    """Epochs whose weights were kept in the state's folder."""


def uses_bf16(precision: str, device: torch.device) -> bool:
    """Say whether a training of this precision runs under bfloat16 autocast on the device."""
    return precision == "bf16" or (precision == "auto" and native_bf16(device))


def train(
    run: TrainingRun,
    model: Classifier,
    train_set: Images,
    validation_set: Images,
    *,
    device: torch.device,
    state_dir: Path,
    adversary: Adversary | None = None,
    penalty: Penalty | None = None,
    target: Target | None = None,
    batch_key: str = "training.batch",
) -> Outcome:
    """Train ``model`` in place and return the weights of the checkpoint that the validation split chose.

    The loss is the cross-entropy of the adversary's images alone (min-max, Madry et al. 2018, eq. 2.1), with batch norm
    in training mode; without an adversary, of the clean images. A ``penalty`` is added to it, and its mean stands in
    the history beside that of the cross-entropy. Kept is the checkpoint with the highest PGD accuracy,
    without an adversary the highest clean accuracy (of equals the later one). With a ``target`` training stops at the
    first validation at or above it, or if that overshot within an epoch of it, and the nearest validation is kept.
    ``state_dir`` holds the state of an interrupted run, from which the next call continues, and the snapshots of the
    epochs that ``run.training.snapshots`` names. Attacks and validations
    that the device has no room for go through the network in parts; a training step cannot, because batch norm takes
    its statistics from the whole minibatch. Raises UserError for a loss that is not finite, for a minibatch that
    does not fit (``batch_key`` is the key of the config that the error names), and for a penalty on a compiled network.
    """
    return _Training(
        run, model, train_set, validation_set, device, state_dir, adversary, penalty, target, batch_key
    ).run_to_end()


class _Training:
    def __init__(
        self,
        run: TrainingRun,
        model: Classifier,
        train_set: Images,
        validation_set: Images,
        device: torch.device,
        state_dir: Path,
        adversary: Adversary | None,
        penalty: Penalty | None,
        target: Target | None,
        batch_key: str,
    ) -> None:
        if len(train_set) < run.training.batch:
            raise UserError(
                f"training.batch: {run.training.batch} is more than the {len(train_set)} training images; lower it"
            )
        if penalty is not None and run.training.compile:
            raise UserError(
                f"{run.model}: training.compile: a penalty is differentiated twice, and a compiled network only once; "
                "set it to false"
            )
        self.run, self.training, self.device = run, run.training, device
        self.train_set, self.validation_set = train_set, validation_set
        self.adversary, self.penalty, self.target, self.state_dir = adversary, penalty, target, state_dir
        self.model = model.to(device).to(memory_format=torch.channels_last)
        # The compiled callable shares the model's weights; saving and attacks' restoring go by the model itself.
        self.network: nn.Module = self.model
        if self.training.compile:
            self.network = cast(nn.Module, torch.compile(self.model))
        self.optimiser = Sgd(model, self.training.momentum, self.training.nesterov, self.training.weight_decay)
        self.bf16 = uses_bf16(self.training.precision, device)
        self.crop = validation_set.images.shape[-1]
        self.padding, self.corners = crop_geometry(train_set.images.shape[-1], self.crop, self.training.pad)
        self.per_epoch = len(train_set) // self.training.batch
        self.total = self.per_epoch * self.training.epochs
        self.every = self.training.match_every if target else self.per_epoch
        self.criterion = criterion(adversary is not None, target)
        self.progress = Progress()
        self.best: Best | None = None
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.penalties = torch.zeros_like(self.loss)
        keys = f"{batch_key}, the network's width or input_size, or compute.jobs_per_gpu"
        self.fitting = Fitting(keys)
        self.too_large = (
            f"{run.model}, seed {run.seed}: a training step on {run.training.batch} images does not fit, and batch "
            f"norm forbids to split it; lower {keys}"
        )

    def run_to_end(self) -> Outcome:
        self._resume()
        self._keep_snapshot()
        started = saved = time.monotonic()
        before, first = self.progress.seconds, self.progress.step
        plan: EpochPlan | None = None
        reached = self._reached()
        with termination.deferred() as ending:
            while self.progress.step < self.total and not reached:
                epoch, index = divmod(self.progress.step, self.per_epoch)
                if plan is None or index == 0:
                    seed = derive(self.run.seed, TrainingStream.EPOCH, epoch)
                    plan = plan_epoch(len(self.train_set), self.corners, self.training.flip, seed)
                lr = learning_rate(self.training, self.progress.step, self.per_epoch)
                with within_memory(self.too_large):
                    self._step(plan.batch(index, self.training.batch), lr)
                step = self.progress.step
                validates = step % self.every == 0 or step == self.total
                if step % CHECK_STEPS == 0 or validates:
                    self._refuse_non_finite()
                if validates:
                    elapsed = time.monotonic() - started
                    self._validate(lr, elapsed, step - first)
                    reached = self._reached()
                self._keep_snapshot()
                # The clock and signals decide when the state is saved, never what is computed.
                ends = ending()
                if ends or step % self.per_epoch == 0 or time.monotonic() - saved > SAVE_SECONDS:
                    self.progress.seconds = before + time.monotonic() - started
                    self._save()
                    saved = time.monotonic()
                if ends:
                    log.warning("%s, seed %d: ends at step %d (SIGTERM), saved", self.run.model, self.run.seed, step)
                    break
        return self._outcome(before + time.monotonic() - started)

    def _step(self, batch: EpochPlan, lr: float) -> None:
        number = self.progress.step
        order = batch.order.to(self.device)
        stored = augment(self.train_set.images[order], batch, self.crop, self.padding)
        x, y = prepare(stored, self.model.input_size), self.train_set.labels[order]
        self.network.train()
        if self.adversary is not None:
            with self._autocast():
                x = self._attack(x, y, number)
        if self.penalty is not None:
            x = x.detach().requires_grad_()
        with self._autocast():
            logits = self.network(x).float()
        loss = functional.cross_entropy(logits, y)
        if self.penalty is None:
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            self._backward(loss, self._penalty(self.penalty, x, y, logits, number))
        self.optimiser.step(lr)
        self.loss += loss.detach()
        self.progress.losses += 1
        self.progress.step += 1

    def _penalty(self, penalty: Penalty, x: Tensor, y: Tensor, logits: Tensor, number: int) -> Tensor:
        seed = int(generator(self.run.seed, "penalty", number).integers(2**63))
        with self._autocast():
            found = penalty.penalty(self.network, x, y, logits, number, seed)
        self.penalties += found.detach()
        return found

    def _backward(self, loss: Tensor, penalty: Tensor) -> None:
        """Differentiate the sum with respect to the weights alone: the images require gradients too."""
        parameters = list(self.optimiser.parameters.values())
        (loss + penalty).backward(inputs=parameters)  # type: ignore[no-untyped-call]

    def _attack(self, x: Tensor, y: Tensor, number: int) -> Tensor:
        adversary, seed = self.adversary, derive(self.run.seed, TrainingStream.ATTACK, number)
        assert adversary is not None
        try:
            return self.fitting.fit(
                len(x), lambda size: adversary.attack(in_parts(self.network, size, len(x)), x, y, number, seed)
            )
        except FloatingPointError:
            raise self._not_finite() from None

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def _refuse_non_finite(self) -> None:
        if not math.isfinite((self.loss + self.penalties).item()):
            raise self._not_finite()

    def _not_finite(self) -> UserError:
        advice = "lower training.lr" + (" or set training.precision: fp32" if self.bf16 else "")
        return UserError(
            f"{self.run.model}, seed {self.run.seed}: the loss is no longer finite at step {self.progress.step} "
            f"(learning rate up to {self.training.lr:g}); {advice}. The state before it is in {self.state_dir}"
        )

    def _validate(self, lr: float, elapsed: float, done: int) -> None:
        clean, fgsm, pgd = self._accuracies()
        row: Row = {
            "epoch": math.ceil(self.progress.step / self.per_epoch),
            "step": self.progress.step,
            "lr": lr,
            "loss": self.loss.item() / self.progress.losses,
            "validation_accuracy": clean,
            "validation_fgsm": fgsm,
            "validation_pgd": pgd,
        }
        if self.penalty is not None:
            row["penalty"] = self.penalties.item() / self.progress.losses
        self.progress.rows.append(row)
        self.loss.zero_()
        self.penalties.zero_()
        self.progress.losses = 0
        mark = score(self.criterion, clean, pgd, self.target)
        # Of equal scores the later one is kept.
        if self.best is None or mark >= self.best.score:
            weights = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
            self.best = Best(mark, row, weights)
        self._report(row, elapsed, done)

    def _accuracies(self) -> tuple[float, float | None, float | None]:
        images, labels = self.validation_set.images, self.validation_set.labels
        attacked = (
            len(labels) if self.adversary is None else min(len(labels), self.training.validation_images or len(labels))
        )
        right = torch.zeros(3, dtype=torch.int64, device=self.device)
        size = self.training.batch
        self.network.eval()
        for number, begin in enumerate(range(0, len(labels), size)):
            x, y = prepare(images[begin : begin + size], self.model.input_size), labels[begin : begin + size]
            x = x.contiguous(memory_format=torch.channels_last)
            # Clean accuracy is measured in full precision, as every later measurement of the model is.
            right[0] += self._right(x, y, bf16=False)
            if self.adversary is None or begin >= attacked:
                continue
            found = self._check(x[: attacked - begin], y[: attacked - begin], number)
            for place, adversarial in enumerate(found, 1):
                right[place] += self._right(adversarial, y[: attacked - begin], bf16=self.bf16)
        clean, fgsm, pgd = right.tolist()
        if self.adversary is None:
            return clean / len(labels), None, None
        return clean / len(labels), fgsm / attacked, pgd / attacked

    def _check(self, x: Tensor, y: Tensor, number: int) -> tuple[Tensor, Tensor]:
        adversary, seed = self.adversary, derive(self.run.seed, TrainingStream.CHECK, number)
        assert adversary is not None
        try:
            with self._autocast():
                return self.fitting.fit(
                    len(x), lambda size: adversary.check(in_parts(self.network, size, len(x)), x, y, seed)
                )
        except FloatingPointError:
            raise self._not_finite() from None

    @torch.no_grad()
    def _right(self, x: Tensor, y: Tensor, *, bf16: bool) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            logits: Tensor = self.fitting.fit(len(x), lambda size: in_parts(self.network, size, len(x))(x))
            return (logits.argmax(1) == y).sum()

    def _outcome(self, seconds: float) -> Outcome:
        assert self.best is not None
        selection = describe(self.best.row, self.criterion, self.target, self.training.match_tolerance)
        kept = self._snapshots_until(self.progress.step)
        if missed := self.training.snapshots[len(kept) :]:
            log.warning(
                "%s, seed %d: no snapshot of epoch %s: training ended at step %d, and an epoch has %d",
                *(self.run.model, self.run.seed, ", ".join(map(str, missed)), self.progress.step, self.per_epoch),
            )
        return Outcome(self.best.weights, self.progress.rows, selection, self.progress.step, seconds, kept)

    def _keep_snapshot(self) -> None:
        """Write the weights to the state's folder at the end of an epoch that is asked for."""
        epoch, within = divmod(self.progress.step, self.per_epoch)
        if not within and epoch in self.training.snapshots:
            keep_snapshot(self.model, self.state_dir, epoch)

    def _snapshots_until(self, step: int) -> tuple[int, ...]:
        return tuple(epoch for epoch in self.training.snapshots if epoch * self.per_epoch <= step)

    def _reached(self) -> bool:
        if self.target is None:
            return False
        return is_enough(self.progress.rows, self.target, self.training.match_tolerance, self.per_epoch)

    def _report(self, row: Row, elapsed: float, done: int) -> None:
        found = [f"penalty {row['penalty']:.4f}"] if self.penalty else []
        found += [f"clean {row['validation_accuracy']:.3f}"]
        found += [f"{key} {row[f'validation_{key}']:.3f}" for key in ("fgsm", "pgd") if self.adversary]
        rate = done * self.training.batch / max(elapsed, 1e-9)
        left = datetime.timedelta(seconds=round(elapsed / max(done, 1) * (self.total - self.progress.step)))
        name = f"{self.run.model}, seed {self.run.seed}"
        log.info(
            "%s: epoch %d/%d, step %d, loss %.4f, %s, %.0f images/s, %s left",
            *(name, row["epoch"], self.training.epochs, row["step"], row["loss"], ", ".join(found), rate, left),
        )
        if collapsed(row["validation_fgsm"], row["validation_pgd"]):
            log.warning(
                "%s: it has collapsed: PGD accuracy is below a tenth of FGSM accuracy, so the model only hides its "
                "gradients from a single step; try more steps, a random start or a smaller eps",
                name,
            )

    def _save(self) -> None:
        groups = {"model": self.model.state_dict(), "momentum": self.optimiser.momenta}
        record: dict[str, Any] = {
            "step": self.progress.step,
            "loss": self.loss.item(),
            "penalties": self.penalties.item(),
            "losses": self.progress.losses,
            "seconds": self.progress.seconds,
            "rows": self.progress.rows,
        }
        if self.best is not None:
            groups["best"] = self.best.weights
            record |= {"best_score": self.best.score, "best_row": self.best.row}
        save_state(self.state_dir, groups, record)

    def _resume(self) -> None:
        state = load_state(self.state_dir, self.device)
        if state is None:
            return
        groups, record = state
        if lost := [e for e in self._snapshots_until(record["step"]) if not has_snapshot(self.state_dir, e)]:
            log.warning(
                "%s: the snapshot of epoch %s is gone or damaged: this training begins anew",
                *(self.state_dir, ", ".join(map(str, lost))),
            )
            return
        self.model.load_state_dict(groups["model"])
        for name, buffer in self.optimiser.momenta.items():
            buffer.copy_(groups["momentum"][name])
        self.loss.fill_(record["loss"])
        self.penalties.fill_(record["penalties"])
        self.progress = Progress(record["step"], record["losses"], record["seconds"], record["rows"])
        if "best" in groups:
            self.best = Best(record["best_score"], record["best_row"], groups["best"])
        log.info("%s, seed %d: continues at step %d of %d", self.run.model, self.run.seed, record["step"], self.total)
