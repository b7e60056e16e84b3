"""Augmentation, schedule, optimiser, selection and the adversary of training, each by itself."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from shapelens.attacks.spec import Attack
from shapelens.errors import UserError
from shapelens.models.spec import Network
from shapelens.training.adversarial import pgd_adversary
from shapelens.training.augment import EpochPlan, augment, crop_geometry, plan_epoch
from shapelens.training.optimiser import Sgd
from shapelens.training.schedule import learning_rate
from shapelens.training.selection import Target, collapsed, criterion, describe, is_enough, score
from shapelens.training.spec import Schedule, Training, TrainingRun
from shapelens.training.state import load_state, save_state

torch.set_num_threads(1)


@settings(max_examples=60, deadline=None)
@given(
    side=st.integers(4, 9), spare=st.integers(0, 3), pad=st.integers(0, 3), n=st.integers(1, 5), seed=st.integers(0, 99)
)
def test_a_crop_is_a_window_and_a_flip_is_exact(side: int, spare: int, pad: int, n: int, seed: int) -> None:
    target = side - spare
    padding, corners = crop_geometry(side, target, pad)
    assert padding == (0 if spare else pad)
    images = torch.randint(1, 256, (n, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    plan = plan_epoch(n, corners, True, seed)
    found = augment(images, plan, target, padding)
    assert found.dtype == torch.uint8 and found.shape == (n, 3, target, target)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    for i in range(n):
        top, left = int(plan.top[i]), int(plan.left[i])
        assert 0 <= top <= padded.shape[2] - target and 0 <= left <= padded.shape[3] - target
        window = padded[i, :, top : top + target, left : left + target]
        assert np.array_equal(found[i].numpy(), window[..., ::-1] if plan.flip[i] else window)
        alone = EpochPlan(*(part[i : i + 1] for part in (plan.order, plan.top, plan.left, plan.flip)))
        assert torch.equal(augment(images[i : i + 1], alone, target, padding)[0], found[i])


def test_each_image_has_draws_of_its_own() -> None:
    plan = plan_epoch(4000, 9, True, 0)
    assert torch.equal(plan.order.sort().values, torch.arange(4000))
    for offsets in (plan.top, plan.left):
        counts = offsets.bincount(minlength=9)
        assert len(counts) == 9 and (counts - 4000 / 9).abs().max() < 5 * (4000 / 9) ** 0.5
    assert abs(float(plan.flip.double().mean()) - 0.5) < 0.04
    assert abs(float(torch.corrcoef(torch.stack([plan.top, plan.left]).double())[0, 1])) < 0.08
    assert not plan_epoch(100, 9, False, 0).flip.any()
    same, other = plan_epoch(4000, 9, True, 0), plan_epoch(4000, 9, True, 1)
    assert torch.equal(plan.order, same.order) and torch.equal(plan.flip, same.flip)
    assert not torch.equal(plan.order, other.order)
    second = plan.batch(1, 128)
    assert torch.equal(second.top, plan.top[128:256])


def test_augmented_images_lie_channels_last() -> None:
    found = augment(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), plan_epoch(2, 1, True, 0), 8, 0)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_small_training_images_are_refused() -> None:
    with pytest.raises(UserError, match="smaller than the validation images"):
        crop_geometry(8, 16, 4)


def test_one_cycle_rises_and_falls_linearly() -> None:
    training = Training(epochs=4, lr=0.4, schedule=Schedule(warmup=0.25))
    rates = [learning_rate(training, step, 10) for step in range(40)]
    assert rates[:10] == pytest.approx([0.04 * (k + 1) for k in range(10)])
    assert rates[10:] == pytest.approx([0.4 * (30 - k) / 30 for k in range(30)])
    for warmup in (0.0, 1.0):
        edge = training.model_copy(update={"schedule": Schedule(warmup=warmup)})
        assert all(0 < learning_rate(edge, step, 10) <= 0.4 for step in range(40))


def test_pieces_change_at_their_epochs() -> None:
    schedule = Schedule(kind="piecewise", epochs=(2, 1), factors=(1, 0.1))
    training = Training(epochs=3, lr=0.01, schedule=schedule)
    rates = [learning_rate(training, step, 2) for step in range(6)]
    assert rates == pytest.approx([0.01] * 4 + [0.001] * 2)
    with pytest.raises(ValidationError, match="as many factors"):
        Schedule(kind="piecewise", epochs=(2, 1), factors=(1,))
    with pytest.raises(ValidationError, match="make them equal"):
        Training(epochs=4, schedule=schedule)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_torchs_with_decay_of_weights_only(nesterov: bool) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ours = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 16, 2))
    theirs = copy.deepcopy(ours)
    weights = [p for p in theirs.parameters() if p.ndim > 1]
    rest = [p for p in theirs.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    peer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=nesterov)
    sgd = Sgd(ours, 0.9, nesterov, 0.1)
    x = torch.rand(8, 3, 6, 6)
    for rate in (0.1, 0.2, 0.05):
        ours(x).square().mean().backward()
        sgd.step(rate)
        peer.zero_grad()
        theirs(x).square().mean().backward()
        for group in peer.param_groups:
            group["lr"] = rate
        peer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
        assert a.grad is None
    with pytest.raises(ValueError, match="no part in the loss"):
        sgd.step(0.1)


def test_what_a_checkpoint_is_kept_for() -> None:
    target = Target("pgd-inf-8", 0.8)
    assert [criterion(True, None), criterion(False, None), criterion(False, target)] == ["pgd", "clean", "match"]
    assert score("clean", 0.9, None, None) == 0.9
    assert score("pgd", 0.9, 0.3, None) == 0.3
    assert score("match", 0.75, None, target) > score("match", 0.9, None, target)


def test_collapse_is_a_tenth_of_fgsm() -> None:
    assert collapsed(0.8, 0.05) and not collapsed(0.8, 0.09)
    assert not collapsed(None, None) and not collapsed(0.0, 0.0)


@pytest.mark.parametrize(
    ("accuracies", "enough"),
    [
        ([], False),
        ([0.5, 0.7], False),
        ([0.5, 0.81], True),
        ([0.79, 0.95], True),  # an earlier one was near enough
        ([0.5, 0.95], False),  # it overshot: a nearer one may follow
        ([0.5, 0.95, 0.6], False),
        ([0.5, 0.95, 0.6, 0.82], True),
        ([0.5, 0.95, 0.6, 0.9, 0.9, 0.9], True),  # patience is over
    ],
)
def test_when_a_matched_model_may_stop(accuracies: list[float], enough: bool) -> None:
    rows = [{"step": 10 * n, "validation_accuracy": found} for n, found in enumerate(accuracies, 1)]
    assert is_enough(rows, Target("pgd-inf-8", 0.8), 0.02, patience=40) is enough


@pytest.mark.parametrize(("reached", "matched"), [(0.81, True), (0.78, True), (0.77, False), (0.82, True)])
def test_a_match_states_its_gap(reached: float, matched: bool, caplog: pytest.LogCaptureFixture) -> None:
    row = {"step": 3, "epoch": 1, "validation_accuracy": reached, "validation_fgsm": None, "validation_pgd": None}
    found = describe(row, "match", Target("pgd-inf-8", 0.8), 0.02)
    assert found["match"]["matched"] is matched
    assert found["match"]["gap"] == pytest.approx(reached - 0.8)
    assert ("not matched" in caplog.text) is not matched


def run(adversary: Attack, recipe: str = "ours") -> TrainingRun:
    training = Training.model_validate({"recipe": recipe, "selection_steps": 7})
    return TrainingRun(model="m", seed=0, network=Network(), training=training, adversary=adversary, classes=2)


class Spy(nn.Module):
    """A linear model that keeps the images that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 16, 2)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        logits: Tensor = self.head(x.flatten(1))
        return logits


