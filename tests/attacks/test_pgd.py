"""The attack against closed forms (RECIPES §9); each oracle is also run against a fault that it must catch."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shapelens.attacks import ascent, pgd
from shapelens.attacks.ascent import Ascent, random_start, unit
from shapelens.attacks.pgd import perturb
from shapelens.attacks.spec import Attack
from shapelens.models.architectures import ResidualNet
from shapelens.models.classifier import Classifier
from shapelens.models.normalisation import normalisation

torch.set_num_threads(1)
SHAPE = (3, 8, 8)
D = math.prod(SHAPE)


class Linear(nn.Module):
    """Two classes; the loss of label 0 rises along ``w``; logits are small, so no gradient vanishes."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(w)

    def forward(self, x: Tensor) -> Tensor:
        score = 0.01 * ((x - 0.5) * self.w).flatten(1).sum(1)
        return torch.stack([-score, score], 1)


def uneven(seed: int = 0) -> Tensor:
    """Weights of very unequal size and random sign, so that the sign is far from the gradient's direction."""
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.lognormal(0, 1, SHAPE) * rng.choice([-1, 1], SHAPE))


def images(low: float, high: float, n: int = 4, seed: int = 1) -> Tensor:
    return torch.tensor(np.random.default_rng(seed).uniform(low, high, (n, *SHAPE)))


def zeros(x: Tensor) -> Tensor:
    return torch.zeros(len(x), dtype=torch.int64)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gain(x: Tensor, adversarial: Tensor, w: Tensor) -> Tensor:
    """Share of the greatest possible rise of the loss in the ℓ2 ball that is reached, per unit of radius."""
    return ((adversarial - x) * w).flatten(1).sum(1) / w.norm()


def sign_step(delta: Tensor, gradient: Tensor, attack: Attack) -> Tensor:
    return delta + (attack.step or 0) * gradient.sign() / math.sqrt(gradient[0].numel())


def onto_the_sphere(delta: Tensor, norm: str, eps: float) -> Tensor:
    return delta * eps / ascent.length(delta) if norm == "l2" else delta.clamp(-eps, eps)


def caught(monkeypatch: pytest.MonkeyPatch, name: str, fault: object, oracle: Callable[[], None]) -> None:
    """Run an oracle with a planted fault; it must fail."""
    with monkeypatch.context() as patch:
        patch.setattr(ascent, name, fault)
        with pytest.raises(AssertionError):
            oracle()


def test_fgsm_is_the_clipped_sign_step(monkeypatch: pytest.MonkeyPatch) -> None:
    w, x = uneven(), images(0, 1)
    attack = Attack(eps="8/255", steps=1, random_start=False).resolved(8)

    def oracle() -> None:
        expected = (x + 8 / 255 * w.sign()).clamp(0, 1)
        torch.testing.assert_close(perturb(Linear(w), x, zeros(x), attack, None), expected, rtol=0, atol=1e-12)

    oracle()
    caught(monkeypatch, "step", lambda delta, gradient, attack: delta - attack.step * gradient.sign(), oracle)
    caught(monkeypatch, "step", lambda delta, gradient, attack: delta + attack.step * unit(gradient), oracle)


