"""Architectures, normalisation and the classifier's boundary."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from shapelens.errors import UserError
from shapelens.models.architectures import BagNet, Block, ResidualNet, build, conv_norm
from shapelens.models.classifier import Classifier, predict, prepare
from shapelens.models.normalisation import IMAGENET_MEAN, Normalise, Standardise, normalisation
from shapelens.models.spec import Network

torch.set_num_threads(1)


@pytest.mark.parametrize(("arch", "parameters"), [("resnet-small", 77_912), ("resnet18-cifar", 11_172_936)])
def test_networks_map_images_to_logits(arch: str, parameters: int) -> None:
    network = build(arch, 8, 16)
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 8)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_stem_keeps_the_resolution() -> None:
    network = build("resnet-small", 8, 16)
    sides = []
    for name in ("conv1", "layer1", "layer2", "layer3"):
        network.get_submodule(name).register_forward_hook(lambda _, __, output: sides.append(output.shape[1:3]))
    network.eval()(torch.rand(1, 3, 32, 32))
    # The stem's convolution is folded with its batch norm, so no hook sees it in evaluation mode.
    assert sides == [(16, 32), (32, 16), (64, 8)]
    assert network.get_submodule("conv1").stride == (1, 1)


def test_unknown_architectures_are_refused() -> None:
    with pytest.raises(UserError, match="resnet-small"):
        build("resnet-tiny", 8)


def test_weights_come_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = build("resnet-small", 4, 4, seed=3).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    second = build("resnet-small", 4, 4, seed=3).state_dict()
    other = build("resnet-small", 4, 4, seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def warm(network: nn.Module) -> nn.Module:
    """Give batch norms statistics and weights that are not the neutral ones."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            for tensor, low in ((module.running_mean, -1.0), (module.running_var, 0.05), (module.weight.data, 0.5)):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + low)
            module.bias.data.copy_(torch.randn(module.bias.shape, generator=generator))
    return network


