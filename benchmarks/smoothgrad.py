"""SmoothGrad beside captum's NoiseTunnel: the same network, images, samples and threads, in one run.

Usage: python benchmarks/smoothgrad.py [--arch resnet-small] [--side 32] [--images 4] [--samples 100] [--threads 1]
Needs captum. Times are medians of alternating repeats: seconds of the processor with one thread, which a busy machine
changes little, else seconds of the clock. Below them: the largest difference of the two methods' maps given the same
noise, relative to the largest value of a map.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch
from captum.attr import NoiseTunnel, Saliency

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from shapelens.attribution.maps import smoothgrad
from shapelens.models.architectures import build
from shapelens.models.for_gradients import fused
from shapelens.models.spec import ARCHITECTURES


def main() -> None:
    """Time both and compare their maps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet-small", choices=ARCHITECTURES)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.allow_tf32 = False

    model = build(args.arch, 10).eval().to(args.device)
    generator = torch.Generator(args.device).manual_seed(0)
    shape = (args.images, 3, args.side, args.side)
    x = torch.rand(shape, generator=generator, device=args.device)
    target = torch.arange(args.images, device=args.device) % 10
    sigma = 0.1
    scale = sigma * (x.amax((1, 2, 3)) - x.amin((1, 2, 3))).view(-1, 1, 1, 1)
    tunnel = NoiseTunnel(Saliency(lambda z: model(z).log_softmax(1)))
    options = {"nt_type": "smoothgrad", "nt_samples": args.samples, "target": target, "abs": False}

    def whole() -> torch.Tensor:
        return tunnel.attribute(x, stdevs=sigma, **options)

    def by_image() -> torch.Tensor:
        parts = [
            tunnel.attribute(x[i : i + 1], stdevs=sigma, **(options | {"target": target[i : i + 1]}))
            for i in range(args.images)
        ]
        return torch.cat(parts)

    def ours() -> torch.Tensor:
        return smoothgrad(fused(model, x[:2]), x, target, samples=args.samples, sigma=sigma, generator=generator)

    rivals = {"captum, all images at once": whole, "captum, image by image": by_image, "shapelens": ours}
    clock = time.process_time if args.threads == 1 and args.device == "cpu" else time.perf_counter
    times = dict(zip(rivals, measure(list(rivals.values()), args.repeats, clock), strict=True))
    title = f"{args.arch}, {args.images} images of {args.side} pixels, {args.samples} samples"
    print(f"{title}, {args.threads} threads, {args.device}, torch {torch.__version__}")
    print(f"{'':28}{'seconds':>9}{'ratio':>7}")
    for name, seconds in times.items():
        print(f"{name:28}{seconds:9.3f}{seconds / times['shapelens']:7.2f}")

    for dtype in (torch.float32, torch.float64):
        # In float32 a rounded input flips a few rectifiers that are almost at zero, and a flip changes the gradient.
        noise = torch.randn((args.samples, *shape), generator=generator, device=args.device, dtype=dtype)
        x, scale, model = x.to(dtype), scale.to(dtype), model.to(dtype)
        with patch.object(NoiseTunnel, "_add_noise_to_input", staticmethod(adding(scale * noise))):
            theirs = tunnel.attribute(x, stdevs=sigma, **options)
        found = smoothgrad(fused(model, x[:2]), x, target, samples=args.samples, sigma=sigma, noise=noise)
        share = ((found - theirs).abs().max() / theirs.abs().max()).item()
        print(f"largest difference given the same noise, {str(dtype)[6:]}: {share:.0e}")


def adding(noise: torch.Tensor) -> Callable[[torch.Tensor, float, int], torch.Tensor]:
    """Return a stand-in for captum's drawing of noise that adds a given one (samples, N, C, H, W)."""
    flat = noise.transpose(0, 1).flatten(0, 1)
    return lambda inputs, _stdev, count: inputs.repeat_interleave(count, 0) + flat


def measure(functions: list[Callable[[], torch.Tensor]], repeats: int, clock: Callable[[], float]) -> list[float]:
    """Return the median seconds of each function; they take turns, so that a busy machine slows all alike."""
    seconds: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 1):
        for function, taken in zip(functions, seconds, strict=True):
            start = clock()
            function().sum().item()  # waits for a GPU
            if turn:
                taken.append(clock() - start)
    return [statistics.median(each) for each in seconds]


if __name__ == "__main__":
    main()
