"""A faster, equal decoder: upsample-then-convolve as four 2×2 convolutions of the small image.

Nearest-neighbour upsampling makes 2×2 blocks of equal values, so a 3×3 convolution of the large image sees only 2×2
different values. For each of the four pixels of a block that is a 2×2 convolution of the small image, whose weights are
sums of the nine: 4/9 of the multiplications. Reflection padding of the large image by one pixel repeats its edge, so
it is replication padding of the small one.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from shapelens.stylisation.networks import Decoder

# Which of the three weights along a side meet which of two values, for the first and the second pixel of a block.
PLACES = (((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)))


class DoublingConvolution(nn.Module):
    """Upsampling by 2, reflection padding by 1 and a 3×3 convolution in one, equal to them but for rounding."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        sums = torch.tensor(PLACES, dtype=conv.weight.dtype, device=conv.weight.device)
        # (rows of the block, columns, outputs, inputs, 2, 2)
        weight = torch.einsum("ayk,bxl,oikl->aboiyx", sums, sums, conv.weight.detach())
        assert conv.bias is not None
        self.register_buffer("weight", weight.flatten(0, 2).contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", conv.bias.detach().repeat(4))
        self.outputs = conv.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, 2H, 2W)."""
        count, _, height, width = x.shape
        x = functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), self.weight, self.bias)
        large = x.new_empty((count, height, 2, width, 2, self.outputs))
        for a in (0, 1):
            for b in (0, 1):
                first = (2 * a + b) * self.outputs
                part = x[:, first : first + self.outputs, a : a + height, b : b + width]
                large[:, :, a, :, b] = part.permute(0, 2, 3, 1)
        return large.view(count, 2 * height, 2 * width, self.outputs).permute(0, 3, 1, 2)


def quick(decoder: Decoder) -> nn.Sequential:
    """Return a faster decoder of the same output, for use without gradients; unchanged layers share their weights."""
    modules: list[nn.Module] = []
    pending = list(decoder)
    while pending:
        module = pending.pop(0)
        if isinstance(module, nn.UpsamplingNearest2d):
            _, conv = pending.pop(0), pending.pop(0)
            assert isinstance(conv, nn.Conv2d)
            module = DoublingConvolution(conv)
        modules.append(module)
    return nn.Sequential(*modules)
