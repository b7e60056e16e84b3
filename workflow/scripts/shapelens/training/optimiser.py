"""SGD with momentum, and Adam, by torch's functional forms.

The arithmetic is that of ``torch.optim`` with ``fused=True``. Its classes import torch's compiler at construction,
which costs four CPU seconds per job and does nothing here; the functions do not, and their state is a list of tensors.
"""

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

BETAS = (0.9, 0.99)
EPSILON = 1e-8


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


class Adam:
    """Adam (Kingma & Ba 2015) over a model's parameters, without weight decay.

    ``first``, ``second``, ``steps``: its whole state, by the parameters' names.
    """

    def __init__(self, model: nn.Module) -> None:
        self.parameters = dict(model.named_parameters())
        self.first = {name: torch.zeros_like(parameter) for name, parameter in self.parameters.items()}
        self.second = {name: torch.zeros_like(parameter) for name, parameter in self.parameters.items()}
        self.steps = {name: torch.zeros((), device=p.device) for name, p in self.parameters.items()}

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return the state's groups of tensors; copying into them restores it."""
        return {"first": self.first, "second": self.second, "steps": self.steps}

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Move every parameter by its ``.grad`` at learning rate ``lr``, then drop the gradients."""
        names = list(self.parameters)
        gradients = [self.parameters[name].grad for name in names]
        adam(
            [self.parameters[name] for name in names],
            [gradient for gradient in gradients if gradient is not None],
            [self.first[name] for name in names],
            [self.second[name] for name in names],
            [],
            [self.steps[name] for name in names],
            foreach=False,
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=lr,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )
        for parameter in self.parameters.values():
            parameter.grad = None
