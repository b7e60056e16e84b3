"""Specs of training runs (torch-free)."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from shapelens.attacks.spec import AnyAttack, Attack, SpatialAttack
from shapelens.models.spec import Network
from shapelens.spec import Number, Spec


class Schedule(Spec):
    """Learning rate over time: one cycle, or constant pieces."""

    kind: Literal["one-cycle", "piecewise"] = "one-cycle"
    """``one-cycle``: linear rise to lr, then linear fall to zero. ``piecewise``: factors of lr by epoch."""
    warmup: Number = Field(default=0.25, ge=0, le=1)
    """Share of all steps in which a one-cycle rate rises."""
    epochs: tuple[PositiveInt, ...] = ()
    """Length of each piece, in epochs."""
    factors: tuple[Number, ...] = ()
    """Factor of lr in each piece."""

    @model_validator(mode="after")
    def _check(self) -> "Schedule":
        if self.kind == "piecewise" and not len(self.epochs) == len(self.factors) > 0:
            raise ValueError(
                f"piecewise needs as many factors as epochs, at least one of each: {len(self.epochs)} epochs and "
                f"{len(self.factors)} factors are given"
            )
        return self


class Training(Spec):
    """How a model is trained."""

    epochs: int = Field(default=30, ge=1)
    """Passes over the training images."""
    batch: int = Field(default=128, ge=1)
    """Images per step; the last, smaller batch of an epoch is dropped."""
    lr: Number = Field(default=0.1, gt=0)
    """Peak learning rate."""
    momentum: Number = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD."""
    nesterov: bool = True
    """Nesterov's form of momentum."""
    weight_decay: Number = Field(default=5e-4, ge=0)
    """Weight decay of weights of two or more dimensions; biases and batch norm have none."""
    schedule: Schedule = Schedule()
    """Learning rate over time."""
    pad: int = Field(default=4, ge=0)
    """Zero padding before the random crop, one crop per image; 0 where stored images are larger than the network's
    crop, or for none."""
    flip: bool = True
    """Mirror each training image with probability ½."""
    recipe: Literal["ours", "released"] = "ours"
    """``ours``: the worst case on every minibatch. ``released``: on every second minibatch, PGD from the image and
    ℓ2 steps by sign, as the authors' released code does."""
    ramp: int = Field(default=0, ge=0)
    """Steps of training over which the adversary grows: its ε (of ``spatial`` its budget) rises linearly to its value.
    0: the whole adversary from the first step."""
    selection_steps: int = Field(default=10, ge=1)
    """Steps of the PGD attack, in the model's own norm and eps, by which its checkpoint is chosen on the
    validation split."""
    validation_images: int | None = Field(default=None, ge=1)
    """Validation images attacked after each epoch: the first n of the split, which is shuffled and stratified; None:
    all."""
    match_every: int = Field(default=10, ge=1)
    """Steps between two validations of a matched (underfit) model."""
    match_tolerance: Number = Field(default=0.02, gt=0)
    """Largest gap in clean validation accuracy at which a matched model counts as matched."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of training; ``auto`` is bf16 autocast where the device has it natively, else fp32."""
    compile: bool = False
    """Compile the network with torch.compile."""
    snapshots: tuple[NonNegativeInt, ...] = ()
    """Epochs at whose end the weights are kept in one more file, ``snapshots.safetensors``; 0 is the initialisation. A
    matched model that stops early has those that it finished."""

    @field_validator("snapshots")
    @classmethod
    def _in_order(cls, epochs: tuple[int, ...]) -> tuple[int, ...]:
        """Sort the epochs, so that their order in the config decides nothing."""
        return tuple(sorted(epochs))

    @model_validator(mode="after")
    def _check(self) -> "Training":
        problems = []
        pieces = sum(self.schedule.epochs)
        if self.schedule.kind == "piecewise" and pieces != self.epochs:
            problems.append(f"epochs: {self.epochs} are trained, but schedule.epochs has {pieces}; make them equal")
        if beyond := [str(epoch) for epoch in self.snapshots if epoch > self.epochs]:
            problems.append(
                f"snapshots: training ends with epoch {self.epochs}, before {', '.join(beyond)}; allowed: 0 to "
                f"{self.epochs}, or train longer (epochs)"
            )
        if twice := [str(epoch) for epoch in sorted(set(self.snapshots)) if self.snapshots.count(epoch) > 1]:
            problems.append(f"snapshots: {', '.join(twice)} given more than once; name each epoch once")
        if problems:
            raise ValueError("\n".join(problems))
        return self


class TrainingRun(Spec):
    """Everything that decides one trained model."""

    model: str
    """Name of the model in the grid."""
    seed: int
    """Training seed."""
    images: str = "train"
    """Training images: ``train``, ``retextured`` (the same, their texture replaced minibatch by minibatch), or on cues
    ``shape-only`` or ``random-texture``."""
    classes: int | None = None
    """Number of classes; filled in from the dataset's manifest when the run starts."""
    network: Network
    training: Training
    adversary: AnyAttack | None = None
    """The training adversary as configured, or None."""
    match: str | None = None
    """Name of the model whose clean validation accuracy a matched model stops at."""


ADVERSARIES: dict[type[Spec], str] = {
    Attack: "shapelens.training.adversarial:pgd_adversary",
    SpatialAttack: "shapelens.training.spatial:spatial_adversary",
}
"""The function that builds each kind of training adversary, by module and name: a training imports its own alone."""

RETEXTURED = "retextured"
RETEXTURING = "shapelens.training.retexture:retexturing"
"""What stands in the adversary's place where training images have their texture replaced."""


class TrainingJob(Spec):
    """What the job that trains a model is given."""

    run: TrainingRun
    adversary: str | None = None
    """The function that builds the run's adversary, as ``ADVERSARIES`` names it; None for a model without one."""
    initial_weights: str
    """Digest of the file that training starts from, or its name, or ``random``."""
