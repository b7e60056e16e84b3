"""A copy of a classifier for its gradients only, faster than the original and equal to it but for rounding.

In evaluation mode batch norm is a scale and a shift per channel, which the convolution before it can apply itself: that
saves a pass over the activations forwards and another backwards. And on a CPU the gradient with respect to the images,
through a first convolution with a stride, is computed in a form that fits the machine better.
"""

import copy
import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from shapelens.models.evaluation_mode import still

logger = logging.getLogger("shapelens")

ROUNDING = 512
"""Largest difference of the copy's logits, in machine epsilons of the largest logit."""


def fits_cache(x: Tensor) -> int:
    """Return how many images like those of ``x`` (N, C, H, W) fit a CPU's caches on their way through a network."""
    return max(8, 2**16 // (x.shape[-2] * x.shape[-1]))


def fused(classifier: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy of a classifier for its gradients, its batch norms folded into the convolutions where that is safe.

    A BatchNorm2d is folded if its input is the very output of a Conv2d and both ran once on the example; subclasses are
    left alone. On a CPU, convolutions of images with a stride become ``ImageConv``. The copy's logits of the example
    must then equal the classifier's but for rounding. Otherwise, or with nothing to gain, as in shapelens' own
    networks, which fold as they go, the classifier itself is returned.

    Args:
        classifier: maps (B, C, S, S) to logits (B, classes), in float32 or float64; left untouched.
        example: an image or a few (B, C, S, S), on the classifier's device; best real ones.

    Returns:
        The copy, in evaluation mode, on the same device and of the same dtype, its parameters without gradients; laid
        out channels last on a CPU, elsewhere as the classifier is. Or the classifier.
    """
    on_cpu = example.device.type == "cpu"
    with still(classifier), torch.no_grad():
        pairs, expected = _foldable(classifier, example)
        stems = [name for name, module in classifier.named_modules() if on_cpu and ImageConv.suits(module)]
        if not (pairs or stems) or expected.dtype not in (torch.float32, torch.float64):
            return classifier
        try:
            folded = copy.deepcopy(classifier)
        except (RuntimeError, TypeError) as error:
            logger.info("gradients: the model cannot be copied (%s) and is used as it is", error)
            return classifier
        for conv, norm in pairs:
            _fold(folded, conv, norm)
        if on_cpu:
            folded = folded.to(memory_format=torch.channels_last)
        for name in stems:
            _replace(folded, name, ImageConv(folded.get_submodule(name)))
        found = folded(example)
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    # Written so that NaN counts as a difference.
    if not difference <= ROUNDING * torch.finfo(expected.dtype).eps:
        logger.info("gradients: folding batch norms changes the logits by %.0e: the model is used as it is", difference)
        return classifier
    logger.debug("gradients: %d batch norms folded; the logits differ by %.0e", len(pairs), difference)
    return folded.eval()


class ImageConv(nn.Conv2d):
    """A convolution of images with a stride s, whose gradient with respect to them is a convolution without one.

    Each pixel's place within its s×s cell becomes a channel of the result, and pixels are shuffled back at the end
    (the sub-pixel convolution of Shi et al. 2016, section 3.2). With the images' 3 channels alone, a CPU's vector units
    are mostly idle: this is 2 to 5 times as fast. Gradients of gradients and of the weights are not available.
    """

    kernel: Tensor

    def __init__(self, conv: nn.Module) -> None:
        assert isinstance(conv, nn.Conv2d)
        side, stride, padding = _square(conv)
        super().__init__(conv.in_channels, conv.out_channels, side, stride, padding, device="meta")
        self.weight, self.bias = conv.weight, conv.bias
        self.register_buffer("kernel", _sub_pixel_kernel(conv.weight.detach(), stride, padding), persistent=False)

    @staticmethod
    def suits(module: nn.Module) -> bool:
        """Return whether a module is a convolution that this class can take over, and faster."""
        if type(module) is not nn.Conv2d or isinstance(module.padding, str) or module.padding_mode != "zeros":
            return False
        sizes = (module.kernel_size, module.stride, module.padding)
        side, stride, padding = _square(module)
        return (
            all(len(set(size)) == 1 for size in sizes)
            and module.in_channels <= 4
            and (module.groups, module.dilation) == (1, (1, 1))
            and 2 <= stride <= side
            and padding < side
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) as the convolution does."""
        _, stride, padding = _square(self)
        y: Tensor = _ImageConvolution.apply(x, self.weight, self.bias, self.kernel, stride, padding)
        return y


class _ImageConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, kernel: Tensor, stride: int, padding: int
    ) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.size, ctx.stride, ctx.before = x.shape[2:], stride, (weight.shape[-1] - 1 - padding) // stride
        return functional.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (kernel,) = ctx.saved_tensors
        (height, width), stride, before = ctx.size, ctx.stride, ctx.before
        rows, columns = -(-height // stride), -(-width // stride)
        # conv2d pads both ends equally: so both get the larger padding, and the surplus is cut off.
        reach = kernel.shape[-1] - 1 - before
        padding = max(before, rows - gradient.shape[2] + reach, columns - gradient.shape[3] + reach)
        first = padding - before
        cells = functional.conv2d(gradient, kernel, None, 1, padding)
        cells = cells[:, :, first : first + rows, first : first + columns]
        return functional.pixel_shuffle(cells, stride)[:, :, :height, :width], None, None, None, None, None


def _square(conv: nn.Conv2d) -> tuple[int, int, int]:
    """Return side, stride and padding of a convolution that is alike in both directions."""
    padding = conv.padding[0]
    assert isinstance(padding, int)
    return conv.kernel_size[0], conv.stride[0], padding


def _sub_pixel_kernel(weight: Tensor, stride: int, padding: int) -> Tensor:
    """Return the kernel (C·s·s, outputs, K, K) that maps the output's gradient to the cells of the input's.

    Pixel i = s·a + r meets output o = a + t through the weight at u = r + p − s·t.
    """
    outputs, inputs, side, _ = weight.shape
    first, last = -((side - 1 - padding) // stride), (stride - 1 + padding) // stride
    kernel = weight.new_zeros(inputs, stride, stride, outputs, last - first + 1, last - first + 1)
    # By row, then by column: place in the cell r, tap t and the weight's index u.
    taps = [
        (r, t - first, r + padding - stride * t)
        for r in range(stride)
        for t in range(first, last + 1)
        if 0 <= r + padding - stride * t < side
    ]
    for r, t, u in taps:
        for q, z, v in taps:
            kernel[:, r, q, :, t, z] = weight[:, :, u, v].T
    return kernel.flatten(0, 2).contiguous(memory_format=torch.channels_last)


@dataclass
class _Call:
    """The calls of a module: how many, and the tensor that the last one returned or was given, with its version."""

    count: int = 0
    tensor: Tensor | None = None
    version: int = 0


def _foldable(classifier: nn.Module, example: Tensor) -> tuple[list[tuple[str, str]], Tensor]:
    """Return the names of convolutions and the batch norms that follow them, and the logits of the example."""
    # Subclasses may do more than the name says: timm's BatchNormAct2d applies its activation too.
    convs = {name: module for name, module in classifier.named_modules() if type(module) is nn.Conv2d}
    norms = {
        name: module
        for name, module in classifier.named_modules()
        if type(module) is nn.BatchNorm2d and module.running_mean is not None
    }
    made = {name: _Call() for name in convs}
    met = {name: _Call() for name in norms}

    def note(call: _Call, tensor: Tensor) -> None:
        call.count, call.tensor, call.version = call.count + 1, tensor, tensor._version

    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, call=made[name]: note(call, output))
        for name, module in convs.items()
    ] + [
        module.register_forward_pre_hook(lambda _module, inputs, call=met[name]: note(call, inputs[0]))
        for name, module in norms.items()
    ]
    try:
        logits: Tensor = classifier(example)
    finally:
        for handle in handles:
            handle.remove()
    # The tensors were kept alive until here, so their ids are unique; a changed version tells of an in-place operation
    # between the two modules.
    makers = {id(call.tensor): name for name, call in made.items() if call.count == 1}
    pairs = [
        (makers[id(call.tensor)], name)
        for name, call in met.items()
        if call.count == 1 and id(call.tensor) in makers and made[makers[id(call.tensor)]].version == call.version
    ]
    users = [conv for conv, _ in pairs]
    return [(conv, norm) for conv, norm in pairs if users.count(conv) == 1], logits


def _fold(model: nn.Module, conv_name: str, norm_name: str) -> None:
    """Fold one batch norm of the model into its convolution, in place; an identity takes its place."""
    conv, norm = model.get_submodule(conv_name), model.get_submodule(norm_name)
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None and norm.running_var is not None
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    conv.weight.requires_grad_(False)
    conv.bias.requires_grad_(False)
    _replace(model, norm_name, nn.Identity())


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)
