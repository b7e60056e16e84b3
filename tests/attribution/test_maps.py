"""Grad and SmoothGrad against closed forms, and against captum (RECIPES §9)."""

import math

import pytest
import torch
from torch import nn

from shapelens.attribution.maps import default_chunk, grad, smoothgrad

torch.set_num_threads(1)
SHAPE = (1, 2, 3)
D = math.prod(SHAPE)
N = 20_000


class Scores(nn.Module):
    """A raw function as the first logit of two, so that it can be explained with score="logit"."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        value = self.function(x.flatten(1))
        return torch.stack([value, torch.zeros_like(value)], 1)


def vector(seed=0):
    return torch.randn(D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def image():
    """Values at both ends of [0, 1], so that clipping the noisy image would show."""
    return torch.tensor([0, 1, 0.2, 1, 0.7, 0], dtype=torch.float64).view(1, *SHAPE)


def convnet(dtype=torch.float32):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.Softplus(),
        nn.Flatten(), nn.Linear(8 * 5 * 5, 4),
    )  # fmt: skip
    network[1].running_mean.uniform_(-0.2, 0.2)
    return network.to(dtype)


def batch(count=3, dtype=torch.float32):
    return torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(1), dtype=dtype) * 0.5


TARGET = torch.tensor([0, 3, 1])
FIRST = torch.zeros(1, dtype=torch.int64)


@pytest.fixture
def linear():
    layer = nn.Linear(D, 4).double()
    return nn.Sequential(nn.Flatten(), layer), layer.weight.detach()


def test_grad_of_a_linear_model(linear):
    model, w = linear
    x = torch.rand(3, *SHAPE, dtype=torch.float64)
    torch.testing.assert_close(grad(model, x, TARGET, score="logit"), w[TARGET].view(3, *SHAPE))
    p = model(x).softmax(1).detach()
    torch.testing.assert_close(grad(model, x, TARGET), (w[TARGET] - p @ w).view(3, *SHAPE))
    found = grad(model, x, TARGET, score="probability")
    torch.testing.assert_close(found, (p[range(3), TARGET, None] * (w[TARGET] - p @ w)).view(3, *SHAPE))


def test_grad_equals_central_differences():
    model, x, h = convnet(torch.float64).eval(), batch(dtype=torch.float64), 1e-6
    found = grad(model, x, TARGET)

    def score(z):
        with torch.no_grad():
            return model(z).log_softmax(1)[torch.arange(3), TARGET]

    for place in [(0, 0, 0), (1, 5, 7), (2, 11, 3)]:
        step = torch.zeros_like(x)
        step[:, *place] = h
        expected = (score(x + step) - score(x - step)) / (2 * h)
        torch.testing.assert_close(found[:, *place], expected, rtol=1e-5, atol=1e-8)


def oracle(name, x, w, s):
    """Return the function and the closed form of its smoothed gradient."""
    length, at = w.norm(), (x.flatten() @ w)
    if name == "linear":
        return (lambda z: z @ w), w
    if name == "sin":
        return (lambda z: torch.sin(z @ w)), w * torch.cos(at) * torch.exp(-(s**2) * length**2 / 2)
    b = 0.6 - at  # off the kink, where clipping shows
    phi = torch.distributions.Normal(0, 1).cdf(torch.tensor(0.6, dtype=torch.float64) / (s * length))
    return (lambda z: torch.relu(z @ w + b)), w * phi


def plain(function, x, noise, s, *, clip=False, absolute=False):
    """A transcription of the definition, which can be made wrong in the two usual ways; mean and standard error."""
    z = x + s * noise.view(len(noise), *SHAPE)
    z = (z.clamp(0, 1) if clip else z).requires_grad_()
    (g,) = torch.autograd.grad(function(z.flatten(1)).sum(), z)
    g = (g.abs() if absolute else g).flatten(1)
    return g.mean(0), g.std(0) / len(g) ** 0.5


@pytest.mark.parametrize("name", ["linear", "sin", "relu"])
def test_smoothgrad_oracles(name):
    x, w, sigma = image(), vector(), 0.4
    function, expected = oracle(name, x, w, sigma)  # the image's range is 1
    noise = torch.randn(N, 1, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = smoothgrad(Scores(function), x, FIRST, samples=N, sigma=sigma, noise=noise, score="logit").flatten()
    mean, error = plain(function, x, noise, sigma)
    torch.testing.assert_close(found, mean)
    assert ((found - expected).abs() <= 5 * error + 1e-12).all()
    drawn = smoothgrad(
        Scores(function), x, FIRST, samples=N, sigma=sigma, generator=torch.Generator().manual_seed(3), score="logit"
    )
    assert ((drawn.flatten() - expected).abs() <= 5 * error + 1e-12).all()
    # Planted faults: |gradients| averaged; for curved functions also the noisy image clipped to [0, 1].
    wrong, _ = plain(function, x, noise, sigma, absolute=True)
    assert ((wrong - expected).abs() > 5 * error + 1e-12).any()
    if name != "linear":
        wrong, _ = plain(function, x, noise, sigma, clip=True)
        assert ((wrong - expected).abs() > 5 * error).any()


def test_noise_follows_each_images_own_range():
    """sin at two contrasts: the noise shrinks with the range, so the damping differs."""
    w, sigma = vector(), 0.3
    x = torch.cat([image(), image() * 0.25])
    model = Scores(lambda z: torch.sin(z @ w))
    noise = torch.randn(N, 1, *SHAPE, generator=torch.Generator().manual_seed(4), dtype=torch.float64).repeat(
        1, 2, 1, 1, 1
    )
    found = smoothgrad(model, x, FIRST.repeat(2), samples=N, sigma=sigma, noise=noise, score="logit")
    for i, spread in enumerate((1.0, 0.25)):
        mean, _ = plain(model.function, x[i : i + 1], noise[:, 0], sigma * spread)
        torch.testing.assert_close(found[i].flatten(), mean)


def test_one_sample_without_noise_is_grad():
    model, x = convnet(), batch()
    generator = torch.Generator().manual_seed(0)
    torch.testing.assert_close(
        smoothgrad(model, x, TARGET, samples=1, sigma=0, generator=generator), grad(model, x, TARGET)
    )


def test_chunks_and_company_change_nothing():
    model, x = convnet(torch.float64), batch(dtype=torch.float64)

    def run(chunk):
        generator = torch.Generator().manual_seed(7)
        return smoothgrad(model, x, TARGET, samples=10, generator=generator, chunk=chunk)

    expected = run(None)
    for chunk in (1, 2, 3, 7, 12, 1000):
        torch.testing.assert_close(run(chunk), expected, rtol=0, atol=1e-12)
    noise = torch.randn(10, *x.shape, dtype=torch.float64)
    together = smoothgrad(model, x, TARGET, samples=10, noise=noise)
    for i in range(3):
        one = slice(i, i + 1)
        alone = smoothgrad(model, x[one], TARGET[one], samples=10, noise=noise[:, one])
        torch.testing.assert_close(alone, together[one], rtol=0, atol=1e-12)


def test_equals_captum_given_the_same_noise(monkeypatch):
    attr = pytest.importorskip("captum.attr")
    model, x, n, sigma = convnet().eval(), batch(), 12, 0.15
    noise = torch.randn(n, *x.shape, generator=torch.Generator().manual_seed(5))
    scale = sigma * (x.amax((1, 2, 3)) - x.amin((1, 2, 3))).view(-1, 1, 1, 1)

    def given(inputs, _stdev, count):
        assert count == n
        return inputs.repeat_interleave(n, 0) + (scale * noise).transpose(0, 1).flatten(0, 1)

    monkeypatch.setattr(attr.NoiseTunnel, "_add_noise_to_input", staticmethod(given))
    tunnel = attr.NoiseTunnel(attr.Saliency(lambda z: model(z).log_softmax(1)))
    theirs = tunnel.attribute(x, nt_type="smoothgrad", nt_samples=n, stdevs=1.0, target=TARGET, abs=False)
    ours = smoothgrad(model, x, TARGET, samples=n, sigma=sigma, noise=noise)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())
    # abs=True is captum's default and averages magnitudes: it must not pass for SmoothGrad.
    unsigned = tunnel.attribute(x, nt_type="smoothgrad", nt_samples=n, stdevs=1.0, target=TARGET)
    assert (ours - unsigned).abs().max() > 1e-2 * theirs.abs().max()


def test_the_model_is_left_as_it_was():
    model, x = convnet().train(), batch()
    model[3].weight.requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    copy = x.clone()
    for _ in range(2):
        grad(model, x, TARGET)
        smoothgrad(model, x, TARGET, samples=5, generator=torch.Generator().manual_seed(0))
    assert model.training and model[1].training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert [p.requires_grad for p in model[3].parameters()] == [False, True]
    assert torch.equal(x, copy) and not x.requires_grad
    with torch.no_grad():  # a caller without gradients gets maps all the same
        assert grad(model, x, TARGET).abs().sum() > 0


def test_refusals_and_chunk():
    model, x = convnet(), batch()
    with pytest.raises(ValueError, match="either"):
        smoothgrad(model, x, TARGET)
    with pytest.raises(ValueError, match="shape"):
        smoothgrad(model, x, TARGET, samples=4, noise=torch.zeros(5, *x.shape))
    assert default_chunk(torch.empty(1, 3, 32, 32)) == 64
    assert default_chunk(torch.empty(1, 3, 224, 224)) == 8