@pytest.mark.parametrize(("eps", "alpha"), [(0.1, 0.03), (8 / 255, 2 / 255), (0.1, 0.05)])
def test_pgd_inf_crosses_the_ball_in_the_fewest_steps(
    eps: float, alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    w, x = uneven(), images(0.2, 0.8)
    needed = math.ceil(2 * eps / alpha - 1e-9)
    corner = (x + eps * w.sign()).clamp(0, 1)
    monkeypatch.setattr(pgd, "random_start", lambda x, *_: (-eps * w.sign()).expand_as(x))
    far = perturb(Linear(w), x, zeros(x), Attack(eps=eps, step=alpha, steps=needed), None)
    torch.testing.assert_close(far, corner, rtol=0, atol=1e-12)
    short = perturb(Linear(w), x, zeros(x), Attack(eps=eps, step=alpha, steps=needed - 1), None)
    assert not torch.isclose(short, corner, rtol=0, atol=1e-12).any()


def test_pgd_inf_reaches_the_corner_from_any_start() -> None:
    w, x = uneven(), images(0, 1)
    attack = Attack(eps=0.1, step=0.03, steps=7)
    for seed in range(5):
        expected = (x + 0.1 * w.sign()).clamp(0, 1)
        torch.testing.assert_close(perturb(Linear(w), x, zeros(x), attack, rng(seed)), expected, rtol=0, atol=1e-12)


def test_pgd_l2_from_the_image_goes_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    w, x = uneven(), images(0.4, 0.6)
    attack = Attack(norm="l2", eps=0.2, step=0.03, steps=7, random_start=False)

    def oracle() -> None:
        expected = x + 0.2 * w / w.norm()
        torch.testing.assert_close(perturb(Linear(w), x, zeros(x), attack, None), expected, rtol=0, atol=1e-6)

    oracle()
    caught(monkeypatch, "step", sign_step, oracle)


def test_pgd_l2_from_a_random_start_nearly_reaches_the_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    w, x = uneven(), images(0.4, 0.6)
    eps = 0.2

    def reached(total: float) -> float:
        attack = Attack(norm="l2", eps=eps, step=total * eps / 20, steps=20)
        return float((gain(x, perturb(Linear(w), x, zeros(x), attack, rng()), w) / eps).min())

    def oracle() -> None:
        assert reached(2.5) >= 0.97
        assert reached(5) >= 0.999

    oracle()
    caught(monkeypatch, "step", sign_step, oracle)


def test_sign_steps_end_where_theory_says() -> None:
    w, x = uneven(), images(0.4, 0.6)
    attack = Attack(norm="l2", eps=0.2, step=0.002, steps=50, random_start=False, direction="sign")
    share = gain(x, perturb(Linear(w), x, zeros(x), attack, None), w) / 0.2
    expected = w.abs().sum() / (math.sqrt(D) * w.norm())
    torch.testing.assert_close(share, expected.expand_as(share), rtol=0, atol=1e-6)
    assert expected < 0.75


def test_pgd_l2_with_the_box_active_is_within_one_per_cent(monkeypatch: pytest.MonkeyPatch) -> None:
    w, x, eps = uneven(), images(0, 1), 2.0

    def optimum(x: Tensor) -> Tensor:
        low, high = 1e-6, 1e6
        for _ in range(200):
            middle = math.sqrt(low * high)
            delta = torch.maximum(torch.minimum(w / (2 * middle), 1 - x), -x)
            low, high = (middle, high) if delta.norm() > eps else (low, middle)
        return (delta * w).sum()

    def oracle() -> None:
        attack = Attack(norm="l2", eps=eps, step=eps / 40, steps=400, random_start=False)
        adversarial = perturb(Linear(w), x, zeros(x), attack, None)
        assert (adversarial - x).flatten(1).norm(dim=1).max() <= eps + 1e-9
        assert adversarial.min() >= 0 and adversarial.max() <= 1
        best = torch.stack([optimum(image) for image in x])
        assert (((adversarial - x) * w).flatten(1).sum(1) >= 0.99 * best).all()

    oracle()
    caught(monkeypatch, "step", sign_step, oracle)


@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_projections(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = rng(3)
    a, b = (torch.randn(6, *SHAPE, generator=generator, dtype=torch.float64) for _ in range(2))
    a, b = a * torch.logspace(-3, 1, 6).view(-1, 1, 1, 1), b * 0.5
    eps = 0.4 if norm == "inf" else 4.0

    def size(delta: Tensor) -> Tensor:
        return delta.flatten(1).norm(dim=1, p=math.inf if norm == "inf" else 2)

    def oracle() -> None:
        p, q = ascent.project(a, norm, eps), ascent.project(b, norm, eps)
        assert (size(p) <= eps * (1 + 1e-12)).all()
        torch.testing.assert_close(ascent.project(p, norm, eps), p, rtol=1e-12, atol=0)
        assert ((p - q).flatten(1).norm(dim=1) <= (a - b).flatten(1).norm(dim=1) + 1e-12).all()
        inside = size(a) <= eps
        assert inside.any() and not inside.all()
        assert torch.equal(p[inside], a[inside])
        singles = torch.cat([ascent.project(image[None], norm, eps) for image in a])
        assert torch.equal(p, singles)

    oracle()
    assert not ascent.project(torch.zeros(1, *SHAPE), norm, eps).any()
    if norm == "l2":
        caught(monkeypatch, "project", onto_the_sphere, oracle)
        # One length for the whole batch.
        caught(monkeypatch, "project", lambda d, norm, eps: d * min(1.0, eps / float(d.norm())), oracle)


def test_unit_survives_zero_and_tiny_gradients() -> None:
    gradient = torch.zeros(3, *SHAPE)
    gradient[1] = 1e-30
    gradient[2] = uneven().float()
    found = unit(gradient)
    assert not found[0].any()
    torch.testing.assert_close(found[1:].flatten(1).norm(dim=1), torch.ones(2))
    plain = gradient[1] / gradient[1].norm().clamp_min(torch.finfo(torch.float32).tiny)
    assert not torch.isclose(plain.norm(), torch.tensor(1.0))  # what squaring without scaling gives


@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_starts_are_uniform_in_the_ball(norm: str) -> None:
    x = torch.zeros(4000, 3, 2, 2)
    start = random_start(x, norm, 0.5, rng()).double()
    uniform = (start.flatten() + 0.5) if norm == "inf" else (start.flatten(1).norm(dim=1) / 0.5) ** 12

    def distance(sample: Tensor) -> float:
        ranks = torch.arange(1, len(sample) + 1) / len(sample)
        return float((sample.sort().values - ranks).abs().max()) * math.sqrt(len(sample))

    assert distance(uniform) < 1.63  # Kolmogorov–Smirnov at one per cent
    if norm == "l2":
        assert distance(uniform ** (1 / 12)) > 1.63  # radii that were uniform themselves
        assert start.mean(0).abs().max() < 0.02


class Small(nn.Module):
    """A network with batch norm and dropout, whose modes and buffers an attack could disturb."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten())
        self.head = nn.Linear(4 * 36, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x))
        return logits


@pytest.mark.parametrize("attack", [Attack(eps=0.1, restarts=2, steps=3), Attack(norm="l2", eps=1, steps=3)])
def test_the_model_is_left_as_it_was(attack: Attack) -> None:
    model, x = Small(), images(0, 1).float()
    y = torch.tensor([0, 1, 2, 0])
    model(x).sum().backward()
    model.body[1].eval()  # a frozen batch norm inside a training model
    model.head.bias.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    gradients = [parameter.grad for parameter in model.parameters()]
    values = [None if g is None else g.clone() for g in gradients]
    original = x.clone()

    adversarial = perturb(model, x, y, attack.resolved(8), rng())

    assert torch.equal(x, original) and not x.requires_grad and not adversarial.requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    for parameter, gradient, value in zip(model.parameters(), gradients, values, strict=True):
        assert parameter.grad is gradient
        assert value is None or torch.equal(value, gradient)
    # With dropout active the second call would differ: evaluation mode is really on.
    assert torch.equal(adversarial, perturb(model, x, y, attack.resolved(8), rng()))
    assert not torch.equal(adversarial, perturb(model, x, y, attack.resolved(8), rng(1)))


def test_modes_are_restored_after_an_error() -> None:
    model = Small().train()
    with pytest.raises(RuntimeError):
        perturb(model, torch.rand(2, 3, 5, 5), torch.tensor([0, 1]), Attack(eps=0.1).resolved(5), rng())
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_are_refused(bad: float) -> None:
    w = uneven()
    w[0, 0, 0] = bad
    with pytest.raises(FloatingPointError, match="lower lr"):
        perturb(Linear(w), images(0, 1), torch.zeros(4, dtype=torch.int64), Attack(eps=0.1).resolved(8), rng())


def test_what_perturb_refuses() -> None:
    x = images(0, 1)
    with pytest.raises(ValueError, match="resolved"):
        perturb(Linear(uneven()), x, zeros(x), Attack(eps=0.1), rng())
    with pytest.raises(ValueError, match="resolved"):
        perturb(Linear(uneven()), x, zeros(x), Attack(norm="l2", eps=1, step=1, eps_reference_side=224), rng())
    with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
        perturb(Linear(uneven()), x * 2 - 1, zeros(x), Attack(eps=0.1).resolved(8), rng())
    assert torch.equal(perturb(Linear(uneven()), x, zeros(x), Attack(eps=0).resolved(8), rng()), x)


def test_the_worst_restart_of_each_image_is_kept() -> None:
    """Starts decide here: the loss has a peak on either side, and steps are too short to change sides."""

    class Peaks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            delta = (x - 0.5).flatten(1)
            score = delta.sum(1) * delta.sum(1).sign() + 0.3 * delta.sum(1) - 0.5
            return torch.stack([-score, score], 1)

    x = torch.full((64, *SHAPE), 0.5, dtype=torch.float64)
    y = zeros(x)
    attack = Attack(eps=0.1, step=1e-4, steps=1, restarts=5)
    generator = rng()
    single = attack.model_copy(update={"restarts": 1})
    tries = [perturb(Peaks(), x, y, single, generator) for _ in range(5)]
    scores = torch.stack([pgd.judge(Peaks(), found, y, pgd.cross_entropy) for found in tries])
    wrong, losses = scores[:, 0], scores[:, 1]
    kept = pgd.judge(Peaks(), perturb(Peaks(), x, y, attack, rng()), y, pgd.cross_entropy)
    assert torch.equal(kept[0], wrong.amax(0))
    assert torch.equal(kept[1], losses.amax(0))
    assert not torch.equal(losses[-1], losses.amax(0))  # the last restart, a known fault
    assert not torch.equal(losses[int(losses.sum(1).argmax())], losses.amax(0))  # the best whole batch


def test_a_misclassified_restart_goes_before_a_higher_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a loss that is not the classifier's own, e.g. one that prefers a right answer."""
    x = torch.tensor([0.4, 0.6]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[-1.0] * 4, [1.0] * 4]))
    found = iter([torch.full((2, 1, 2, 2), 0.0), torch.full((2, 1, 2, 2), 1.0)])
    monkeypatch.setattr(pgd, "climb", lambda *_: next(found))
    attack = Attack(eps=1, step=1, restarts=2)
    kept = perturb(model, x, torch.zeros(2, dtype=torch.int64), attack, None, loss=lambda z, y: -z[:, 1])
    assert kept.min() == 1  # misclassified, though its loss is lower


