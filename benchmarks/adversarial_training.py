"""Images per second of adversarial training, against a plain fp32 loop around torchattacks' PGD, in one process.

Same network, initial weights, minibatches, attack, learning rates and threads. Rounds alternate, so that a machine that
slows down slows both. Then both are trained to the end and their robust accuracy is compared image by image.

    export PYTHONPATH=workflow/scripts
    python benchmarks/adversarial_training.py                      # on the embedded images
    python benchmarks/adversarial_training.py --data results/cifar10/data --arch resnet18-cifar --steps 10
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchattacks  # type: ignore[import-untyped]
from numpy.typing import NDArray
from torch.nn import functional

from shapelens.artefacts.files import read_json
from shapelens.attacks.pgd import perturb
from shapelens.attacks.spec import Attack
from shapelens.datasets.cues import draw
from shapelens.datasets.spec import Cues
from shapelens.models.classifier import Classifier, prepare
from shapelens.models.devices import configure, describe, pick_device
from shapelens.models.from_elsewhere import initialise
from shapelens.models.spec import Network
from shapelens.seeds import TrainingStream, derive
from shapelens.training.adversarial import pgd_adversary
from shapelens.training.augment import augment, crop_geometry, plan_epoch
from shapelens.training.loop import Images, train, uses_bf16
from shapelens.training.run import open_split
from shapelens.training.schedule import learning_rate
from shapelens.training.spec import Training, TrainingRun

Right = NDArray[np.bool_]
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Bench:
    """What both loops share."""

    run: TrainingRun
    images: dict[str, Images]
    classes: int
    mean: list[float]
    std: list[float]
    device: torch.device
    threads: int

    def model(self, seed: int) -> Classifier:
        return initialise(self.run.network, self.classes, self.mean, self.std, seed).to(self.device)


def ours(bench: Bench, run: TrainingRun, train_set: Images) -> tuple[Classifier, float]:
    """Train with the library's loop, its checkpoint choice cut down to a single image; return model and seconds."""
    configure(bench.threads)
    model = bench.model(run.seed)
    validation = bench.images["validation"]
    one = Images(validation.images[:1], validation.labels[:1])
    with tempfile.TemporaryDirectory() as state:
        start = time.perf_counter()
        train(
            run,
            model,
            train_set,
            one,
            device=bench.device,
            state_dir=Path(state) / "state",
            adversary=pgd_adversary(run, side(bench)),
        )
        wait(bench.device)
        seconds = time.perf_counter() - start
    # The last weights, as the plain loop has them: no checkpoint is chosen here.
    return model, seconds


def plain(bench: Bench, run: TrainingRun, train_set: Images) -> tuple[Classifier, float]:
    """Train as one would with torch and torchattacks alone: fp32, default memory layout, torch.optim.SGD."""
    torch.set_flush_denormal(False)
    torch.use_deterministic_algorithms(False)
    model = bench.model(run.seed)
    settings, attack = run.training, resolved(bench)
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
    )
    pgd = torchattacks.PGD(model, eps=attack.eps, alpha=attack.step, steps=attack.steps, random_start=True)
    padding, corners = crop_geometry(train_set.images.shape[-1], side(bench), settings.pad)
    per_epoch = len(train_set) // settings.batch
    torch.manual_seed(run.seed)
    start = time.perf_counter()
    for step in range(settings.epochs * per_epoch):
        epoch, index = divmod(step, per_epoch)
        if index == 0:
            plan = plan_epoch(len(train_set), corners, settings.flip, derive(run.seed, TrainingStream.EPOCH, epoch))
        part = plan.batch(index, settings.batch)
        order = part.order.to(bench.device)
        stored = augment(train_set.images[order], part, side(bench), padding)
        x, y = prepare(stored, model.input_size).contiguous(), train_set.labels[order]
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(settings, step, per_epoch)
        model.train()
        loss = functional.cross_entropy(model(pgd(x, y)), y)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    wait(bench.device)
    return model, time.perf_counter() - start


def side(bench: Bench) -> int:
    return bench.run.network.input_size or bench.images["validation"].images.shape[-1]


def resolved(bench: Bench) -> Attack:
    assert bench.run.adversary is not None
    return bench.run.adversary.resolved(side(bench))


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def rates(bench: Bench, rounds: int, batches: int) -> dict[str, list[float]]:
    """Return images/s of each round of both loops; a first round of each is not counted."""
    size = batches * bench.run.training.batch
    first = Images(bench.images["train"].images[:size], bench.images["train"].labels[:size])
    run = bench.run.model_copy(update={"training": bench.run.training.model_copy(update={"epochs": 1})})
    found: dict[str, list[float]] = {"ours": [], "plain": []}
    for number in range(rounds + 1):
        for name, loop in (("ours", ours), ("plain", plain)):
            _, seconds = loop(bench, run, first)
            if number:
                found[name].append(size / seconds)
                print(f"round {number}: {name} {size / seconds:.0f} images/s", flush=True)
    return found


