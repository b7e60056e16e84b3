"""Expected gradients against closed forms, against Integrated Gradients, and against captum."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from shapelens.attribution.expected_gradients import (
    Spread,
    draw_samples,
    expected_gradients,
    mean_scores,
    scores_of,
)
from shapelens.attribution.integrated_gradients import integrated_gradients, path
from tests.attribution.test_integrated_gradients import SCORES, smooth
from tests.attribution.test_maps import SHAPE, TARGET, D, Scores, batch, convnet

CPU = torch.device("cpu")


def background(count=5, dtype=torch.float64, shape=(3, 12, 12)):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(5), dtype=dtype)


def draws(samples, images=3, count=5, seed=0):
    made = [draw_samples(samples, count, np.random.default_rng([seed, image])) for image in range(images)]
    return {
        name: torch.from_numpy(np.stack(one, axis=1))
        for name, one in zip(("chosen", "places"), zip(*made, strict=True), strict=True)
    }


def everything(count, points, images=3):
    """Every background image at every midpoint: a sum without chance."""
    places, _ = path("midpoint", points)
    chosen = torch.arange(count).repeat_interleave(points)
    return {
        "chosen": chosen[:, None].expand(-1, images),
        "places": places.repeat(count)[:, None].expand(-1, images),
    }


def test_of_a_linear_score_only_the_draw_of_the_background_is_left_to_chance():
    layer = nn.Linear(D, 4).double()
    model, w = nn.Sequential(nn.Flatten(), layer), layer.weight.detach()
    x, b = torch.rand(3, *SHAPE, dtype=torch.float64), background(shape=SHAPE)
    drawn = draws(7)
    found = expected_gradients(model, x, TARGET, background=b, **drawn)
    each = (x - b[drawn["chosen"]]) * w[TARGET].view(3, *SHAPE)
    torch.testing.assert_close(found.maps, each.mean(0), rtol=0, atol=1e-14)
    torch.testing.assert_close(found.errors, each.std(0) / 7**0.5, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(found.sum_errors, each.sum((2, 3, 4)).std(0) / 7**0.5, rtol=1e-10, atol=1e-12)
    whole = expected_gradients(model, x, TARGET, background=b, **everything(5, 1))
    torch.testing.assert_close(whole.maps, (x - b.mean(0)) * w[TARGET].view(3, *SHAPE), rtol=0, atol=1e-13)


@pytest.mark.parametrize("score", SCORES)
def test_without_chance_they_are_integrated_gradients_averaged_over_the_background(score):
    """The numeric integration of a network of two layers, in float64."""
    model, x, b = smooth(), batch(dtype=torch.float64), background()
    found = expected_gradients(model, x, TARGET, background=b, score=score, **everything(5, 40))
    maps, _ = integrated_gradients(model, x, TARGET, baselines=b[:, None], points=40, score=score, rule="midpoint")
    torch.testing.assert_close(found.maps, maps, rtol=0, atol=1e-12)
    # So they add up, but for the steps of the integration.
    ends = scores_of(model, x, TARGET, score, 64)
    starts = mean_scores(model, b, CPU, score, 2)[TARGET]
    torch.testing.assert_close(found.maps.sum((1, 2, 3)), ends - starts, rtol=0, atol=1e-4)


def test_they_are_shapley_values_where_features_interact_in_pairs():
    """Enumerated over all orders of four features; the gradient is linear along the way, so one point is exact."""
    rng = np.random.default_rng(2)
    linear, pairs = rng.normal(size=4), np.triu(rng.normal(size=(4, 4)), 1)

    def score(z):
        return z @ linear + np.einsum("...i,ij,...j", z, pairs, z)

    x, b = rng.random(4), rng.random((3, 4))
    expected = np.zeros(4)
    orders = list(permutations(range(4)))
    for start in b:
        for order in orders:
            z = start.copy()
            for feature in order:
                before = score(z)
                z[feature] = x[feature]
                expected[feature] += (score(z) - before) / len(orders) / len(b)
    w, q = torch.from_numpy(linear), torch.from_numpy(pairs)
    model = Scores(lambda z: z @ w + torch.einsum("ni,ij,nj->n", z, q, z))
    shaped = {"background": torch.from_numpy(b).view(3, 1, 2, 2), "score": "logit"}
    first = torch.zeros(1, dtype=torch.int64)
    found = expected_gradients(model, torch.from_numpy(x).view(1, 1, 2, 2), first, **shaped, **everything(3, 1, 1))
    np.testing.assert_allclose(found.maps.flatten(), expected, atol=1e-12)


def test_the_standard_error_is_that_of_repeated_estimates():
    model, x, b = smooth(), batch(dtype=torch.float64)[:1], background()
    limit = expected_gradients(model, x, TARGET[:1], background=b, **everything(5, 100, 1)).maps
    values, sums = [], []
    for seed in range(150):
        found = expected_gradients(model, x, TARGET[:1], background=b, **draws(24, images=1, seed=seed))
        values.append((found.maps - limit) / found.errors)
        sums.append((found.maps - limit).sum() / found.sum_errors)
    for z in (torch.stack(values).flatten(), torch.stack(sums).flatten()):
        # Student's t of 23 degrees of freedom has a variance of 23/21.
        assert z.square().mean().item() == pytest.approx(23 / 21, abs=0.35)


def test_more_samples_come_nearer():
    model, x, b = smooth(), batch(dtype=torch.float64), background()
    small, large = (expected_gradients(model, x, TARGET, background=b, **draws(n)).errors.norm() for n in (50, 800))
    assert small / large == pytest.approx(4, rel=0.25)


def test_a_pixel_that_decides_has_everything():
    model = Scores(lambda z: z[:, 5] ** 2)
    x, b = batch(dtype=torch.float64)[:1], background()
    first = torch.zeros(1, dtype=torch.int64)
    found = expected_gradients(model, x, first, background=b, **everything(5, 1, 1)).maps.flatten()
    value, starts = x.flatten()[5], b.flatten(1)[:, 5]
    assert found[5].item() == pytest.approx((value**2 - (starts**2).mean()).item(), abs=1e-14)
    assert found.count_nonzero() == 1


@pytest.mark.parametrize("score", SCORES)
def test_equals_captum_given_the_same_draws(score, monkeypatch):
    attr = pytest.importorskip("captum.attr")
    activation = {"log-probability": nn.LogSoftmax(1), "probability": nn.Softmax(1), "logit": nn.Identity()}[score]
    model, x, b = convnet(torch.float64).eval(), batch(dtype=torch.float64), background()
    drawn = draws(20)
    # captum repeats each image for all of its samples before the next
    in_its_order = {name: one.T.flatten().numpy() for name, one in drawn.items()}
    monkeypatch.setattr(np.random, "choice", lambda count, size: in_its_order["chosen"])
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: in_its_order["places"])
    theirs = attr.GradientShap(nn.Sequential(model, activation)).attribute(
        x, b, target=TARGET, n_samples=20, stdevs=0.0
    )
    found = expected_gradients(model, x, TARGET, background=b, score=score, **drawn)
    torch.testing.assert_close(found.maps, theirs, rtol=0, atol=1e-12)


def test_chunks_and_company_change_nothing():
    model, x, b = convnet(torch.float64), batch(dtype=torch.float64), background()
    drawn = draws(10)

    def run(chunk, images=slice(None)):
        mine = {name: one[:, images] for name, one in drawn.items()}
        return expected_gradients(model, x[images], TARGET[images], background=b, chunk=chunk, **mine)

    whole = run(None)
    for chunk in (1, 2, 3, 7, 12, 1000):
        part = run(chunk)
        for name in ("maps", "errors", "sum_errors"):
            torch.testing.assert_close(getattr(part, name), getattr(whole, name), rtol=0, atol=1e-12)
    torch.testing.assert_close(run(None, slice(1, 2)).maps, whole.maps[1:2], rtol=0, atol=1e-12)


def test_no_more_images_than_the_chunk_are_in_the_network_however_many_samples_there_are():
    sizes = []

    class Watched(nn.Module):
        def forward(self, z):
            sizes.append(len(z))
            return z.flatten(1)

    b = background(50)
    expected_gradients(Watched(), batch()[:1], TARGET[:1], background=b.float(), chunk=8, **draws(100, 1, 50))
    mean_scores(Watched(), b, CPU, "logit", 8)
    assert max(sizes) == 8 and sum(sizes) == 150


def test_draws_cover_the_background_and_more_continue_fewer():
    chosen, places = draw_samples(2000, 7, np.random.default_rng(1))
    assert set(chosen) == set(range(7)) and np.bincount(chosen).min() > 200
    assert 0 <= places.min() < 0.01 and 0.99 < places.max() < 1
    few = draw_samples(5, 7, np.random.default_rng(1))
    np.testing.assert_array_equal(few[0], chosen[:5])
    np.testing.assert_array_equal(few[1], places[:5])


def test_a_spread_in_parts_is_that_of_all_and_does_not_lose_small_ones_far_from_0():
    values = 1e6 + torch.rand(30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spread = Spread.of(values[0])
    for part in torch.split(values, [1, 7, 2, 20]):
        spread.add(part)
    torch.testing.assert_close(spread.mean, values.mean(0))
    torch.testing.assert_close(spread.error(), values.std(0) / 30**0.5, rtol=1e-6, atol=0)


def test_refusals():
    model, x = convnet(), batch()
    for shape in [(5, 3, 12, 11), (0, 3, 12, 12), (3, 12, 12)]:
        with pytest.raises(ValueError, match="the background has shape"):
            expected_gradients(model, x, TARGET, background=torch.zeros(shape), **draws(4))
    for drawn in (draws(1), draws(4, images=2), {"chosen": draws(4)["chosen"], "places": draws(5)["places"]}):
        with pytest.raises(ValueError, match="samples at least 2"):
            expected_gradients(model, x, TARGET, background=background().float(), **drawn)
