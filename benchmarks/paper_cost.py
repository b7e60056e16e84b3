"""Jobs, GPU hours and disk of a run, computed from its config before anything is made.

python benchmarks/paper_cost.py                                       # configs/paper.yaml
python benchmarks/paper_cost.py configs/cifar10.yaml --tflops 60
python benchmarks/paper_cost.py --measure                             # what one thread of this machine sustains
"""

import argparse
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import torch
import yaml
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from shapelens.attacks.spatial import LBFGS_ITERATIONS
from shapelens.attacks.spec import Attack, SpatialAttack
from shapelens.datasets.sources import STYLE_NETWORKS
from shapelens.datasets.spec import Cues, ImageFolder, class_count, test_side, train_side
from shapelens.errors import UserError
from shapelens.models.architectures import build
from shapelens.models.classifier import Classifier
from shapelens.models.normalisation import normalisation
from shapelens.models.spec import Finished, Network
from shapelens.planning.names import figures_of, has_choice, has_rulers, saliency_testsets, table_ids
from shapelens.planning.plan import Plan
from shapelens.study.config import Study
from shapelens.training.adversarial import pgd_adversary
from shapelens.training.run import sizes
from shapelens.training.spatial import spatial_adversary
from shapelens.training.spec import TrainingRun
from shapelens.transforms.spec import Clean, PatchShuffle

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED_IMAGES = {"cifar10": (50_000, 10_000), "tinyimagenet": (100_000, 10_000), "caltech256": (30_607, 0)}
"""Training and test images of the official sources; a share of Caltech-256 is held out as the test split."""
PUBLISHED_PGD10 = (100 * 50_000, 10, 6954)
"""Images, steps and seconds of 100 epochs of PGD-10 training (FastAT Benchmark 2026)."""
NPY_HEADER = 128
LABEL = 8
"""Bytes of an int64: labels, textures and styles of a test set."""
PREDICTION_ROW, ROBUST_ROW = 14, 22
"""Bytes of a row's columns without the test set's name; Parquet compresses them, so this is an upper bound."""


@dataclass(frozen=True)
class Images:
    """Images of each split."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Work:
    """Images that go through a network: forward; forward and back to the image; forward and back to the weights."""

    forward: int = 0
    gradient: int = 0
    training: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.forward + other.forward, self.gradient + other.gradient, self.training + other.training)

    def flops(self, network: "Flops") -> float:
        return self.forward * network.forward + self.gradient * network.gradient + self.training * network.training


@dataclass(frozen=True)
class Flops:
    """Floating point operations of one image's pass through a network, a multiply-add as two."""

    forward: float
    gradient: float
    training: float


# Jobs

WORDS = {"robust": "attacks"}
"""What the jobs of an instrument are called where its title does not say it."""


def count_jobs(plan: Plan) -> Counter[str]:
    """Return the jobs of a run from nothing, by what they make."""
    jobs: Counter[str] = Counter({"report and records": 3})  # report, provenance, all
    jobs["images"] = len(archives(plan))
    for study in plan.studies.values():
        stylised = len(study.testsets.stylisations())
        jobs["images"] += 1 + len({model.images for model in study.trained().values()} & {"shape-only"})
        jobs["test sets"] += len(study.testset_names()) + (2 if stylised else 0)
        attacked = {name for name, model in study.trained().items() if model.adversary is not None}
        with_adversary = sum(model in attacked for model, _ in study.runs())
        jobs["trainings without an adversary"] += len(study.runs()) - with_adversary
        jobs["trainings with an adversary"] += with_adversary
        for instrument in study.instruments_asked():
            measured = study.measured_with(instrument)
            jobs[WORDS.get(instrument.name, instrument.title.lower())] += sum(m in measured for m, _ in study.runs())
        tables, figures = table_ids(study), figures_of(study)
        per_class = int("cue_conflict" in figures)
        means = sum(bool(one.metrics) for one in study.instruments_asked())
        gathered = 3 + means + per_class + int("agreement" in tables)  # accuracy, claims, saliency_distance
        gathered += int("saliency_seeds" in tables)  # saliency_agreement
        jobs["tables, figures, claims"] += gathered + len(tables) + len(figures)
        jobs["tables, figures, claims"] += has_rulers(study) + has_choice(study)  # their readings, their choice
    return jobs