@pytest.fixture(scope="module")
def trained() -> tuple[Classifier, Tensor, Tensor]:
    """A small network that tells three blurred patterns under noise apart, and images to attack."""
    generator = rng(5)
    patterns = torch.nn.functional.interpolate(torch.rand(3, 3, 4, 4, generator=generator), (12, 12), mode="bilinear")
    y = torch.arange(240) % 3
    x = (0.5 + 0.5 * (patterns[y] - 0.5) + 0.12 * torch.randn(240, 3, 12, 12, generator=generator)).clamp(0, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ResidualNet(3, (4, 8), blocks=1)
    model = Classifier(network, normalisation("dataset", [0.5] * 3, [0.2] * 3))
    optimiser_state = [torch.zeros_like(p) for p in model.parameters()]
    for _ in range(40):
        gradients = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), list(model.parameters()))
        with torch.no_grad():
            for p, g, m in zip(model.parameters(), gradients, optimiser_state, strict=True):
                m.mul_(0.9).add_(g)
                p.sub_(0.05 * m)
    return model.eval(), x, y


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((model(x).argmax(1) == y).double().mean())


def test_strength_on_a_network(trained: tuple[Classifier, Tensor, Tensor]) -> None:
    model, x, y = trained
    assert accuracy(model, x, y) > 0.95
    found = []
    for eps in (0.01, 0.02, 0.04, 0.08, 1.0):
        found.append(accuracy(model, perturb(model, x, y, Attack(eps=eps, steps=10).resolved(12), rng()), y))
    assert all(later <= earlier + 0.005 for earlier, later in pairwise(found))
    assert found[-1] <= float(y.bincount().max()) / len(y)
    for eps in (0.04, 0.08):
        adversarial = perturb(model, x, y, Attack(eps=eps, steps=10).resolved(12), rng())
        single = perturb(model, x, y, Attack(eps=eps, steps=1, random_start=False).resolved(12), None)
        noise = (x + eps * (2 * torch.randint(0, 2, x.shape, generator=rng()) - 1)).clamp(0, 1)
        clean, robust = accuracy(model, x, y), accuracy(model, adversarial, y)
        assert robust <= accuracy(model, single, y) + 0.005
        assert clean - robust > 0.1
        assert clean - accuracy(model, noise, y) < (clean - robust) / 2