@pytest.mark.parametrize("training", [False, True])
def test_folding_changes_nothing(training: bool) -> None:
    conv, norm = nn.Conv2d(3, 5, 3, 2, 1, bias=False).double(), warm(nn.BatchNorm2d(5)).double()
    assert isinstance(norm, nn.BatchNorm2d)
    x = torch.rand(4, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    norm.eval()
    expected = norm(conv(x))
    found = conv_norm(x, conv, norm.train(training))
    if training:
        assert not torch.allclose(found, expected)  # the batch's own statistics
        assert int(norm.num_batches_tracked) == 1
        return
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    weights = [x, conv.weight, norm.weight, norm.bias]
    for ours, theirs in zip(
        torch.autograd.grad(found.square().sum(), weights),
        torch.autograd.grad(expected.square().sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    norm.eps = 0.1
    assert not torch.allclose(conv_norm(x, conv, norm), expected)


def test_blocks_add_their_shortcut() -> None:
    block = Block(4, 4, 1).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.rand(2, 4, 5, 5)
    kept = x.clone()
    torch.testing.assert_close(block(x), x)
    assert torch.equal(x, kept)  # in-place additions stay inside the block


def test_normalisation_has_its_closed_forms() -> None:
    x = torch.rand(2, 3, 6, 6)
    by_channel = normalisation("dataset", [0.1, 0.2, 0.3], [0.5, 1.0, 2.0])(x)
    torch.testing.assert_close(by_channel[:, 1], (x[:, 1] - 0.2) / 1.0)
    torch.testing.assert_close(by_channel[:, 2], (x[:, 2] - 0.3) / 2.0)
    assert torch.equal(normalisation("none", [9.0], [9.0])(x), x)
    imagenet = normalisation("imagenet", [9.0] * 3, [9.0] * 3)
    assert isinstance(imagenet, Normalise)
    torch.testing.assert_close(imagenet.mean, torch.tensor(IMAGENET_MEAN))
    with pytest.raises(UserError, match="per-image"):
        normalisation("cifar", [0.0], [1.0])
    with pytest.raises(UserError, match="positive"):
        normalisation("dataset", [0.5] * 3, [0.2, 0.0, 0.2])


def test_standardisation_is_per_image() -> None:
    x = torch.rand(3, 3, 6, 6) * torch.tensor([0.01, 0.5, 1.0]).view(3, 1, 1, 1)
    y = Standardise()(x)
    torch.testing.assert_close(y.mean((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.flatten(1).std(1, correction=0), torch.ones(3))
    torch.testing.assert_close(y[1:2], Standardise()(x[1:2]))
    faint = torch.full((1, 3, 6, 6), 0.5)
    faint[0, 0, 0, 0] += 1e-5
    assert Standardise()(faint).std() < 0.5  # below the floor, noise of storage is not blown up
    grey = torch.full((1, 3, 6, 6), 0.5, requires_grad=True)
    result = Standardise()(grey)
    (gradient,) = torch.autograd.grad(result[0, 0, 0, 0], grey)
    assert not result.any() and gradient.isfinite().all()


def test_class_indices_select_outputs() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    x = torch.rand(2, 3, 2, 2)
    model = Classifier(network, nn.Identity(), class_indices=[4, 0])
    assert torch.equal(model(x), network(x)[:, [4, 0]])
    assert "class_indices" not in model.state_dict()


def test_prepare_scales_and_resizes() -> None:
    stored = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(prepare(stored, None), stored.float() / 255)
    assert torch.equal(prepare(stored, 8), stored.float() / 255)
    beyond = torch.randn(2, 3, 8, 8)
    assert torch.equal(prepare(beyond, None), beyond)  # Fourier sets keep their range
    for side in (5, 16):
        resized = prepare(stored, side)
        assert resized.shape == (2, 3, side, side) and resized.dtype == torch.float32
        assert stored.min() / 255 - 1e-6 <= resized.min() and resized.max() <= stored.max() / 255 + 1e-6
        torch.testing.assert_close(resized[:1], prepare(stored[:1], side))
    with pytest.raises(UserError, match="N, C, H, W"):
        prepare(stored[0], 5)


def test_the_resize_is_antialiased() -> None:
    checks = (torch.arange(32)[:, None] // 1 + torch.arange(32)) % 2
    stored = (checks * 255).to(torch.uint8).expand(1, 3, 32, 32)

    def spread(small: Tensor) -> float:
        return float((small - 0.5).abs().max())

    assert spread(prepare(stored, 11)[..., 1:-1, 1:-1]) < 0.1
    aliased = torch.nn.functional.interpolate(stored.float() / 255, (11, 11), mode="bilinear")
    assert spread(aliased[..., 1:-1, 1:-1]) > 0.1


def test_predict_depends_on_neither_batch_nor_mode() -> None:
    model = Classifier(warm(ResidualNet(3, (4, 8), 1)), nn.Identity(), input_size=12).train()
    stored = torch.randint(0, 256, (7, 3, 16, 16), dtype=torch.uint8)
    whole = predict(model, stored)
    assert model.training and whole.shape == (7, 3) and not whole.requires_grad
    torch.testing.assert_close(predict(model, stored, batch=3), whole)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [4, 8])
def test_a_strided_shortcut_is_the_same_convolution_in_either_form(channels: int, training: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(channels, 2 * channels, 1, 2, bias=False, dtype=torch.float64)
    norm = nn.BatchNorm2d(2 * channels, dtype=torch.float64).train(training)
    x = torch.randn(3, channels, 9, 9, generator=generator, dtype=torch.float64)
    found = torch.autograd.grad(conv_norm(x, conv, norm).square().sum(), conv.weight)
    expected = torch.autograd.grad(norm(functional.conv2d(x, conv.weight, None, 2)).square().sum(), conv.weight)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_narrow_network_survives_its_training_on_any_cpu() -> None:
    # On a CPU without AVX-512 the plain form of the shortcut corrupts memory here: the process dies.
    program = """
import torch
from shapelens.models.architectures import build
torch.set_num_threads(1)
network = build("resnet-small", 3, 4).to(memory_format=torch.channels_last)
x = torch.rand(32, 3, 16, 16).contiguous(memory_format=torch.channels_last)
for _ in range(60):
    network(x).square().sum().backward()
"""
    library = str(Path(__file__).parents[2] / "workflow" / "scripts")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": library}
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("side", [1, 3, 5, 9])
def test_a_bagnet_is_the_mean_of_what_it_says_of_every_patch(side: int) -> None:
    """The definition of Brendel and Bethge (2019): so nothing further apart than a patch is ever compared."""
    network = warm(build("bagnet", 3, 4, receptive_field=(side,))).double().eval()
    image = torch.rand(1, 3, 14, 14, dtype=torch.float64)
    places = range(14 - side + 1)
    patches = torch.cat([image[:, :, y : y + side, x : x + side] for y in places for x in places])
    assert isinstance(network, BagNet)
    each = network.fc(network.layers(patches).mean((2, 3)))
    assert torch.allclose(network(image), each.mean(0, keepdim=True), atol=1e-12)


def test_a_bagnet_of_one_pixel_sees_colours_and_no_places() -> None:
    network = warm(build("bagnet", 3, 4, receptive_field=(1,))).double().eval()
    image = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    order = torch.randperm(64)
    moved = image.flatten(2)[:, :, order].view(2, 3, 8, 8)
    assert torch.allclose(network(image), network(moved), atol=1e-12)
    assert not torch.allclose(network(image), network(image.flip(1)), atol=1e-3)


def test_a_patch_of_nearly_the_whole_image_is_refused() -> None:
    network = build("bagnet", 3, 4, receptive_field=(9,))
    assert network(torch.rand(2, 3, 12, 12)).shape == (2, 3)
    with pytest.raises(UserError, match="allowed: up to 8"):
        network(torch.rand(1, 3, 11, 11))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"arch": "bagnet"}, "a BagNet needs it"),
        ({"receptive_field": 5}, "no other network has it"),
        ({"arch": "bagnet", "receptive_field": [5, 6]}, "6 is even"),
        ({"arch": "bagnet", "receptive_field": 5, "weights": "a.pth"}, "random weights"),
    ],
)
def test_receptive_fields_that_make_no_bagnet_are_refused(keys: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Network.model_validate(keys)
