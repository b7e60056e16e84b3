"""Stylisation: a whole test set of 32 pixels, and images of 224 pixels beside a plain script, in one run.

Usage: python benchmarks/stylise.py [--threads 2] [--images 10000] [--batch 128] [--large 8] [--networks FOLDER]
(a) seconds for 10,000 images of 32×32 with the default trained layout, from file to file, each style encoded once.
(b) images per second at 224×224 with random weights of the published shapes (VGG-19 to relu4_1). The plain script does
what public ones do: image by image it encodes content and style, applies AdaIN, decodes and clamps, in float32. Times
are the medians of alternating repeats. Below them: what bfloat16 changes in the images; with --networks, a folder of
trained networks (results/{dataset}/stylisation), also in theirs, where it says more than with random weights.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from shapelens.datasets.cues import draw
from shapelens.datasets.spec import Cues
from shapelens.models.devices import native_bf16
from shapelens.stylisation.apply import Stylist, stylise_set
from shapelens.stylisation.networks import VGG19, Layout, StyleNet, build
from shapelens.stylisation.run import load_networks
from shapelens.stylisation.spec import StyleNetworks
from shapelens.stylisation.styles import draw_styles

MEAN, STD = [0.5] * 3, [0.25] * 3


def main() -> None:
    """Time both parts and state what bfloat16 changes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--large", type=int, default=8, help="images of 224×224")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", default=None)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    device = torch.device(args.device)
    print(f"{args.threads} threads, {args.device}, torch {torch.__version__}, native bf16: {native_bf16(device)}")
    small_set(args.images, args.batch, device, args.networks)
    large_images(args.large, args.repeats, device)
    if args.networks:
        images = draw(Cues(kind="cues"), count=256, stream="test", mode="both", data_seed=0).images
        show_rounding(load_networks(args.networks, device), images, draw_styles(64, 32, 0), device, args.networks)


def small_set(count: int, batch: int, device: torch.device, folder: str | None) -> None:
    """Stylise ``count`` images of 32×32 from file to file."""
    spec = StyleNetworks()
    networks = load_networks(folder, device) if folder else build(Layout(spec.widths, spec.convolutions), MEAN, STD, 0)
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    order, styles = np.arange(count), draw_styles(64, 32, 0)
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        stylist = Stylist(networks, device)
        stylise_set(stylist, images, order, styles, order % 64, 1.0, Path(scratch, "images.npy"), batch=batch)
        seconds = time.perf_counter() - start
    print(f"{count} images of 32×32, file to file, fp32: {seconds:.1f} s ({count / seconds:.0f} images/s)")


def large_images(count: int, repeats: int, device: torch.device) -> None:
    """Stylise images of 224×224 by a plain script and by ours, with as many styles as images."""
    networks = build(VGG19, MEAN, STD, 0)
    for network in networks:
        network.to(device).requires_grad_(False)
    generator = np.random.default_rng(1)
    images, styles = (generator.integers(0, 256, (count, 3, 224, 224), dtype=np.uint8) for _ in range(2))

    def ours(precision: str) -> Callable[[], object]:
        stylist = Stylist(networks, device, precision)  # type: ignore[arg-type]
        # Style statistics are made once for a whole set, in which each style serves many images.
        known = stylist.statistics(styles, np.arange(count), count)
        return lambda: stylist.stylise(images, known, 1.0)

    rivals = {"plain script": lambda: plain(networks, images, styles, device), "ours, fp32": ours("fp32")}
    if native_bf16(device):
        rivals["ours, bf16"] = ours("bf16")
    times = dict(zip(rivals, measure(list(rivals.values()), repeats), strict=True))
    print(f"\n{count} images of 224×224, VGG-19 to relu4_1 and its decoder, random weights")
    print(f"{'':14}{'images/s':>10}{'ratio':>7}")
    for name, seconds in times.items():
        print(f"{name:14}{count / seconds:10.2f}{times['plain script'] / seconds:7.2f}")
    gap = np.abs(ours("fp32")() - plain(networks, images, styles, device))  # type: ignore[operator]
    print(f"largest difference from the plain script, fp32: {gap.max():.0e}")
    show_rounding(networks, images, styles, device, "random weights")


def plain(networks: StyleNet, images: np.ndarray, styles: np.ndarray, device: torch.device) -> np.ndarray:
    """Stylise image by image, as public scripts do."""
    results = []
    with torch.no_grad():
        for image, style in zip(images, styles, strict=True):
            content, painted = (torch.from_numpy(x)[None].to(device).float() / 255 for x in (image, style))
            features, wanted = networks.encoder(content), networks.encoder(painted)
            centre, spread = (f(features) for f in (mean_of, deviation_of))
            target = (features - centre) / spread * deviation_of(wanted) + mean_of(wanted)
            results.append(networks.decoder(target).clamp(0, 1).cpu().numpy())
    return np.concatenate(results)


def mean_of(features: torch.Tensor) -> torch.Tensor:
    return features.flatten(2).mean(2)[:, :, None, None]


def deviation_of(features: torch.Tensor) -> torch.Tensor:
    # Floored, not offset, so that results can be compared with ours.
    return features.flatten(2).std(2, correction=0).clamp_min(1e-12)[:, :, None, None]


def show_rounding(networks: StyleNet, images: np.ndarray, styles: np.ndarray, device: torch.device, name: str) -> None:
    """Print how far images made in bfloat16 are from those in float32, in grey levels."""
    results = []
    for precision in ("fp32", "bf16"):
        stylist = Stylist(networks, device, precision)  # type: ignore[arg-type]
        known = stylist.statistics(styles, np.arange(len(images)) % len(styles), 32)
        results.append(255 * stylist.stylise(images, known, 1.0))
    gap = np.abs(results[1] - results[0])
    print(
        f"what bf16 changes, in grey levels of 255 ({name}): mean {gap.mean():.2f}, "
        f"99th percentile {np.quantile(gap, 0.99):.1f}, largest {gap.max():.1f}"
    )


def measure(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    """Return the median seconds of each function; they take turns, so that a busy machine slows all alike."""
    seconds: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 1):
        for function, taken in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            function()
            if turn:
                taken.append(time.perf_counter() - start)
    return [statistics.median(each) for each in seconds]


if __name__ == "__main__":
    main()