def test_on_a_linear_model_the_loss_is_exactly_monotone_in_eps() -> None:
    w, x = uneven(), images(0, 1)
    model = Linear(w)
    losses = []
    for eps in (0.0, 0.01, 0.03, 0.1, 0.3, 1.0):
        adversarial = perturb(model, x, zeros(x), Attack(eps=eps).resolved(8), rng())
        losses.append(nn.functional.cross_entropy(model(adversarial), zeros(x), reduction="none"))
    assert (torch.stack(losses).diff(dim=0) > 0).all()


def test_under_autocast_the_perturbation_stays_float32(trained: tuple[Classifier, Tensor, Tensor]) -> None:
    model, x, y = trained
    x, y = x[:32], y[:32]
    for attack in (Attack(eps=0.05, steps=5).resolved(12), Attack(norm="l2", eps=0.7, steps=5).resolved(12)):
        with torch.autocast("cpu", torch.bfloat16):
            adversarial = perturb(model, x, y, attack, rng())
        assert adversarial.dtype == torch.float32
        size = (adversarial - x).flatten(1).norm(dim=1, p=math.inf if attack.norm == "inf" else 2)
        assert (size <= attack.eps * (1 + 1e-5)).all() and (size > 0.9 * attack.eps).all()


def test_a_loss_of_ones_own_is_raised() -> None:
    w, x = uneven(), images(0.4, 0.6)
    attack = Attack(norm="l2", eps=0.2, step=0.03, steps=7, random_start=False)
    towards = perturb(Linear(w), x, zeros(x), attack, None, loss=lambda logits, y: logits[:, 0])
    torch.testing.assert_close(towards, x - 0.2 * w / w.norm(), rtol=0, atol=1e-6)


