"""A model held still while it is measured."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Hold a model in evaluation mode, its parameters without gradients, in full float32; then restore everything.

    Inside, batch norm uses its running statistics and leaves them alone, no ``.grad`` is written, and CUDA's matrix
    products and convolutions are not rounded to TF32.
    """
    modes = [(module, module.training) for module in model.modules()]
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rounding = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        model.eval()
        for parameter in wanted:
            parameter.requires_grad_(False)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = rounding
        for parameter in wanted:
            parameter.requires_grad_(True)
        for module, mode in modes:
            module.training = mode
