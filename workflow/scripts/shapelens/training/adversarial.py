"""The adversary of adversarial training, and the attacks that its checkpoints are judged by."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shapelens.attacks.pgd import perturb
from shapelens.attacks.spec import Attack
from shapelens.training.spec import TrainingRun


@dataclass(frozen=True)
class PgdAdversary:
    """Attacks with every default filled in, and how often they are used.

    ``training``: on the training images, of every ``every``-th minibatch beginning with the first; ``single``,
    ``judge``: one step from the image, and PGD, on the validation images.
    """

    training: Attack
    single: Attack
    judge: Attack
    every: int = 1
    ramp: int = 0
    """Steps over which the adversary's eps and step rise to their values."""

    def attack(self, model: nn.Module, x: Tensor, y: Tensor, step: int, seed: int) -> Tensor:
        """Return the images to train on: attacked, or as they are on a minibatch that is left clean."""
        if step % self.every:
            return x
        return perturb(model, x, y, self.at(step), torch.Generator(x.device).manual_seed(seed))

    def at(self, step: int) -> Attack:
        """Return the attack of one training step, counted from 0."""
        if step + 1 >= self.ramp:
            return self.training
        share = (step + 1) / self.ramp
        length = self.training.step
        return self.training.model_copy(
            update={"eps": share * self.training.eps, "step": None if length is None else share * length}
        )

    def check(self, model: nn.Module, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return validation images attacked by one step and by PGD in the adversary's own norm and eps."""
        generator = torch.Generator(x.device).manual_seed(seed)
        return perturb(model, x, y, self.single, generator), perturb(model, x, y, self.judge, generator)


def pgd_adversary(run: TrainingRun, side: int) -> PgdAdversary:
    """Build the adversary of a run for images of ``side`` pixels at the network's input.

    ``recipe: released`` attacks every second minibatch, begins at the image and takes ℓ2 steps by sign, as the authors'
    released code does (RECIPES §2). Checkpoints are judged alike under either recipe.
    """
    adversary = run.adversary
    if not isinstance(adversary, Attack):
        raise ValueError(f"{run.model}: its spec names no adversary that is bounded by a norm")
    released = run.training.recipe == "released"
    if released:
        direction = "sign" if adversary.norm == "l2" else None
        adversary = adversary.model_copy(update={"random_start": False, "direction": direction})
    scale = {"norm": adversary.norm, "eps": adversary.eps, "eps_reference_side": adversary.eps_reference_side}
    return PgdAdversary(
        training=adversary.resolved(side),
        single=Attack.model_validate({**scale, "steps": 1, "random_start": False}).resolved(side),
        judge=Attack.model_validate({**scale, "steps": run.training.selection_steps}).resolved(side),
        every=2 if released else 1,
        ramp=run.training.ramp,
    )
