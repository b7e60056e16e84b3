"""The compiled network equals the eager one; compiling takes minutes, so only SHAPELENS_SLOW=1 runs this."""

import os

import pytest
import torch
from torch import nn
from torch.nn import functional

from shapelens.attacks.pgd import perturb
from shapelens.attacks.spec import Attack
from shapelens.models.from_elsewhere import initialise
from shapelens.models.spec import Network

torch.set_num_threads(1)


@pytest.mark.skipif(not os.environ.get("SHAPELENS_SLOW"), reason="compiles for minutes; set SHAPELENS_SLOW=1 to run it")
def test_compiled_equals_eager() -> None:
    model = initialise(Network(width=4), 8, [0.5] * 3, [0.2] * 3, 0)
    compiled = torch.compile(model)
    assert isinstance(compiled, nn.Module)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(4, 3, 16, 16, generator=generator), torch.arange(4)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = []
    for network in (model, compiled):
        model.load_state_dict(state)
        network.train()
        loss = functional.cross_entropy(network(x), y)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        attack = Attack(eps=0.05, steps=4).resolved(16)
        adversarial = perturb(network, x, y, attack, torch.Generator().manual_seed(1))
        assert model.training and network.training
        with torch.no_grad():
            network.eval()
            found.append([loss.detach(), *gradients, network(x), adversarial, *model.buffers()])
    for eager, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, eager, rtol=0, atol=1e-5)
