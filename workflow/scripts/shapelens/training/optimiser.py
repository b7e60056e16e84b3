"""Stochastic gradient descent with momentum, by torch's functional form.

The arithmetic is that of ``torch.optim.SGD(fused=True)``. Its class imports torch's compiler at construction, which
costs four CPU seconds per job and does nothing here; the function does not, and its state is a list of tensors.
"""

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd


class Sgd:
    """SGD over a model's parameters; weight decay for weights of two or more dimensions only.

    ``momenta`` holds one buffer per parameter, by its name: together with the weights that is the whole state.
    """

    def __init__(self, model: nn.Module, momentum: float, nesterov: bool, weight_decay: float) -> None:
        self.parameters = dict(model.named_parameters())
        self.momenta = {name: torch.zeros_like(parameter) for name, parameter in self.parameters.items()}
        self.momentum = momentum
        self.nesterov = nesterov and momentum > 0
        self.weight_decay = weight_decay

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Move every parameter along its ``.grad`` at learning rate ``lr``, then drop the gradients."""
        for decayed in (True, False):
            names = [name for name, parameter in self.parameters.items() if (parameter.ndim > 1) == decayed]
            buffers: list[Tensor | None] = [self.momenta[name] for name in names]
            sgd(
                [self.parameters[name] for name in names],
                [_gradient(name, self.parameters[name]) for name in names],
                buffers,
                has_sparse_grad=False,
                foreach=False,
                fused=True,
                weight_decay=self.weight_decay if decayed else 0.0,
                momentum=self.momentum,
                lr=lr,
                dampening=0.0,
                nesterov=self.nesterov,
                maximize=False,
            )
        for parameter in self.parameters.values():
            parameter.grad = None


def _gradient(name: str, parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        raise ValueError(f"{name} took no part in the loss, so it has no gradient")
    return parameter.grad
