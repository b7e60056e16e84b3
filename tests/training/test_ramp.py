"""An adversary that grows over the first steps of training."""

import pytest
import torch

from shapelens.attacks.spec import Attack, SpatialAttack
from shapelens.models.spec import Network
from shapelens.training.adversarial import pgd_adversary
from shapelens.training.spatial import spatial_adversary
from shapelens.training.spec import Training, TrainingRun


def run(adversary: Attack | SpatialAttack, **training: object) -> TrainingRun:
    return TrainingRun(
        model="m", seed=0, network=Network(), training=Training.model_validate(training), adversary=adversary
    )


@pytest.mark.parametrize("attack", [Attack(eps=0.08, steps=2), Attack(norm="l2", eps=0.8, steps=2)])
def test_eps_and_step_rise_linearly_and_stay(attack: Attack) -> None:
    adversary = pgd_adversary(run(attack, ramp=4), 8)
    whole = attack.resolved(8)
    for step, share in enumerate((0.25, 0.5, 0.75, 1, 1, 1)):
        found = adversary.at(step)
        assert (found.eps, found.step) == pytest.approx((share * whole.eps, share * (whole.step or 0)))
        assert found == whole.model_copy(update={"eps": found.eps, "step": found.step})
    assert pgd_adversary(run(attack), 8).at(0) == whole


def test_images_are_moved_no_farther_than_the_ramp_allows() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))
    x, y = torch.full((5, 3, 8, 8), 0.5), torch.arange(5) % 3
    adversary = pgd_adversary(run(Attack(eps=0.08, steps=4), ramp=4), 8)
    moved = [float((adversary.attack(model, x, y, step, 0) - x).abs().max()) for step in (0, 1, 3, 9)]
    assert moved == pytest.approx([0.02, 0.04, 0.08, 0.08], abs=1e-6)


def test_the_budget_of_a_flow_rises_and_the_learning_rate_of_lbfgs_does_not() -> None:
    found = spatial_adversary(run(SpatialAttack(kind="spatial", budget=0.5, steps=2), ramp=2), 8)
    half, whole = found.at(0), found.at(1)
    assert (half.budget, half.step, whole.budget, whole.step) == (0.25, 0.3125, 0.5, 0.625)
    lbfgs = spatial_adversary(run(SpatialAttack(kind="spatial", budget=0.5, solver="lbfgs"), ramp=2), 8)
    assert (lbfgs.at(0).budget, lbfgs.at(0).step, lbfgs.at(1).step) == (0.25, 0.5, 0.5)