def test_our_recipe_attacks_every_minibatch_from_a_random_start() -> None:
    adversary = pgd_adversary(run(Attack(eps=0.1, steps=3)), 4)
    x, y = torch.rand(5, 3, 4, 4), torch.zeros(5, dtype=torch.int64)
    for step in (0, 1, 2):
        model = Spy()
        assert not torch.equal(adversary.attack(model, x, y, step, 1), x)
        assert len(model.seen) == 3 and not torch.equal(model.seen[0], x)
    model = Spy()
    for seed in (1, 1, 2):
        adversary.attack(model, x, y, 0, seed)
    first, again, other = model.seen[::3]
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_released_recipe_attacks_every_second_from_the_image() -> None:
    attack = Attack(norm="l2", eps=12, steps=3, eps_reference_side=224)
    adversary = pgd_adversary(run(attack, "released"), 32)
    x, y = torch.full((5, 3, 4, 4), 0.5), torch.zeros(5, dtype=torch.int64)
    model = Spy()
    found = adversary.attack(model, x, y, 0, 1)
    assert torch.equal(model.seen[0], x)
    # The first step moves every pixel by the released code's ε/2/255, by its sign alone.
    first = (model.seen[1] - x).abs()
    torch.testing.assert_close(first, torch.full_like(first, 6 / 255))
    assert not torch.equal(found, x)
    assert adversary.attack(model, x, y, 1, 1) is x
    infinity = pgd_adversary(run(Attack(eps=0.1), "released"), 32)
    assert not infinity.training.random_start and infinity.every == 2


def test_checkpoints_are_judged_in_the_models_own_norm_and_eps() -> None:
    attack = Attack(norm="l2", eps=8, steps=20, step=0.5, eps_reference_side=224, direction="sign", random_start=False)
    adversary = pgd_adversary(run(attack), 32)
    assert adversary.judge == Attack(norm="l2", eps=8, steps=7, eps_reference_side=224).resolved(32)
    assert adversary.judge.direction == "gradient" and adversary.judge.random_start
    assert adversary.single.steps == 1 and not adversary.single.random_start
    assert adversary.single.eps == adversary.single.step == adversary.judge.eps == pytest.approx(8 / 7)
    with pytest.raises(ValueError, match="no adversary"):
        pgd_adversary(run(attack).model_copy(update={"adversary": None}), 32)


@pytest.mark.parametrize("damage", [lambda data: data[:-7], lambda data: b"", lambda data: b"\x00" * len(data)])
def test_a_damaged_state_is_left_alone(
    damage: Callable[[bytes], bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device = torch.device("cpu")
    save_state(tmp_path, {"model": {"w": torch.ones(3)}}, {"step": 4})
    file = tmp_path / "state.safetensors"
    assert load_state(tmp_path, device) is not None
    file.write_bytes(damage(file.read_bytes()))
    assert load_state(tmp_path, device) is None
    assert f"{file} is damaged" in caplog.text
