"""What a network makes of an image before its last linear layer: the representation R(x), on which its answer rests."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from shapelens.errors import UserError
from shapelens.models.evaluation_mode import still

RELUS = (torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, functional.relu)
"""Functions that every ReLU goes through, a module's too."""


class Representation(nn.Module):
    """Maps images (N, C, H, W) to the input of a classifier's last linear layer, (N, k).

    ``straight_through``: gradients pass the last ReLU before that layer as if it were not there, so that a unit that is
    silent on an image can be woken; values stay the same (Engstrom et al. 2019, in their released code). A network
    whose last activation is none, or another than ReLU, is used as it is.

    The classifier is hooked within a call only, and is afterwards as it was. The caller holds it still.
    """

    def __init__(self, classifier: nn.Module, example: Tensor, *, straight_through: bool = False) -> None:
        """Look for the last linear layer by one pass of ``example``, an image or a few (N, C, H, W).

        Raises UserError for a network without one.
        """
        super().__init__()
        self.classifier = classifier
        with still(classifier), torch.no_grad():
            self.head = _head_of(classifier, example)
            self.relus = 0
            found = self(example)
            if straight_through:
                with _LastRelu() as counted:
                    self(example)
                self.relus = counted.calls
                if not torch.equal(found.nan_to_num(), self(example).nan_to_num()):
                    raise UserError(
                        "straight_through: this network changes an activation in place and reads it elsewhere, so its "
                        "last ReLU cannot be passed by; set straight_through: false"
                    )

    def forward(self, x: Tensor) -> Tensor:
        """Return R(x), shaped (N, k)."""
        seen: list[Tensor] = []
        handle = self.head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        try:
            with _LastRelu(self.relus) if self.relus else nullcontext():
                self.classifier(x)
        finally:
            handle.remove()
        found = seen[-1].flatten(1)
        return found.float() if found.dtype in (torch.bfloat16, torch.float16) else found


def _head_of(classifier: nn.Module, example: Tensor) -> nn.Module:
    """Return the linear layer that a network ends with: the one that was applied last."""
    applied: list[nn.Module] = []
    kinds = (nn.Linear, nn.Conv2d)
    handles = [
        module.register_forward_hook(lambda module, _inputs, _output: applied.append(module))
        for module in classifier.modules()
        if isinstance(module, kinds)
    ]
    try:
        classifier(example)
    finally:
        for handle in handles:
            handle.remove()
    last = applied[-1] if applied else None
    if not isinstance(last, nn.Linear):
        ends = "a convolution" if last is not None else "no layer that can be seen, such as a compiled program"
        raise UserError(
            f"the network ends with {ends}; its representation is the input of a last linear layer, so it has none. "
            "Leave this model out of the instrument's models"
        )
    if sum(module is last for module in applied) > 1:
        raise UserError(
            "the network applies its last linear layer more than once, so it is not clear what its representation is; "
            "leave this model out of the instrument's models"
        )
    return last


class _LastRelu(TorchFunctionMode):
    """Count the ReLUs of a pass, and let gradients through the one of number ``last``."""

    def __init__(self, last: int = 0) -> None:
        super().__init__()
        self.last, self.calls = last, 0

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in RELUS:
            self.calls += 1
            if self.calls == self.last:
                return _StraightThrough.apply(args[0] if args else kwargs["input"])
        return func(*args, **kwargs)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.relu(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]
