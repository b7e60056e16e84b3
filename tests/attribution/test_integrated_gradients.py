"""Integrated Gradients against closed forms, and against captum."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from shapelens.attribution.integrated_gradients import draw_baselines, integrated_gradients, path
from shapelens.attribution.maps import grad
from tests.attribution.test_maps import SHAPE, TARGET, D, Scores, batch, convnet, image

RULES = ["midpoint", "trapezoid"]
SCORES = ["log-probability", "probability", "logit"]
FIRST = torch.zeros(1, dtype=torch.int64)


def smooth(dtype=torch.float64):
    """A network without kinks, so that the rules converge at their order."""
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.Softplus(), nn.Conv2d(8, 8, 3, stride=2), nn.Tanh(),
        nn.Flatten(), nn.Linear(8 * 5 * 5, 4),
    )  # fmt: skip
    for layer in (network[0], network[2], network[5]):
        nn.init.normal_(layer.weight, std=0.3)
    return network.to(dtype)


def three(dtype=torch.float64, images=3):
    """Black, grey and noise, the noise of each image its own."""
    noise = torch.rand(images, 3, 12, 12, generator=torch.Generator().manual_seed(9), dtype=dtype)
    return torch.stack([torch.zeros_like(noise), torch.full_like(noise, 0.5), noise])


@pytest.mark.parametrize(("rule", "points"), [("midpoint", 1), ("midpoint", 7), ("trapezoid", 2), ("trapezoid", 7)])
def test_linear_scores_are_exact_with_any_number_of_points(rule, points):
    layer = nn.Linear(D, 4).double()
    model, w = nn.Sequential(nn.Flatten(), layer), layer.weight.detach()
    x, start = torch.rand(3, *SHAPE, dtype=torch.float64), torch.rand(2, 3, *SHAPE, dtype=torch.float64)
    maps, gap = integrated_gradients(model, x, TARGET, baselines=start, points=points, score="logit", rule=rule)
    expected = (x - start.mean(0)) * w[TARGET].view(3, *SHAPE)
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-14)
    assert gap.shape == (3,) and gap.max() < 1e-13
    # IG of a linear model is gradient times the way.
    torch.testing.assert_close(maps, grad(model, x, TARGET, score="logit") * (x - start.mean(0)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("points", [2, 5])
def test_quadratic_scores_are_exact(rule, points):
    """S = ½ zᵀAz: the mean gradient along the way is A(x + b)/2."""
    a = torch.randn(D, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a = a + a.T
    x, start = image(), torch.rand(1, 1, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = Scores(lambda z: (z @ a * z).sum(1) / 2)
    maps, gap = integrated_gradients(model, x, FIRST, baselines=start, points=points, score="logit", rule=rule)
    expected = (x - start[0]).flatten() * (a @ (x + start[0]).flatten()) / 2
    torch.testing.assert_close(maps.flatten(), expected, rtol=0, atol=1e-13)
    assert gap.item() < 1e-13


def test_the_mean_that_the_source_prints_falls_short():
    """Dividing the trapezoid's m steps by m + 1, as is printed in places and as captum does, loses 1/(m + 1)."""
    places, weights = path("trapezoid", 51)
    assert weights.sum() == pytest.approx(1, abs=1e-15)
    ends = torch.ones(51, dtype=torch.float64)
    ends[0] = ends[-1] = 0.5
    torch.testing.assert_close(weights, ends / 50, rtol=0, atol=1e-15)
    assert (ends / 51).sum().item() == pytest.approx(50 / 51)
    assert (places[0], places[-1]) == (0, 1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("score", SCORES)
def test_the_gap_falls_with_the_square_of_the_points(rule, score):
    model, x = smooth(), batch(dtype=torch.float64)
    steps = {"midpoint": (8, 16, 32, 64), "trapezoid": (9, 17, 33, 65)}[rule]
    gaps = torch.stack(
        [
            integrated_gradients(model, x, TARGET, baselines=three()[:1], points=n, score=score, rule=rule)[1]
            for n in steps
        ]
    )
    order = (gaps[:-1] / gaps[1:]).log2()
    assert ((order[1:] - 2).abs() < 0.05).all(), order
    assert gaps[-1].max() < 1e-3


def test_the_gap_is_what_it_says():
    """A function of one variable with one step, by hand: S = z³, from b to x."""
    x = torch.full((1, 1, 1, 1), 0.8, dtype=torch.float64)
    start = torch.full((2, 1, 1, 1, 1), 0.2, dtype=torch.float64)
    start[1] = 0
    maps, gap = integrated_gradients(Scores(lambda z: z[:, 0] ** 3), x, FIRST, baselines=start, points=1, score="logit")
    by_hand = (0.6 * 3 * 0.5**2 + 0.8 * 3 * 0.4**2) / 2
    assert maps.item() == pytest.approx(by_hand, abs=1e-14)
    assert gap.item() == pytest.approx(abs(by_hand - (0.8**3 - (0.2**3 + 0) / 2)), abs=1e-14)
    assert gap.item() > 0.09 and gap.dtype == torch.float64


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("rule", RULES)
def test_equals_captum(score, rule):
    attr = pytest.importorskip("captum.attr")
    model, x, n = convnet(torch.float64).eval(), batch(dtype=torch.float64), 12
    activation = {"log-probability": nn.LogSoftmax(1), "probability": nn.Softmax(1), "logit": nn.Identity()}[score]
    theirs = attr.IntegratedGradients(nn.Sequential(model, activation))
    method = {"midpoint": "riemann_middle", "trapezoid": "riemann_trapezoid"}[rule]
    made = [
        theirs.attribute(x, start, target=TARGET, n_steps=n, method=method, return_convergence_delta=True)
        for start in three()
    ]
    expected = torch.stack([maps for maps, _ in made]).mean(0)
    delta = torch.stack([one for _, one in made]).mean(0)
    maps, gap = integrated_gradients(model, x, TARGET, baselines=three(), points=n, score=score, rule=rule)
    if rule == "trapezoid":  # captum 0.9 divides by n where there are n − 1 steps
        delta = delta + expected.sum((1, 2, 3)) / (n - 1)
        expected = expected * n / (n - 1)
    # captum rounds the places along the way to float32.
    size = expected.abs().max().item()
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-6 * size)
    torch.testing.assert_close(gap, delta.abs(), rtol=0, atol=1e-5 * size)
    single, _ = integrated_gradients(
        model.float(), x.float(), TARGET, baselines=three().float(), points=n, score=score, rule=rule
    )
    torch.testing.assert_close(single.double(), expected, rtol=0, atol=1e-5 * size)