def robust(bench: Bench, model: Classifier, steps: int) -> tuple[float, Right]:
    """Return clean accuracy, and for each test image whether the model is right under PGD (fp32, same starts)."""
    test, attack = bench.images["test"], resolved(bench).model_copy(update={"steps": steps, "step": 2 / 255})
    generator = torch.Generator(bench.device).manual_seed(0)
    model.eval()
    clean, right = [], []
    for begin in range(0, len(test), 256):
        x = prepare(test.images[begin : begin + 256], model.input_size)
        y = test.labels[begin : begin + 256]
        attacked = perturb(model, x, y, attack, generator)
        with torch.no_grad():
            clean.append((model(x).argmax(1) == y).cpu())
            right.append((model(attacked).argmax(1) == y).cpu())
    return torch.cat(clean).double().mean().item(), torch.cat(right).numpy()


def paired(ours_right: Right, plain_right: Right, resamples: int = 4000) -> tuple[float, float, float]:
    """Return the mean difference over images and its 95 % bootstrap interval."""
    difference = ours_right.astype(float) - plain_right.astype(float)
    draws = np.random.default_rng(0).integers(0, len(difference), (resamples, len(difference)))
    low, high = np.quantile(difference[draws].mean(1), [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)


Data = tuple[dict[str, Images], int, list[float], list[float]]


def read(folder: Path, device: torch.device) -> Data:
    """Return the splits of a data folder, its number of classes, channel means and standard deviations."""
    manifest = read_json(folder / "manifest.json")
    images = {split: open_split(folder / split, device) for split in ("train", "validation", "test")}
    return images, len(manifest["classes"]), manifest["channel_mean"], manifest["channel_std"]


def drawn(device: torch.device) -> Data:
    """Draw the images of the default study; the same as ``read`` returns."""
    spec = Cues(kind="cues", classes=8, size=32, texture=0.03, noise=0.01)
    images = {}
    for split, count in (("train", 2048), ("validation", 32), ("test", 512)):
        made = draw(spec, count=count, stream=split, mode="both", data_seed=0)
        images[split] = Images(torch.from_numpy(made.images).to(device), torch.from_numpy(made.labels).to(device))
    scaled = images["train"].images.double() / 255
    return images, 8, scaled.mean((0, 2, 3)).tolist(), scaled.std((0, 2, 3)).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a results/DATASET/data folder; default: draws the embedded images")
    parser.add_argument("--arch", default="resnet-small")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--eps", type=float, default=8.0, help="in 1/255")
    parser.add_argument("--steps", type=int, default=4, help="PGD steps in training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=8, help="minibatches per round")
    parser.add_argument("--epochs", type=int, default=8, help="of the accuracy comparison; 0 leaves it out")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()

    configure(options.threads)
    device = pick_device(options.gpu)
    images, classes, mean, std = read(options.data, device) if options.data else drawn(device)
    run = TrainingRun(
        model="benchmark",
        seed=0,
        network=Network(arch=options.arch, width=options.width),
        training=Training(epochs=max(1, options.epochs), batch=options.batch, selection_steps=1),
        adversary=Attack(eps=options.eps / 255, steps=options.steps),
    )
    bench = Bench(run, images, classes, mean, std, device, options.threads)
    bf16 = uses_bf16(run.training.precision, device)
    found = rates(bench, options.rounds, options.batches)
    ratios = [a / b for a, b in zip(found["ours"], found["plain"], strict=True)]
    report: dict[str, Any] = {
        "device": describe(device),
        "precision": "bf16" if bf16 else "fp32",
        "settings": {key: str(value) for key, value in vars(options).items()},
        "images_per_second": {name: statistics.median(values) for name, values in found.items()},
        "ratio": {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)},
        "accuracy": [],
    }
    print(
        f"ours ({report['precision']}) {statistics.median(found['ours']):.0f} images/s, "
        f"plain (fp32) {statistics.median(found['plain']):.0f} images/s: "
        f"{statistics.median(ratios):.2f}× ({min(ratios):.2f} to {max(ratios):.2f})"
    )
    for seed in range(options.seeds if options.epochs else 0):
        seeded = run.model_copy(update={"seed": seed})
        tested = {name: robust(bench, loop(bench, seeded, images["train"])[0], 40) for name, loop in LOOPS.items()}
        difference, low, high = paired(tested["ours"][1], tested["plain"][1])
        row = {name: {"clean": clean, "robust": float(right.mean())} for name, (clean, right) in tested.items()}
        report["accuracy"].append({"seed": seed, **row, "difference": difference, "low": low, "high": high})
        print(
            f"seed {seed}, {options.epochs} epochs: clean {row['ours']['clean']:.3f} against "
            f"{row['plain']['clean']:.3f}, PGD-40 {row['ours']['robust']:.3f} against {row['plain']['robust']:.3f}, "
            f"difference {difference:+.3f} ({low:+.3f} to {high:+.3f})"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "adversarial_training.json").write_text(json.dumps(report, indent=1) + "\n")


LOOPS = {"ours": ours, "plain": plain}

if __name__ == "__main__":
    main()
