"""Adam by torch's functional form: like ``training.optimiser.Sgd``, because the class is slow to import."""

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

BETAS = (0.9, 0.99)
EPSILON = 1e-8


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
