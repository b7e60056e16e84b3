"""The input of the last linear layer, straight through its ReLU, and a network that is afterwards as it was."""

import copy

import pytest
import torch
from torch import Tensor, nn

from shapelens.errors import UserError
from shapelens.models.architectures import build
from shapelens.models.classifier import Classifier
from shapelens.models.normalisation import normalisation
from shapelens.models.representation import Representation

torch.set_num_threads(1)


def network(arch: str) -> Classifier:
    network = build(arch, 4, 8, receptive_field=(9,), seed=1)
    return Classifier(network, normalisation("dataset", [0.5] * 3, [0.2] * 3)).eval()


def images(side: int = 16, n: int = 3) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "arch", ["resnet-small", "bagnet", "preact-resnet18", "torchvision:resnet18", "torchvision:mobilenet_v2"]
)
def test_the_last_layer_turns_it_into_the_logits(arch: str) -> None:
    model, x = network(arch), images(32)
    for straight_through in (False, True):
        found = Representation(model, x, straight_through=straight_through)
        with torch.no_grad():
            torch.testing.assert_close(found.head(found(x)), model(x))


class Dead(nn.Module):
    """Two units: one of them below zero on every image."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.first, self.fc = nn.Linear(12, 2), nn.Linear(2, 3)
        self.early, self.relu = nn.ReLU(), nn.ReLU(inplace=inplace)
        with torch.no_grad():
            self.first.bias.copy_(torch.tensor([50.0, -50.0]))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.relu(self.first(self.early(x.flatten(1)))))
        return logits


@pytest.mark.parametrize("inplace", [False, True])
def test_straight_through_wakes_a_silent_unit_and_changes_no_value(inplace: bool) -> None:
    torch.manual_seed(0)
    model, x = Dead(inplace), images(2).requires_grad_()
    plain, through = (Representation(model, x.detach(), straight_through=way) for way in (False, True))
    assert torch.equal(plain(x), through(x)) and not plain(x)[:, 1].any()
    (real,) = torch.autograd.grad(plain(x)[:, 1].sum(), x)
    (passed,) = torch.autograd.grad(through(x)[:, 1].sum(), x)
    assert not real.any()
    # Only the last ReLU is passed by, and its gradient is that of the layer before it.
    torch.testing.assert_close(passed.flatten(1), model.first.weight[1].detach().expand(3, -1))


def test_only_the_last_relu_is_passed_by() -> None:
    torch.manual_seed(0)
    model = Dead()
    x = -images(2)
    x.requires_grad_()
    (found,) = torch.autograd.grad(Representation(model, x.detach(), straight_through=True)(x).sum(), x)
    assert not found.any()  # the first ReLU still blocks


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_afterwards_as_it_was(fails: bool) -> None:
    model = network("resnet-small").train()
    state = copy.deepcopy(model.state_dict())
    attributes = {name: dict(module.__dict__) for name, module in model.named_modules()}
    modes = [module.training for module in model.modules()]
    found = Representation(model, images(), straight_through=True)
    if fails:
        with pytest.raises(RuntimeError):
            found(torch.rand(1, 7, 16, 16))
    else:
        found(images())
    assert [module.training for module in model.modules()] == modes
    for name, module in model.named_modules():
        assert module.__dict__.keys() == attributes[name].keys()
        assert not (module._forward_pre_hooks or module._forward_hooks or module._backward_hooks)
    if fails:
        return
    # Batch norm's statistics: building looked in evaluation mode, the call above was the caller's in training mode.
    model.load_state_dict(state)
    before = copy.deepcopy(model.state_dict())
    Representation(model, images(), straight_through=True)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.fc(x.flatten(1)))
        return logits


class Aside(nn.Module):
    """Changes a tensor in place and reads it by its old name."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = x.flatten(1) - 0.5
        torch.relu_(y)
        logits: Tensor = self.fc(y)
        return logits


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "ends with a convolution"),
        (nn.Flatten(), "no layer that can be seen"),
        (Twice(), "more than once"),
        (Aside(), "straight_through: false"),
    ],
)
def test_networks_without_a_representation_are_refused(model: nn.Module, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Representation(model, images(2), straight_through=True)
