"""The flow-field adversary against closed forms (RECIPES §9); each oracle is also run against a planted fault."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from shapelens.attacks import spatial
from shapelens.attacks.spatial import _Sample, deform, find_flow, margin, project, random_flow, sample, total_variation
from shapelens.attacks.spec import SpatialAttack

torch.set_num_threads(1)
SIDE = 8


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 4, side: int = SIDE, dtype: torch.dtype = torch.float64, seed: int = 1) -> Tensor:
    return torch.rand(n, 3, side, side, generator=rng(seed), dtype=dtype)


def flows(n: int = 4, side: int = SIDE, scale: float = 1.0, seed: int = 2) -> Tensor:
    return scale * torch.randn(n, 2, side, side, generator=rng(seed), dtype=torch.float64)


def spec(budget: float = 0.5, **settings: object) -> SpatialAttack:
    return SpatialAttack.model_validate({"kind": "spatial", "budget": budget, **settings}).resolved(SIDE)


def length(flow: Tensor) -> Tensor:
    return flow.norm(dim=1, keepdim=True)


def caught(monkeypatch: pytest.MonkeyPatch, name: str, fault: object, oracle: Callable[[], None]) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(spatial, name, fault)
        with pytest.raises(AssertionError):
            oracle()


def with_axes_swapped(x: Tensor, flow: Tensor) -> Tensor:
    """Sample as the released code does: its grid has rows and columns exchanged."""
    return sample(x.transpose(2, 3).contiguous(), flow)


def through_grid_sample(x: Tensor, flow: Tensor) -> Tensor:
    side = x.shape[-1]
    at = torch.stack([torch.arange(side) + flow[:, 0], torch.arange(side).view(-1, 1) + flow[:, 1]], -1)
    return functional.grid_sample(x, at * 2 / (side - 1) - 1, padding_mode="border", align_corners=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (2, 1, 5, 32), (2, 3, 1, 7), (1, 2, 224, 3)])
def test_zero_flow_gives_the_image_itself(
    dtype: torch.dtype, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.rand(shape, generator=rng(), dtype=dtype)
    flow = torch.zeros(shape[0], 2, *shape[2:], dtype=dtype)
    assert torch.equal(sample(x, flow), x)
    if shape[2] == shape[3]:
        assert not torch.equal(with_axes_swapped(x, flow), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_whole_shift_is_exact_and_the_border_goes_on(dtype: torch.dtype) -> None:
    x = images(2, 32, dtype)
    for right, down in [(1, 0), (0, 1), (-3, 2), (40, -40)]:
        flow = torch.tensor([right, down], dtype=dtype).view(1, 2, 1, 1).expand(2, 2, 32, 32)
        rows, columns = ((torch.arange(32) + by).clamp(0, 31) for by in (down, right))
        expected = x[:, :, rows][..., columns]

        assert torch.equal(sample(x, flow), expected)
        assert right == down or not torch.equal(sample(x, flow.flip(1)), expected)  # the axes exchanged
    flow = torch.tensor([1, 0], dtype=dtype).view(1, 2, 1, 1).expand(2, 2, 30, 30)
    x = images(2, 30, dtype)
    assert torch.equal(sample(x, flow)[..., :-1], x[..., 1:])
    assert not torch.equal(through_grid_sample(x, flow)[..., :-1], x[..., 1:])  # its places are rounded


def test_between_pixels_it_is_what_torch_samples() -> None:
    x, flow = images(), flows(scale=2)
    torch.testing.assert_close(sample(x, flow), through_grid_sample(x, flow), rtol=0, atol=1e-12)
    assert sample(x, flow).amin() >= x.amin() - 1e-12 and sample(x, flow).amax() <= x.amax() + 1e-12


def test_the_gradient_is_that_of_central_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weights = images(2, 6), flows(2, 6)[:, :1]
    # Away from whole places, where bilinear interpolation has a kink; some places lie beyond the border.
    flow = (flows(2, 6).floor() + 0.2 + 0.6 * torch.rand(2, 2, 6, 6, generator=rng(), dtype=torch.float64)).clamp(-3, 3)

    def value(at: Tensor) -> Tensor:
        return (spatial.sample(x, at) * weights).sum() + spatial.total_variation(at).sum()

    def oracle() -> None:
        at = flow.clone().requires_grad_()
        (found,) = torch.autograd.grad(value(at), at)
        for place in range(0, flow.numel(), 7):
            tip = torch.zeros_like(flow).flatten()
            tip[place] = 1e-6
            tip = tip.view_as(flow)
            assert float(found.flatten()[place]) == pytest.approx(
                float(value(flow + tip) - value(flow - tip)) / 2e-6, abs=1e-7
            )

    oracle()

    class Swapped(_Sample):
        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
            return None, _Sample.backward(ctx, *gradients)[1].flip(1)

    caught(monkeypatch, "_Sample", Swapped, oracle)


def test_total_variation_of_known_flows() -> None:
    constant = torch.tensor([0.3, -1.7]).view(1, 2, 1, 1).expand(1, 2, SIDE, SIDE)
    assert total_variation(constant) == 0
    ramp = torch.arange(SIDE, dtype=torch.float64)
    for axis in (2, 3):
        # (0.3, 0.4) per pixel along one axis: 0.5 per pair, each of 7 × 8 pairs met twice, over 64 pixels.
        shape = [1, 1, SIDE, 1] if axis == 2 else [1, 1, 1, SIDE]
        flow = (torch.tensor([0.3, 0.4], dtype=torch.float64).view(1, 2, 1, 1) * ramp.view(shape)).expand(
            1, 2, SIDE, SIDE
        )
        torch.testing.assert_close(total_variation(flow), torch.tensor([0.5 * 2 * 56 / 64], dtype=torch.float64))
    two = flows(2)
    torch.testing.assert_close(total_variation(2 * two), 2 * total_variation(two))
    assert torch.equal(total_variation(two)[1:], total_variation(two[1:]))
    # The same deformation at twice the side, but for the border: displacements double, differences do not.
    fine = torch.linspace(0, 1, 256, dtype=torch.float64)
    bend = torch.stack([torch.sin(3 * fine), fine**2]).view(1, 2, 1, -1)
    large, small = 256 * bend.expand(1, 2, 256, 256), 128 * bend[..., ::2].expand(1, 2, 128, 128)
    torch.testing.assert_close(total_variation(large), total_variation(small), rtol=0.02, atol=0)


def test_total_variation_has_a_gradient_where_the_flow_is_flat() -> None:
    flow = torch.zeros(1, 2, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(total_variation(flow).sum(), flow)
    assert not gradient.any()


def test_projection(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, budget = flows(scale=0.7), flows(scale=0.7, seed=9), 0.6

    def oracle() -> None:
        p, q = spatial.project(a, budget), spatial.project(b, budget)
        assert length(p).amax() <= budget * (1 + 1e-12)
        torch.testing.assert_close(spatial.project(p, budget), p, rtol=1e-12, atol=0)
        # Per displacement, so for whole flows too.
        assert (length(p - q) <= length(a - b) + 1e-12).all()
        inside = (length(a) <= budget).expand_as(a)
        assert inside.any() and not inside.all()
        assert torch.equal(p[inside], a[inside])
        assert torch.equal(p, torch.cat([spatial.project(one[None], budget) for one in a]))

    oracle()
    assert not project(torch.zeros(1, 2, 4, 4), budget).any()
    caught(monkeypatch, "project", lambda f, by: f * by / length(f), oracle)  # onto the circle
    caught(monkeypatch, "project", lambda f, by: f.clamp(-by, by), oracle)  # another norm
    caught(monkeypatch, "project", lambda f, by: f * min(1.0, by / float(length(f).max())), oracle)


def test_random_flows_are_uniform_in_the_disc() -> None:
    flow = random_flow(torch.zeros(20, 3, 32, 32), 0.5, rng()).double()
    share = (length(flow).flatten() / 0.5) ** 2
    ranks = torch.arange(1, share.numel() + 1) / share.numel()
    assert (share.sort().values - ranks).abs().max() * math.sqrt(share.numel()) < 1.63
    assert (share.sqrt().sort().values - ranks).abs().max() * math.sqrt(share.numel()) > 1.63
    assert flow.mean(dim=(0, 2, 3)).abs().max() < 0.01


class Linear(nn.Module):
    """Two classes; the loss of label 0 rises along ``w``."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(w)

    def forward(self, x: Tensor) -> Tensor:
        score = ((x - 0.5) * self.w).flatten(1).sum(1)
        return torch.stack([-score, score], 1)


