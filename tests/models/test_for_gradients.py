"""The copy for gradients: batch norms folded, image convolutions turned round, and neither where it would be wrong."""

import logging

import pytest
import torch
from torch import nn

from shapelens.attribution.maps import grad, smoothgrad
from shapelens.models import for_gradients as module
from shapelens.models.architectures import build
from shapelens.models.classifier import Classifier
from shapelens.models.for_gradients import ImageConv, fits_cache, fused
from shapelens.models.normalisation import normalisation

torch.set_num_threads(1)


def unsettled(network, seed=0):
    """Give every batch norm statistics, scale and shift of its own."""
    generator = torch.Generator().manual_seed(seed)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            with torch.no_grad():
                norm.running_mean.copy_(0.3 * torch.randn(norm.num_features, generator=generator))
                norm.running_var.copy_(0.5 + torch.rand(norm.num_features, generator=generator))
                if norm.affine:
                    norm.weight.copy_(0.7 + 0.6 * torch.rand(norm.num_features, generator=generator))
                    norm.bias.copy_(0.2 * torch.randn(norm.num_features, generator=generator))
    return network.eval()


def classifier(arch, dtype):
    if arch == "resnet18":
        pytest.importorskip("torchvision")
    return Classifier(unsettled(build(arch, 5, 8)), normalisation("imagenet", (), ())).eval().to(dtype)


def small(activation=nn.ReLU):
    """A net whose batch norms can be folded, with a first convolution that can be turned round."""
    torch.manual_seed(0)
    return unsettled(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), activation(),
            nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8, affine=False), activation(),
            nn.Flatten(), nn.Linear(8 * 25, 4),
        )
    )  # fmt: skip


def images(count=2, side=14, dtype=torch.float32):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1), dtype=dtype)


def kinds(model, kind):
    return [m for m in model.modules() if type(m) is kind]


