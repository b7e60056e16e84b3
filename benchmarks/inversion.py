"""The optimiser of images beside the passes that it needs: the same network, images and threads, in one run.

Usage: python benchmarks/inversion.py [--arch resnet-small] [--width 8] [--side 32] [--images 64] [--steps 20]
Prints images·steps per second of inversion (``instruments.optimised.raised``) and of bare forward and backward passes
through the same representation in the same batches, medians of alternating repeats in seconds of the processor; then
the largest resident memory of the process after so many targets, and after four and sixteen times as many.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from shapelens.attacks.ascent import Ascent
from shapelens.instruments.inversion.invert import invert
from shapelens.models.architectures import build
from shapelens.models.evaluation_mode import frozen
from shapelens.models.for_gradients import fits_cache, fused
from shapelens.models.representation import Representation
from shapelens.models.within_memory import Fitting


def main() -> None:
    """Time both, then look at the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet-small")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    x = torch.rand(args.images, 3, args.side, args.side, generator=torch.Generator().manual_seed(0))
    network = Representation(fused(build(args.arch, 10, args.width).eval(), x[:2]), x[:2], straight_through=True)
    batch = fits_cache(x)
    ascent = Ascent("l2", step=1.0, steps=args.steps)
    with torch.no_grad():
        wanted = network(x.flip(0))

    def ours(images: Tensor, to: Tensor) -> None:
        invert(network, images, to, ascent, device="cpu", batch=batch, fitting=Fitting())

    def bare() -> None:
        with frozen(network):
            for part, to in zip(torch.split(x, batch), torch.split(wanted, batch), strict=True):
                for _ in range(args.steps):
                    images = part.detach().requires_grad_()
                    distance = torch.linalg.vector_norm(network(images) - to, dim=1)
                    torch.autograd.grad(distance.sum(), images)

    found: dict[str, list[float]] = {"optimiser": [], "bare passes": []}
    for _ in range(args.repeats):
        found["optimiser"].append(_seconds(lambda: ours(x, wanted)))
        found["bare passes"].append(_seconds(bare))
    work = args.images * args.steps
    for name, times in found.items():
        print(f"{name:12} {work / statistics.median(times):8.0f} images·steps per CPU second")
    ratio = statistics.median(b / a for a, b in zip(*found.values(), strict=True))
    print(f"the optimiser goes at {100 * ratio:.0f} % of the bare passes' speed")
    for times in (1, 4, 16):
        ours(x.repeat(times, 1, 1, 1), wanted.repeat(times, 1))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{times * args.images:6} targets: peak memory {peak:.0f} MiB")


def _seconds(compute: Callable[[], None]) -> float:
    start = time.process_time()
    compute()
    return time.process_time() - start


if __name__ == "__main__":
    main()