@pytest.mark.parametrize("loss", ["margin", "cross-entropy"])
@pytest.mark.parametrize("random_start", [False, True])
def test_on_a_ramp_the_best_flow_is_known(loss: str, random_start: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a linear ramp the deformed image is linear in the flow: p goes ``budget`` far along w(p) times the slope."""
    slope = torch.tensor([0.02, 0.03], dtype=torch.float64)
    at = torch.arange(SIDE, dtype=torch.float64)
    x = (0.2 + slope[0] * at.view(1, 1, 1, -1) + slope[1] * at.view(1, 1, -1, 1)).expand(2, 1, SIDE, SIDE)
    w = torch.randn(1, SIDE, SIDE, generator=rng(), dtype=torch.float64)
    # The outermost pixels have border beyond them.
    w[:, [0, -1]] = 0
    w[:, :, [0, -1]] = 0
    budget, y = 0.8, torch.zeros(2, dtype=torch.int64)
    best = budget * w.sign() * slope.view(2, 1, 1) / slope.norm()
    attack = spec(budget, steps=5, step=0.4, tv_weight=0, loss=loss, random_start=random_start)

    def oracle() -> None:
        flow = find_flow(Linear(w), x, y, attack, rng())
        inner = (..., slice(1, -1), slice(1, -1))
        tolerance = 0.02 * budget if random_start else 1e-9
        assert (flow - best)[inner].abs().max() <= tolerance or random_start
        gain = (x - sample(x, flow)).mul(-w).flatten(1).sum(1)
        assert (gain >= (0.97 if random_start else 1 - 1e-9) * budget * slope.norm() * w.abs().sum()).all()
        assert length(flow).amax() <= budget * (1 + 1e-9)

    oracle()
    caught(monkeypatch, "step", lambda f, g, far: f + far * g.sign() / math.sqrt(2), oracle)
    caught(monkeypatch, "step", lambda f, g, far: f - far * g / g.norm(), oracle)


def test_the_margin_is_that_of_the_best_wrong_class() -> None:
    logits = torch.tensor([[3.0, 1, 2], [0, 5, 4]])
    assert margin(logits, torch.tensor([0, 2])).tolist() == [-1, 1]


class Small(nn.Module):
    """A network with batch norm and dropout, whose modes and buffers an attack could disturb."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5), nn.Flatten())
            self.head = nn.Linear(6 * 36, 3)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.scale * self.head(self.body(x))
        return logits


def losses(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return functional.cross_entropy(model(x), y, reduction="none")


BOTH = [spec(steps=4), spec(steps=2, solver="lbfgs", loss="cross-entropy", tv_weight=0.5)]
BOTH += [spec(steps=3, random_start=True)]


@pytest.mark.parametrize("attack", BOTH)
def test_the_model_is_left_as_it_was(attack: SpatialAttack) -> None:
    model, x = Small(), images(dtype=torch.float32)
    y = torch.tensor([0, 1, 2, 0])
    model(x).sum().backward()
    model.body[1].eval()
    model.head.bias.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    gradients = [None if p.grad is None else (p.grad, p.grad.clone()) for p in model.parameters()]
    original = x.clone()

    found = deform(model, x, y, attack, rng())

    assert torch.equal(x, original) and not x.requires_grad and not found.requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    for parameter, kept in zip(model.parameters(), gradients, strict=True):
        assert parameter.grad is None if kept is None else parameter.grad is kept[0] and torch.equal(*kept)
    assert torch.equal(found, deform(model, x, y, attack, rng()))
    assert torch.equal(found, deform(model, x, y, attack, rng(1))) is not attack.random_start
    assert found.min() >= 0 and found.max() <= 1
    assert length(find_flow(model, x, y, attack, rng())).amax() <= attack.budget * (1 + 1e-6)


@pytest.mark.parametrize("attack", BOTH[:2])
def test_it_raises_the_loss_more_than_a_random_flow(attack: SpatialAttack) -> None:
    model = Small(scale=3).eval().double()
    x = images(64)
    with torch.no_grad():
        y = model(x).argmax(1)
    plain = attack.model_copy(update={"tv_weight": 0.0, "steps": 10})
    attacked = losses(model, deform(model, x, y, plain, None), y)
    clean = losses(model, x, y)
    assert (attacked >= clean - 1e-12).all()  # the image itself is among the iterates
    for seed in range(3):
        drawn = losses(model, sample(x, random_flow(x, attack.budget, rng(seed))), y)
        assert (attacked >= drawn).all()
        assert (attacked - clean).mean() > 2 * (drawn - clean).mean()


def test_the_best_iterate_of_each_image_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """With steps as long as the budget, later iterates are often worse than earlier ones."""
    model, x = Small(scale=5).eval().double(), images(32)
    y = torch.arange(32) % 3
    attack = spec(0.9, steps=6, step=0.9, tv_weight=0)
    seen = [Tensor()]
    seen.clear()
    real = spatial._judge

    def spy(*arguments: object) -> tuple[Tensor, Tensor]:
        wrong, value = real(*arguments)  # type: ignore[arg-type]
        seen.append(torch.stack([wrong.double(), value.detach()]))
        return wrong, value

    monkeypatch.setattr(spatial, "_judge", spy)
    found = deform(model, x, y, attack, None)
    wrong, value = torch.stack(seen).unbind(1)
    assert len(seen) == attack.steps + 1
    kept = margin(model(found), y).detach()
    best = torch.where(wrong == wrong.amax(0), value, -torch.inf).amax(0)
    torch.testing.assert_close(kept, best, rtol=0, atol=1e-12)
    assert (value[-1] < best - 1e-6).any()  # the last iterate, a known fault


def test_images_are_independent() -> None:
    model, x = Small().eval().double(), images(5)
    y = torch.arange(5) % 3
    whole = deform(model, x, y, spec(steps=3), None)
    parts = torch.cat([deform(model, x[i : i + 2], y[i : i + 2], spec(steps=3), None) for i in (0, 2, 4)])
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-9)


def test_a_higher_weight_gives_smoother_flows() -> None:
    model, x = Small(scale=3).eval().double(), images(16)
    y = torch.arange(16) % 3
    for solver, weights in (("steps", (0, 1, 10)), ("lbfgs", (0, 0.01, 1))):
        rough = [
            total_variation(
                find_flow(model, x, y, spec(steps=10, tv_weight=weight, solver=solver, random_start=True), rng())
            ).mean()
            for weight in weights
        ]
        assert rough[0] > rough[1] > rough[2]


def test_the_released_solver_finds_the_optimum_within_the_budget() -> None:
    """One L-BFGS problem: on a ramp with a single weighted pixel, the best displacement is the budget long."""
    x = (0.1 * torch.arange(SIDE, dtype=torch.float64)).view(1, 1, 1, -1).expand(1, 1, SIDE, SIDE)
    w = torch.zeros(1, SIDE, SIDE, dtype=torch.float64)
    w[0, 4, 3] = 1
    attack = spec(0.7, solver="lbfgs", steps=5, tv_weight=0, loss="cross-entropy")
    flow = find_flow(Linear(w), x, torch.zeros(1, dtype=torch.int64), attack, None)
    torch.testing.assert_close(flow[0, :, 4, 3], torch.tensor([0.7, 0], dtype=torch.float64), rtol=0, atol=1e-3)
    assert not flow[0, :, 0].any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("attack", BOTH)
def test_gradients_that_are_not_finite_are_refused(bad: float, attack: SpatialAttack) -> None:
    w = torch.ones(3, SIDE, SIDE)
    w[0, 0, 0] = bad
    with pytest.raises(FloatingPointError, match="lower lr"):
        deform(Linear(w), images(dtype=torch.float32), torch.zeros(4, dtype=torch.int64), attack, rng())


def test_what_is_refused() -> None:
    model, x, y = Linear(torch.ones(3, SIDE, SIDE)), images(), torch.zeros(4, dtype=torch.int64)
    for settings in ({}, {"step": 1, "budget_reference_side": 32}):
        attack = SpatialAttack.model_validate({"kind": "spatial", "budget": 1, **settings})
        with pytest.raises(ValueError, match="resolved"):
            deform(model, x, y, attack, None)
    with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
        deform(model, x * 2 - 1, y, spec(), None)
    assert torch.equal(deform(model, x, y, spec(0), None), x)


def test_budgets_scale_with_the_side() -> None:
    attack = SpatialAttack(kind="spatial", budget=7, step=1, budget_reference_side=224)
    assert attack.resolved(32).budget == pytest.approx(1) and attack.resolved(32).step == pytest.approx(1 / 7)
    assert attack.resolved(32).resolved(64) == attack.resolved(32)
    assert SpatialAttack(kind="spatial", budget=1, steps=5).resolved(32).step == pytest.approx(0.5)
    assert SpatialAttack(kind="spatial", budget=1, steps=1).resolved(32).step == 1
    assert SpatialAttack(kind="spatial", budget=1, solver="lbfgs", budget_reference_side=9).resolved(32).step == 0.5


def test_under_autocast_the_flow_stays_float32() -> None:
    model, x = Small(), images(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        flow = find_flow(model, x, torch.tensor([0, 1, 2, 0]), spec(tv_weight=0), None)
    assert flow.dtype == torch.float32 and 0.3 < length(flow).amax() <= 0.5 * (1 + 1e-6)
