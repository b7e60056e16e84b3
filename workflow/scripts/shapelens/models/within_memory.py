"""Batches that do not fit the device's memory are computed in parts: one mechanism for everything that is measured."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from shapelens.errors import UserError

logger = logging.getLogger("shapelens")

Result = TypeVar("Result")

LIBRARIES = ("CUDA error: out of memory", "ALLOC_FAILED")
"""Parts of the messages of out-of-memory errors that come from CUDA's libraries, not from torch's allocator."""


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether an error says that the device's memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in LIBRARIES)


class Fitting:
    """How many images go through a network at once: all of a batch, and half as many whenever memory runs out.

    What was found to fit holds for the batches that follow.
    """

    def __init__(self, keys: str = "compute.jobs_per_gpu") -> None:
        """``keys``: the keys of the config to lower where not even one image fits."""
        self.keys = keys
        self.most: int | None = None

    def fit(self, count: int, compute: Callable[[int], Result]) -> Result:
        """Return ``compute(size)``, called anew with a smaller size as often as the device's memory runs out.

        Args:
            count: images of the batch; the first size, unless fewer are known to fit.
            compute: does the whole batch with at most ``size`` images in the network at once. Its result must not
                depend on the size, and what it draws must be drawn for the whole batch, from a seed.

        Raises:
            UserError: not even one image fits.
        """
        size = max(1, count if self.most is None else min(count, self.most))
        while True:
            try:
                return compute(size)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                reason = _first_line(error)
            # Only here: while the error is handled, its traceback keeps the tensors of the failed attempt.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if size <= 1:
                raise UserError(
                    f"not even one image fits the device's memory ({reason}); lower {self.keys}, end what else uses "
                    "the device, or compute on the CPU (compute.gpu: 0)"
                )
            smaller = (size + 1) // 2
            logger.warning(
                "the device's memory does not hold %d images at once (%s): on with %d; results stay the same but for "
                "rounding",
                *(size, reason, smaller),
            )
            size = self.most = smaller


@contextmanager
def within_memory(advice: str) -> Iterator[None]:
    """Turn an error of the device's memory into a UserError that says what to do."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        reason = _first_line(error)
    else:
        return
    raise UserError(f"{advice} (the device's memory is full: {reason})")


def slices(count: int, size: int) -> list[slice]:
    """Return slices of at most ``size`` that cover ``count`` places in order."""
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]


def in_parts(model: nn.Module, size: int, count: int) -> nn.Module:
    """Return the model, or where ``count`` images are more than ``size``, the model taking ``size`` at a time."""
    return model if count <= size else InParts(model, size)


class InParts(nn.Module):
    """A model that takes a batch a part at a time, for models in evaluation mode, which treat each image by itself.

    The gradient with respect to the images has the memory of one part as well: nothing inside is kept, and each part is
    computed again on the way back. An attack through it draws for the whole batch as it would without it.
    """

    def __init__(self, model: nn.Module, size: int) -> None:
        super().__init__()
        self.model, self.size = model, size

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        logits: Tensor = _Parts.apply(x, self.model, self.size)
        return logits


class _Parts(torch.autograd.Function):
    """Activation checkpointing of every part; torch's own imports the compiler, which takes four CPU seconds."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, model: nn.Module, size: int) -> Tensor:
        kind = x.device.type
        ctx.autocast = kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
        ctx.model, ctx.size = model, size
        ctx.save_for_backward(x)
        return torch.cat([model(part) for part in torch.split(x, size)])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        made: list[Tensor] = []
        for part, wanted in zip(torch.split(x, ctx.size), torch.split(gradient, ctx.size), strict=True):
            with torch.enable_grad(), torch.autocast(*ctx.autocast):
                images = part.detach().requires_grad_()
                logits = ctx.model(images)
            made += torch.autograd.grad(logits, images, wanted)
        return torch.cat(made), None, None


def _first_line(error: RuntimeError) -> str:
    return str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