def archives(plan: Plan) -> set[str]:
    """Return the files that are fetched."""
    found: set[str] = set()
    for name, study in plan.studies.items():
        at = SimpleNamespace(dataset=name)
        source = plan.files.source(at)
        found |= {source} if isinstance(source, str) and getattr(study.dataset, "path", None) is None else set()
        if study.testsets.stylisations():
            weights = map(str, plan.files.style_weights(at).values())
            fetched = {f"resources/{source.file}" for source in STYLE_NETWORKS.values()}
            found |= set(weights) & fetched
    return found


# Images


def images_of(study: Study, own: tuple[int, int] | None = None) -> Images:
    """Return the images of each split; ``own``: training and test images of an image folder, which nobody publishes.

    The shares of classes round, so a real split may differ by one image a class. Raises UserError where a number of
    images is unknown.
    """
    dataset = study.dataset
    if isinstance(dataset, Cues):
        return Images(dataset.train, dataset.validation, dataset.test)
    if isinstance(dataset, ImageFolder) or dataset.classes is not None:
        if own is None:
            raise UserError(f"study {study.name}: how many images it has is not known here; give --images TRAIN TEST")
        train, test = own
    else:
        train, test = PUBLISHED_IMAGES[dataset.kind]
        if not test:
            test = round(train * getattr(dataset, "test_share", 0))
            train -= test
    train = min(train, dataset.limit_train or train)
    test = min(test, dataset.limit_test or test)
    validation = round(train * dataset.validation)
    return Images(train - validation, validation, test)


# Passes


def training_work(run: TrainingRun, images: Images, side: int) -> Work:
    """Return what a training puts through its network; of a matched model the most, for it may stop at any step."""
    training = run.training
    steps = images.train // training.batch * training.epochs
    work = Work(training=steps * training.batch)
    if run.adversary is None:
        checks = math.ceil(steps / training.match_every) if run.match else training.epochs
        return work + Work(forward=checks * images.validation)
    build_adversary = spatial_adversary if isinstance(run.adversary, SpatialAttack) else pgd_adversary
    adversary = build_adversary(run, side)
    work += attack_work(adversary.training, math.ceil(steps / adversary.every) * training.batch)
    judged = min(images.validation, training.validation_images or images.validation) * training.epochs
    work += Work(forward=training.epochs * images.validation + 2 * judged)
    return work + attack_work(adversary.single, judged) + attack_work(adversary.judge, judged)


def attack_work(attack: Attack | SpatialAttack, images: int) -> Work:
    """Return what an attack on some images puts through the network; AutoAttack counts as PGD, and takes longer."""
    if isinstance(attack, SpatialAttack) and attack.solver == "lbfgs":
        # torch's L-BFGS evaluates up to 1.25 times an iteration.
        return Work(gradient=math.ceil(1.25 * LBFGS_ITERATIONS) * attack.steps * images)
    restarts = attack.restarts if isinstance(attack, Attack) else 1
    last = int(isinstance(attack, SpatialAttack) or restarts > 1)
    return Work(gradient=attack.steps * restarts * images, forward=last * restarts * images)


def measuring_work(study: Study, images: Images) -> dict[str, Work]:
    """Return what predictions, attack and maps of one model put through its network."""
    robustness = study.robustness_resolved()
    attacked = min(images.test, robustness.limit or images.test)
    saliency = study.saliency
    explained = shown_images(study) * len(saliency_testsets(study))
    way = saliency.integrated_gradients
    baselines = way.baselines if way.baseline == "uniform" else 1
    costs = {
        "grad": 1,
        "smoothgrad": saliency.samples,
        "integrated-gradients": way.points * baselines,
        "expected-gradients": saliency.expected_gradients.samples,
    }
    gradients = sum(costs[method] for method in saliency.methods)
    return {
        "predictions": Work(forward=sum(testset_images(study, images).values())),
        "attacks": Work(forward=2 * attacked) + attack_work(robustness, attacked),
        "saliency maps": Work(forward=explained, gradient=explained * gradients),
    }


def shown_images(study: Study) -> int:
    images = study.saliency.images
    return images if isinstance(images, int) else len(images)


def testset_images(study: Study, images: Images) -> dict[str, int]:
    """Return the number of images of each test set."""
    counts = dict.fromkeys(study.testset_names(), images.test)
    for conflict in (study.testsets.cue_conflict, *study.testsets.mixed().values()):
        if conflict is not None and conflict.count is not None:
            counts[conflict.name] = min(conflict.count, images.test)
    return counts


@cache
def network_flops(network: Network, classes: int, side: int) -> Flops:
    """Count the operations of a network's three passes of one image, without computing any."""
    with torch.device("meta"):
        body = build(network.arch, classes, network.width, receptive_field=network.receptive_field[-1:])
    x = torch.empty(1, 3, side, side, device="meta", requires_grad=True)
    return Flops(*(counted(body, x, what) for what in ("forward", "gradient", "training")))