@pytest.mark.parametrize("arch", ["resnet-small", "resnet18-cifar", "resnet18"])
def test_maps_of_the_networks_stay(arch):
    side = 32 if arch == "resnet18" else 16
    target = torch.tensor([1, 4])
    maps = {}
    for dtype in (torch.float64, torch.float32):
        model, x = classifier(arch, dtype), images(side=side, dtype=dtype)
        copy = fused(model, x)
        assert (copy is model) == (arch != "resnet18")  # shapelens' own networks fold as they go
        noise = torch.randn(6, *x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
        for method in (grad, lambda m, x, c, noise=noise: smoothgrad(m, x, c, samples=6, noise=noise)):
            maps.setdefault(dtype, []).append([method(each, x, target).double() for each in (model, copy)])
            assert maps[dtype][-1][1].shape == x.shape
    if arch == "resnet18":
        assert not kinds(copy, nn.BatchNorm2d) and len(kinds(copy, nn.Identity)) == 20
        assert len(kinds(copy, ImageConv)) == 1
    for plain, found in maps[torch.float64]:
        torch.testing.assert_close(found, plain, rtol=0, atol=1e-10 * plain.abs().max().item())
    for plain, found in maps[torch.float32]:
        torch.testing.assert_close(found, plain, rtol=0, atol=1e-5 * plain.abs().max().item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_copy_is_ready_and_the_original_untouched(dtype):
    model, x = small().to(dtype).train(), images(dtype=dtype)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    copy = fused(model, x)
    assert copy is not model and not kinds(copy, nn.BatchNorm2d)
    assert model.training and all(p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for each in (model, copy) for m in each.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(m.training for m in copy.modules())
    assert not any(p.requires_grad for p in copy.parameters())
    assert all(t.dtype == dtype for t in copy.state_dict().values())
    assert copy[3].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(copy(x), model.eval()(x))
    # One image more or less in the batch changes nothing but rounding.
    target = torch.tensor([1, 2])
    torch.testing.assert_close(grad(copy, x[:1], target[:1]), grad(copy, x, target)[:1], rtol=0, atol=1e-6)


class Twice(nn.Module):
    """The convolution's output is used beside its batch norm too."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x):
        y = self.conv(x)
        return self.fc((self.norm(y) + y).mean((2, 3)))


class Again(Twice):
    """The batch norm, or the convolution, is called twice, or something happens in between."""

    def __init__(self, way):
        super().__init__()
        self.way, self.other = way, nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        if self.way == "in place":
            y = self.norm(y.relu_())
        elif self.way == "norm":
            y = self.norm(self.norm(y))
        elif self.way == "conv":
            y = self.norm(y) + self.conv(x.flip(3))
        elif self.way == "two norms":
            y = self.norm(y) + self.other(y)
        return self.fc(y.mean((2, 3)))


def test_an_output_used_twice_is_caught(caplog):
    torch.manual_seed(0)
    model = unsettled(Twice())
    with caplog.at_level(logging.INFO, logger="shapelens"):
        assert fused(model, images()) is model
    assert "changes the logits" in caplog.text


@pytest.mark.parametrize("way", ["in place", "norm", "conv", "two norms"])
def test_what_is_no_pair_is_left_alone(way):
    torch.manual_seed(0)
    model = unsettled(Again(way))
    assert module._foldable(model, images())[0] == []
    assert fused(model, images()) is model


def test_subclasses_are_left_alone():
    class WithActivation(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x).relu()

    model = small()
    model[4] = WithActivation(8).eval()
    copy = fused(model, images())
    assert copy is not model and isinstance(copy[1], nn.Identity) and isinstance(copy[4], WithActivation)


@pytest.mark.parametrize(("dtype", "factor"), [(torch.float32, 100), (torch.float64, 1.001)])
def test_a_wrong_epsilon_is_caught(dtype, factor, monkeypatch):
    model, x = small().to(dtype), images(dtype=dtype)
    right = module.fuse_conv_bn_weights

    def wrong(weight, bias, mean, variance, eps, scale, shift):
        return right(weight, bias, mean, variance, factor * eps, scale, shift)

    assert fused(model, x) is not model
    monkeypatch.setattr(module, "fuse_conv_bn_weights", wrong)
    assert fused(model, x) is model


def test_what_cannot_be_copied_or_compared_is_used_as_it_is():
    model = small()
    model[7].bias = nn.Parameter(torch.full((4,), torch.nan))
    assert fused(model, images()) is model
    model = small()
    model.held = model[0].weight * 2  # not a leaf: torch refuses to copy it
    assert fused(model, images()) is model
    model = small().to(torch.bfloat16)
    assert fused(model, images(dtype=torch.bfloat16)) is model


@pytest.mark.parametrize(
    ("side", "stride", "padding"), [(7, 2, 3), (3, 2, 1), (3, 2, 0), (4, 4, 0), (11, 4, 2), (5, 3, 4), (2, 2, 1)]
)
@pytest.mark.parametrize("size", [(24, 24), (23, 26), (13, 21)])
def test_image_convolution_has_the_same_gradient(side, stride, padding, size):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, side, stride, padding).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    assert ImageConv.suits(conv)
    expected, found = conv(x), ImageConv(conv)(x)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(expected)
    (plain,) = torch.autograd.grad(expected, x, upstream)
    (ours,) = torch.autograd.grad(found, x, upstream)
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-12)
    # Planted: a padding that is off by one in the kernel alone.
    wrong = ImageConv(conv)
    shifted = padding - 1 if padding else 1
    wrong.kernel = module._sub_pixel_kernel(conv.weight.detach(), stride, shifted)
    if wrong.kernel.shape == ImageConv(conv).kernel.shape:
        (other,) = torch.autograd.grad(wrong(x), x, upstream)
        assert (other - plain).abs().max() > 1e-2


def test_which_convolutions_are_turned_round():
    assert ImageConv.suits(nn.Conv2d(3, 64, 7, 2, 3)) and ImageConv.suits(nn.Conv2d(3, 9, 16, 16))
    others = [
        nn.Conv2d(3, 8, 3), nn.Conv2d(16, 8, 3, 2), nn.Conv2d(3, 6, 3, 2, groups=3), nn.Conv2d(3, 8, 3, 2, dilation=2),
        nn.Conv2d(3, 8, (3, 5), 2), nn.Conv2d(3, 8, 3, (2, 1)), nn.Conv2d(3, 8, 1, 2),
        nn.Conv2d(3, 8, 3, 2, padding=1, padding_mode="reflect"), nn.Linear(3, 8), ImageConv(nn.Conv2d(3, 8, 3, 2)),
    ]  # fmt: skip
    assert not any(ImageConv.suits(other) for other in others)


def test_how_many_images_fit():
    assert fits_cache(torch.empty(1, 3, 32, 32)) == 64 and fits_cache(torch.empty(1, 3, 224, 224)) == 8
