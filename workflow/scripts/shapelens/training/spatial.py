"""The spatial adversary of training; a module of its own, so that a change of it retrains no other model."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shapelens.attacks.spatial import deform
from shapelens.attacks.spec import SpatialAttack
from shapelens.training.spec import TrainingRun

RELEASED_TV_WEIGHT = 0.05


@dataclass(frozen=True)
class FlowAdversary:
    """Attacks with every default filled in, and how often they are used.

    ``training``: on the training images, of every ``every``-th minibatch beginning with the first; ``single``,
    ``judge``: one step from the image, and the whole attack, on the validation images.
    """

    training: SpatialAttack
    single: SpatialAttack
    judge: SpatialAttack
    every: int = 1
    ramp: int = 0
    """Steps over which the adversary's budget rises to its value."""

    def attack(self, model: nn.Module, x: Tensor, y: Tensor, step: int, seed: int) -> Tensor:
        """Return the images to train on: deformed, or as they are on a minibatch that is left clean."""
        if step % self.every:
            return x
        return deform(model, x, y, self.at(step), torch.Generator(x.device).manual_seed(seed))

    def at(self, step: int) -> SpatialAttack:
        """Return the attack of one training step, counted from 0."""
        if step + 1 >= self.ramp:
            return self.training
        share = (step + 1) / self.ramp
        # The step of L-BFGS is a learning rate, no length.
        keep = self.training.solver == "lbfgs" or self.training.step is None
        length = self.training.step if keep else share * (self.training.step or 0.0)
        return self.training.model_copy(update={"budget": share * self.training.budget, "step": length})

    def check(self, model: nn.Module, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return validation images deformed by one step and by the whole attack, within the adversary's own budget.

        The history has their accuracies as ``validation_fgsm`` and ``validation_pgd``.
        """
        generator = torch.Generator(x.device).manual_seed(seed)
        return deform(model, x, y, self.single, generator), deform(model, x, y, self.judge, generator)


def spatial_adversary(run: TrainingRun, side: int) -> FlowAdversary:
    """Build the spatial adversary of a run for images of ``side`` pixels at the network's input.

    ``recipe: released`` attacks every second minibatch as the authors' released code does: five L-BFGS calls of
    ten iterations from the image, on the cross-entropy, learning rate 0.5, total-variation weight 0.05 (RECIPES §2);
    only the budget is the config's, for the released code has none. Checkpoints are judged alike under either
    recipe, by ``training.selection_steps`` projected steps.
    """
    adversary = run.adversary
    if not isinstance(adversary, SpatialAttack):
        raise ValueError(f"{run.model}: its spec names no spatial adversary")
    scale = {
        "kind": "spatial",
        "budget": adversary.budget,
        "budget_reference_side": adversary.budget_reference_side,
        "loss": adversary.loss,
        "tv_weight": adversary.tv_weight,
    }
    released = run.training.recipe == "released"
    if released:
        # That code sums each pair of neighbours once, its flow in units of half the image.
        weight = RELEASED_TV_WEIGHT * side**2 / max(side - 1, 1)
        settings = {"solver": "lbfgs", "steps": 5, "step": 0.5, "loss": "cross-entropy", "tv_weight": weight}
        adversary = SpatialAttack.model_validate({**scale, **settings})
    steps = run.training.selection_steps
    return FlowAdversary(
        training=adversary.resolved(side),
        single=SpatialAttack.model_validate({**scale, "steps": 1, "random_start": False}).resolved(side),
        judge=SpatialAttack.model_validate({**scale, "steps": steps}).resolved(side),
        every=2 if released else 1,
        ramp=run.training.ramp,
    )