def counted(body: nn.Module, x: torch.Tensor, what: str) -> float:
    body.train(what == "training")
    body.requires_grad_(what == "training")
    with FlopCounterMode(display=False) as counter:
        logits = body(x if what == "gradient" else x.detach())
        if what != "forward":
            logits.sum().backward()
    return float(counter.get_total_flops())


def gpu_work(study: Study, images: Images) -> dict[str, float]:
    """Return the floating point operations of a study's GPU jobs by kind, without the style networks."""
    classes = class_count(study.dataset) or 1000
    totals: Counter[str] = Counter()
    for name, seed in study.runs():
        model = study.models[name]
        if isinstance(model, Finished):
            continue
        run = study.training_run(name, seed)
        side = run.network.input_size or test_side(study.dataset)
        for one in sizes(run):
            flops = network_flops(one.network, classes, side)
            totals[training_kind(run)] += training_work(one, images, side).flops(flops)
        for kind, work in measuring_work(study, images).items():
            if kind == "predictions" or not study.is_calibration(name):
                totals[kind] += work.flops(flops)
    return dict(totals)


def training_kind(run: TrainingRun) -> str:
    return "trainings without an adversary" if run.adversary is None else "trainings with an adversary"


# Disk


def disk(study: Study, images: Images) -> dict[str, int]:
    """Return the bytes of a study's arrays, weights and tables by kind; pictures and small records are not counted."""
    at, stored = test_side(study.dataset), train_side(study.dataset)
    picture = 3 * at * at
    sizes = {"images, uint8": split_bytes(images.train, 3 * stored * stored)}
    sizes["images, uint8"] += split_bytes(images.validation, picture) + split_bytes(images.test, picture)
    cues = {model.images for model in study.trained().values()} & {"shape-only"}
    sizes["images, uint8"] += len(cues) * (split_bytes(images.train, picture) + split_bytes(images.validation, picture))
    if study.testsets.stylisations() and study.stylisation.styles.kind == "drawn":
        sizes["images, uint8"] += study.stylisation.styles.count * picture + NPY_HEADER
    sizes |= {"test sets, uint8": 0, "test sets, float32": 0}
    transforms, stylisations = study.testsets.transforms(), study.testsets.stylisations()
    for name, count in testset_images(study, images).items():
        exact = name not in stylisations and isinstance(transforms.get(name, Clean()), Clean | PatchShuffle)
        arrays = 3 if name in stylisations else 2  # textures and styles beside the labels
        width = 1 if exact else 4
        sizes[f"test sets, {'uint8' if exact else 'float32'}"] += (
            count * (width * picture + arrays * LABEL) + (1 + arrays) * NPY_HEADER
        )
    measured = [name for name, _ in study.runs() if not study.is_calibration(name)]
    sizes["weights"] = sum(weight_bytes(study, name) for name, _ in study.runs())
    sizes["saliency maps, float32"] = sum(map_bytes(study, name) for name in measured)
    rows = sum(testset_images(study, images).values()) * len(study.runs())
    attacked = min(images.test, study.robustness.limit or images.test) * len(measured)
    sizes["per-image tables, at most"] = rows * PREDICTION_ROW + attacked * ROBUST_ROW
    return sizes


def split_bytes(count: int, picture: int) -> int:
    return count * (picture + LABEL) + 2 * NPY_HEADER


def network_of(study: Study, name: str) -> Network | None:
    model = study.models[name]
    return None if isinstance(model, Finished) else model.network or study.network


def weight_bytes(study: Study, name: str) -> int:
    """Return the bytes of a trained model's tensors and snapshots; a finished one's are not known before it is read."""
    network = network_of(study, name)
    if network is None:
        return 0
    snapshots = study.training_run(name, 0).training.snapshots
    return (1 + len(snapshots)) * tensor_bytes(network, class_count(study.dataset) or 1000)


@cache
def tensor_bytes(network: Network, classes: int) -> int:
    with torch.device("meta"):
        body = build(network.arch, classes, network.width, receptive_field=network.receptive_field[-1:])
        blank = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        model = Classifier(body, normalisation(network.normalisation, *blank), input_size=network.input_size)
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def map_bytes(study: Study, name: str) -> int:
    """Return the bytes of a model's maps: float32 (methods, test sets, images, 3, side, side)."""
    model = study.models[name]
    network = network_of(study, name)
    input_size = model.input_size if isinstance(model, Finished) else network.input_size if network else None
    side = input_size or test_side(study.dataset)
    shape = (len(study.saliency.methods), len(saliency_testsets(study)), shown_images(study), 3, side, side)
    return 4 * math.prod(shape)