def test_chunks_and_company_change_nothing():
    model, x = convnet(torch.float64), batch(dtype=torch.float64)

    def run(chunk, images=slice(None)):
        starts = three()[:, images]
        return integrated_gradients(model, x[images], TARGET[images], baselines=starts, points=10, chunk=chunk)

    expected = run(None)
    for chunk in (1, 2, 3, 7, 12, 1000):
        torch.testing.assert_close(run(chunk), expected, rtol=0, atol=1e-12)
    for i in range(3):
        alone = run(None, slice(i, i + 1))
        torch.testing.assert_close(alone[0], expected[0][i : i + 1], rtol=0, atol=1e-12)


def test_no_more_images_than_the_chunk_go_through_at_once():
    model, x, sizes = convnet(), batch(), []
    model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    integrated_gradients(model, x, TARGET, baselines=three(torch.float32), points=5, chunk=2)
    assert max(sizes) == 2
    sizes.clear()
    integrated_gradients(model, x, TARGET, baselines=three(torch.float32), points=5, chunk=7)
    assert set(sizes) == {6, 3, 7, 2}  # two points of three images, the last; nine baselines


def test_shared_baselines_are_those_of_every_image():
    model, x = convnet(torch.float64), batch(dtype=torch.float64)
    shared = three()[:, :1]
    found = integrated_gradients(model, x, TARGET, baselines=shared, points=4, score="probability")
    each = shared.expand(-1, 3, -1, -1, -1)
    expected = integrated_gradients(model, x, TARGET, baselines=each, points=4, score="probability")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_from_the_image_itself_nothing_is_explained():
    model, x = convnet(torch.float64), batch(dtype=torch.float64)
    maps, gap = integrated_gradients(model, x, TARGET, baselines=x[None], points=3)
    assert maps.abs().max() == 0 and gap.max() < 1e-14


def test_the_model_is_left_as_it_was():
    model, x, starts = convnet().train(), batch(), three(torch.float32)
    model[3].weight.requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    copies = x.clone(), starts.clone()
    integrated_gradients(model, x, TARGET, baselines=starts, points=3)
    assert model.training and model[1].training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert [p.requires_grad for p in model[3].parameters()] == [False, True]
    assert torch.equal(x, copies[0]) and torch.equal(starts, copies[1])
    with torch.no_grad():  # a caller without gradients gets maps all the same
        assert integrated_gradients(model, x, TARGET, baselines=starts, points=3)[0].abs().sum() > 0


def test_refusals():
    model, x = convnet(), batch()
    for shape in [(3, 12, 12), (3, 3, 12, 12), (1, 2, 3, 12, 12), (1, 3, 3, 12, 11), (0, 3, 3, 12, 12)]:
        with pytest.raises(ValueError, match="baselines have shape"):
            integrated_gradients(model, x, TARGET, baselines=torch.zeros(shape))
    with pytest.raises(ValueError, match="points: the midpoint rule needs at least 1, not 0"):
        integrated_gradients(model, x, TARGET, baselines=x[None], points=0)
    with pytest.raises(ValueError, match="points: the trapezoid rule needs at least 2, not 1"):
        integrated_gradients(model, x, TARGET, baselines=x[None], points=1, rule="trapezoid")


def test_baselines():
    def draw(kind, count=1, seed=0):
        return draw_baselines(kind, count, (3, 4, 4), np.random.default_rng(seed))

    assert (draw("black") == 0).all() and (draw("grey") == 0.5).all()
    uniform = draw("uniform", 10)
    assert uniform.shape == (10, 3, 4, 4) and uniform.dtype == np.float32
    assert 0 <= uniform.min() < 0.1 and 0.9 < uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.05
    np.testing.assert_array_equal(uniform, draw("uniform", 10))
    np.testing.assert_array_equal(uniform[:4], draw("uniform", 4))  # more continue fewer
    assert (uniform != draw("uniform", 10, seed=1)).any()
    assert math.prod(draw("grey", 2).shape) == 2 * 48