def test_step_and_project_are_pure() -> None:
    delta, gradient = torch.randn(2, *SHAPE), torch.randn(2, *SHAPE)
    copies = delta.clone(), gradient.clone()
    for way in (Ascent("inf", step=0.01, steps=1, eps=0.1), Ascent("l2", step=0.1, steps=1, eps=1)):
        ascent.project(ascent.step(delta, gradient, way), way.norm, way.eps)
    assert torch.equal(delta, copies[0]) and torch.equal(gradient, copies[1])


def test_radii_keep_the_change_per_pixel() -> None:
    at32 = Attack(norm="l2", eps=12, eps_reference_side=224).resolved(32)
    assert at32.eps == pytest.approx(1.714, abs=5e-4)
    assert at32.step == pytest.approx(2.5 * at32.eps / 20)
    assert at32.resolved(64) == at32
    # Steps by sign are per pixel: the released code's ε/2/255, whatever the side.
    signs = [Attack(norm="l2", eps=12, eps_reference_side=224, direction="sign").resolved(side) for side in (32, 224)]
    assert [attack.step for attack in signs] == pytest.approx([6 / 255, 6 / 255])
    given = Attack(norm="l2", eps=12, step=0.01, eps_reference_side=224, direction="sign").resolved(32)
    assert given.step == 0.01