# What a machine sustains


def sustained(arch: str, side: int, batch: int, device: torch.device, rounds: int) -> tuple[float, float]:
    """Train on random images; return (images/s, TFLOP/s), medians of the rounds, in bf16 where training has it."""
    from shapelens.training.loop import uses_bf16

    network = build(arch, 10).to(device).to(memory_format=torch.channels_last).train()
    x = torch.rand(batch, 3, side, side, device=device).to(memory_format=torch.channels_last)
    bf16 = uses_bf16("auto", device)
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = network(x)
        logits.float().square().mean().backward()
        network.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    rate = batch / statistics.median(seconds[1:])  # the first prepares the kernels
    return rate, rate * network_flops(Network(arch=arch), 10, side).training / 1e12


def published_rate() -> float:
    """Return the TFLOP/s of the published PGD-10 training of ResNet-18 on CIFAR-10; its GPU is not named."""
    images, steps, seconds = PUBLISHED_PGD10
    flops = network_flops(Network(arch="resnet18-cifar"), 10, 32)
    return Work(gradient=steps * images, training=images).flops(flops) / seconds / 1e12


# The tables


def hours(flops: float, tflops: float) -> float:
    return flops / (tflops * 1e12) / 3600


def gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f}" if size < 1e9 else f"{size / 1e9:.1f}"


def by_kind(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(plan: Plan, own: tuple[int, int] | None, tflops: float, slow: float) -> str:
    """Return the tables of jobs, GPU hours and disk as Markdown."""
    counts = {name: images_of(study, own) for name, study in plan.studies.items()}
    flops = {name: gpu_work(study, counts[name]) for name, study in plan.studies.items()}
    sizes = {name: disk(study, counts[name]) for name, study in plan.studies.items()}
    jobs, work, space = count_jobs(plan), by_kind(flops.values()), by_kind(sizes.values())

    def cost(amount: float) -> tuple[str, ...]:
        return f"{amount:.2e}", f"{hours(amount, tflops):.1f}", f"{hours(amount, slow):.1f}"

    rows = [(kind, str(count), *(cost(work[kind]) if kind in work else ("", "", ""))) for kind, count in jobs.items()]
    rows.append(("all", str(jobs.total()), *cost(sum(work.values()))))
    names = list(plan.studies)
    disk_rows = [(kind, *(gigabytes(sizes[name][kind]) for name in names), gigabytes(space[kind])) for kind in space]
    totals = [gigabytes(sum(sizes[name].values())) for name in names]
    disk_rows.append(("all", *totals, gigabytes(sum(space.values()))))
    per_study = [
        (name, str(counts[name].train), str(counts[name].test), *cost(sum(flops[name].values()))) for name in names
    ]
    work_header = ("FLOP", f"GPU hours at {tflops:g} TFLOP/s", f"at {slow:g} TFLOP/s")
    return "\n\n".join(
        [
            table(("kind", "jobs", *work_header), rows),
            table(("study", "training images", "test images", *work_header), per_study),
            table(("GB on disk", *names, "all"), disk_rows),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", type=Path, default=ROOT / "configs" / "paper.yaml")
    parser.add_argument("--tflops", type=float, default=77.0, help="sustained by the GPU (published, one A100)")
    parser.add_argument("--slow", type=float, help="a second rate; by default that of the published PGD-10 training")
    parser.add_argument("--images", type=int, nargs=2, metavar=("TRAIN", "TEST"), help="images of an image folder")
    parser.add_argument("--measure", action="store_true", help="time ResNet-18 on this machine instead")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.measure:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.set_num_threads(1)
        for arch, side, batch in (("resnet18-cifar", 32, 32), ("resnet18", 224, 8)):
            batch *= 1 if device.type == "cpu" else 16
            rate, tflops = sustained(arch, side, batch, device, options.rounds)
            print(f"{arch}, {side} pixels, {device}: {rate:.1f} images/s forward and back, {tflops:.4f} TFLOP/s")
        return 0
    try:
        plan = Plan(yaml.safe_load(options.config.read_text()), ROOT / "workflow" / "scripts")
        slow = options.slow or round(published_rate(), 1)
        text = report(plan, tuple(options.images) if options.images else None, options.tflops, slow)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
