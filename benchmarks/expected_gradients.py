"""Expected gradients of several models beside a plain loop and, where it is installed, beside shap, in one run.

Usage: python benchmarks/expected_gradients.py [--arch resnet-small] [--side 32] [--images 24] [--models 1]
[--samples 200] [--background 176] [--threads 1]
All get the same networks, images, background, samples and threads. The plain loop does what shap's GradientExplainer
does: image by image, 50 samples at a time through the network as it is, all samples of an image kept. Times are medians
of alternating repeats: seconds of the processor with one thread, which a busy machine changes little, else seconds of
the clock. Below them: the largest difference of the loop's maps from ours given the same draws, relative to the largest
value of a map.
"""

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from shapelens.attribution.expected_gradients import draw_samples, expected_gradients
from shapelens.models.architectures import build
from shapelens.models.for_gradients import fused
from shapelens.models.spec import ARCHITECTURES

BATCH = 50
"""Samples per pass of shap's GradientExplainer."""


def main() -> None:
    """Time all and compare their maps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet-small", choices=ARCHITECTURES)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--models", type=int, default=1)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--background", type=int, default=176)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.allow_tf32 = False

    models = [build(args.arch, 10).eval().to(args.device) for _ in range(args.models)]
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(args.images, 3, args.side, args.side, generator=generator).to(args.device)
    background = torch.rand(args.background, 3, args.side, args.side, generator=generator)
    target = torch.arange(args.images, device=args.device) % 10
    draws = [draw_samples(args.samples, args.background, np.random.default_rng(i)) for i in range(args.images)]

    def ours() -> Tensor:
        return torch.stack([explained(fused(model, x[:2]), x, target, background, draws) for model in models])

    def plain() -> Tensor:
        return torch.stack([looped(model, x, target, background.to(x), draws) for model in models])

    def shaps() -> Tensor:
        return torch.stack([by_shap(model, x, target, background.to(x), args.samples) for model in models])

    rivals: dict[str, Callable[[], Tensor]] = {"shapelens": ours, "plain loop, like shap's": plain}
    if importlib.util.find_spec("shap") is not None:
        rivals["shap, GradientExplainer"] = shaps
    clock = time.process_time if args.threads == 1 and args.device == "cpu" else time.perf_counter
    times = dict(zip(rivals, measure(list(rivals.values()), args.repeats, clock), strict=True))
    title = f"{args.arch}, {args.models} models, {args.images} images of {args.side} pixels, {args.samples} samples"
    print(f"{title}, {args.threads} threads, {args.device}, torch {torch.__version__}")
    print(f"{'':28}{'seconds':>9}{'ratio':>7}")
    for name, seconds in times.items():
        print(f"{name:28}{seconds:9.3f}{seconds / times['shapelens']:7.2f}")
    if "shap, GradientExplainer" not in rivals:
        print("shap is not installed: the ratio is to the plain loop alone")
    for dtype in (torch.float32, torch.float64):
        # In float32 a rounded input flips a few rectifiers that are almost at zero, and a flip changes the gradient.
        x, background = x.to(dtype), background.to(dtype)
        model = models[0].to(dtype)
        theirs = looped(model, x[:1], target[:1], background.to(x), draws[:1])
        found = explained(fused(model, x[:1]), x[:1], target[:1], background, draws[:1])
        share = ((found - theirs).abs().max() / theirs.abs().max()).item()
        print(f"largest difference given the same draws, {str(dtype)[6:]}: {share:.0e}")


def explained(
    model: nn.Module, x: Tensor, target: Tensor, background: Tensor, draws: list[tuple[np.ndarray, np.ndarray]]
) -> Tensor:
    """Explain image by image, as the instrument does."""
    maps = []
    for i, (chosen, places) in enumerate(draws):
        drawn = {"chosen": torch.from_numpy(chosen)[:, None], "places": torch.from_numpy(places)[:, None]}
        maps.append(expected_gradients(model, x[i : i + 1], target[i : i + 1], background=background, **drawn).maps)
    return torch.cat(maps)


def looped(
    model: nn.Module, x: Tensor, target: Tensor, background: Tensor, draws: list[tuple[np.ndarray, np.ndarray]]
) -> Tensor:
    """Explain image by image, all samples of one kept and 50 at a time in the network, as it is."""
    maps = []
    for i, (chosen, places) in enumerate(draws):
        starts, a = background[torch.from_numpy(chosen).to(x.device)], torch.from_numpy(places).to(x)
        samples = a.view(-1, 1, 1, 1) * x[i] + (1 - a.view(-1, 1, 1, 1)) * starts
        gradients = []
        for part in torch.split(samples, BATCH):
            part = part.clone().requires_grad_()
            logits = model(part)[:, target[i]]
            gradients.append(torch.autograd.grad(logits.sum(), part)[0])
        maps.append((torch.cat(gradients) * (x[i] - starts)).mean(0))
    return torch.stack(maps)


def by_shap(model: nn.Module, x: Tensor, target: Tensor, background: Tensor, samples: int) -> Tensor:
    """Explain by shap with draws of its own, the class that each model ranks first, as it costs the same."""
    import shap

    del target
    values, _ = shap.GradientExplainer(model, background, batch_size=BATCH).shap_values(
        x, nsamples=samples, ranked_outputs=1, rseed=0
    )
    return torch.from_numpy(np.asarray(values)[..., 0])


def measure(functions: list[Callable[[], Tensor]], repeats: int, clock: Callable[[], float]) -> list[float]:
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
