"""The spatial adversary of training: which attacks it makes, when, and that a model trains under it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from shapelens.attacks.spatial import total_variation
from shapelens.attacks.spec import Attack, SpatialAttack
from shapelens.models.classifier import Classifier
from shapelens.models.from_elsewhere import initialise
from shapelens.models.spec import Network
from shapelens.training.adversarial import pgd_adversary
from shapelens.training.loop import Images, train
from shapelens.training.spatial import spatial_adversary
from shapelens.training.spec import Training, TrainingRun

torch.set_num_threads(1)
FLOW = SpatialAttack(kind="spatial", budget=0.5, steps=3)


def run(adversary: Attack | SpatialAttack, **training: object) -> TrainingRun:
    settings = Training.model_validate({"selection_steps": 7, **training})
    network = Network(arch="resnet-small", width=4)
    return TrainingRun(model="m", seed=0, network=network, training=settings, adversary=adversary, classes=2)


class Spy(nn.Module):
    """A linear model that keeps the images that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.head = nn.Linear(3 * 64, 2)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        logits: Tensor = self.head(x.flatten(1))
        return logits


def pictures(n: int = 5) -> tuple[Tensor, Tensor]:
    return torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 2


def test_our_recipe_deforms_every_minibatch() -> None:
    adversary, (x, y) = spatial_adversary(run(FLOW), 8), pictures()
    for step in (0, 1, 2):
        model = Spy()
        assert not torch.equal(adversary.attack(model, x, y, step, 1), x)
        assert len(model.seen) == FLOW.steps + 1 and torch.equal(model.seen[0], x)
    started = spatial_adversary(run(FLOW.model_copy(update={"random_start": True})), 8)
    model = Spy()
    for seed in (1, 1, 2):
        started.attack(model, x, y, 0, seed)
    first, again, other = model.seen[:: FLOW.steps + 1]
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_released_recipe_is_lbfgs_on_every_second() -> None:
    adversary = spatial_adversary(run(FLOW, recipe="released"), 8)
    attack = adversary.training
    assert (attack.solver, attack.steps, attack.step, attack.loss) == ("lbfgs", 5, 0.5, "cross-entropy")
    assert not attack.random_start and attack.budget == FLOW.budget and adversary.every == 2
    # Its total variation, for a flow in halves of the image: 0.05 · Σ over pairs of neighbours.
    flow = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    halves = flow / 3.5
    pairs = sum(halves.diff(dim=axis).norm(dim=1).sum() for axis in (2, 3))
    torch.testing.assert_close(attack.tv_weight * total_variation(flow)[0], 0.05 * pairs)
    x, y = pictures()
    assert adversary.attack(Spy(), x, y, 1, 1) is x
    assert not torch.equal(adversary.attack(Spy(), x, y, 0, 1), x)


def test_checkpoints_are_judged_by_one_step_and_by_the_whole_attack() -> None:
    given = SpatialAttack(kind="spatial", budget=7, budget_reference_side=224, step=1, tv_weight=0.3, random_start=True)
    for recipe in ("ours", "released"):
        adversary = spatial_adversary(run(given, recipe=recipe), 32)
        assert adversary.single.steps == 1 and not adversary.single.random_start
        assert adversary.single.budget == adversary.single.step == adversary.judge.budget == pytest.approx(1)
        assert adversary.judge.steps == 7 and adversary.judge.solver == "steps"
        assert adversary.judge.tv_weight == adversary.single.tv_weight == 0.3
    x, y = pictures()
    single, whole = spatial_adversary(run(FLOW.model_copy(update={"tv_weight": 0.0})), 8).check(model := Spy(), x, y, 1)
    assert len(model.seen) == 2 + 8

    def margins(images: Tensor) -> Tensor:
        logits = model(images).detach()
        return (logits[:, 1] - logits[:, 0]) * (1 - 2 * y)

    assert (margins(whole) >= margins(x)).all() and margins(whole).mean() > margins(single).mean() > margins(x).mean()


def test_each_factory_wants_its_own_adversary() -> None:
    with pytest.raises(ValueError, match="no spatial adversary"):
        spatial_adversary(run(Attack(eps=0.1)), 8)
    with pytest.raises(ValueError, match="bounded by a norm"):
        pgd_adversary(run(FLOW), 8)


def test_a_run_survives_its_json() -> None:
    for adversary in (FLOW, Attack(eps=0.1, norm="l2")):
        whole = run(adversary)
        again = TrainingRun.model_validate(whole.model_dump(mode="json"))
        assert again == whole and type(again.adversary) is type(adversary)


def test_a_model_trains_under_it(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    # Bright above or bright below: nothing that half a pixel could hide.
    stored = torch.randint(0, 60, (64, 3, 8, 8), generator=generator, dtype=torch.uint8)
    for image, label in zip(stored, labels.tolist(), strict=True):
        image[:, 4 * label : 4 * label + 4] += 150
    settings = run(FLOW, epochs=4, batch=16, pad=0, flip=False, lr=0.05, precision="fp32")

    def outcome(name: str) -> tuple[Classifier, list[dict[str, float | int | None]]]:
        model = initialise(settings.network, 2, [0.5] * 3, [0.25] * 3, 0)
        sets = Images(stored, labels)
        adversary = spatial_adversary(settings, 8)
        found = train(
            settings, model, sets, sets, device=torch.device("cpu"), state_dir=tmp_path / name, adversary=adversary
        )
        return model, found.history

    model, history = outcome("a")
    last = history[-1]
    assert len(history) == 4 and last["validation_accuracy"] > 0.9
    assert last["validation_pgd"] is not None and last["validation_pgd"] <= last["validation_accuracy"]
    again, same = outcome("b")
    assert same == history
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
