"""Peak memory of every kind of job at 10³, 10⁴ and 10⁵ images of 32×32: does it grow with their number?

Usage: python benchmarks/memory.py [--sizes 1000 10000 100000] [--jobs predictions robust …]
Each job is a process of its own with one thread; its inputs are made by another one, which is not measured. Two peaks
are given: what the process holds itself (RssAnon, read every 2 ms), and all of its resident memory (VmHWM), in which
the pages of mapped files count too, as long as the system has no other use for them. "per image" is the growth of the
first from the middle to the largest size, over the images between; per-image tables grow, and nothing else should.
Networks are tiny and steps few: what grows with the number of images does not depend on them. Linux only.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ.get("PYTHONPATH") or str(Path(__file__).parents[1] / "workflow/scripts"))

from memory_inputs import CLASSES, MODELS, SEEDS, SIDE, TESTSETS, make_inputs

POLL_SECONDS = 0.002
Job = Callable[[Path, int], None]


# Jobs: each does what its rule does, by the same functions


def verification(folder: Path, count: int) -> None:
    from shapelens.artefacts.files import verified_set

    verified_set(folder / "testset")


def dataset(spec: dict[str, Any], source: str | None) -> Job:
    def run(folder: Path, count: int) -> None:
        from pydantic import TypeAdapter

        from shapelens.datasets.build import build_dataset
        from shapelens.datasets.spec import Dataset

        sizes = {"test": count, "train": 10, "validation": 10} if spec["kind"] == "cues" else {}
        given = TypeAdapter(Dataset).validate_python(spec | sizes)
        build_dataset(given, 0, folder / source if source else None, folder / "out")

    return run


def unpacked(archive: str) -> Job:
    def run(folder: Path, count: int) -> None:
        from shapelens.datasets.archives import unpack

        unpack(folder / archive, folder / "out")

    return run


def cue_set(folder: Path, count: int) -> None:
    from shapelens.datasets.cues import write_cue_testset
    from shapelens.datasets.spec import Cues

    write_cue_testset(Cues(kind="cues", test=count), "conflict", 0, folder / "out")


def style_images(folder: Path, count: int) -> None:
    from shapelens.stylisation.spec import StyleFolder
    from shapelens.stylisation.styles import write_styles

    write_styles(StyleFolder(kind="folder", path="files"), SIDE, 0, folder / "files", folder / "out")


def transformed(spec: dict[str, Any]) -> Job:
    def run(folder: Path, count: int) -> None:
        from pydantic import TypeAdapter

        from shapelens.artefacts.files import open_image_set
        from shapelens.transforms.apply import write_testset
        from shapelens.transforms.spec import Transform

        write_testset(
            open_image_set(folder / "testset"), TypeAdapter(Transform).validate_python(spec), 0, folder / "out"
        )

    return run


def style_networks(folder: Path, count: int) -> None:
    import torch

    from shapelens.stylisation.run import make_networks
    from shapelens.stylisation.spec import StyleNetworks

    spec = StyleNetworks(
        widths=(2, 2), convolutions=(1,), encoder_epochs=1, encoder_batch=min(count, 500), decoder_steps=2
    )
    where = (folder / "data", folder / "styles", folder / "out", folder / "out")
    make_networks(spec, *where, torch.device("cpu"), 0, code="")


def stylised(kind: str) -> Job:
    def run(folder: Path, count: int) -> None:
        from shapelens.artefacts.files import open_image_set, open_npy
        from shapelens.stylisation.networks import Layout, build
        from shapelens.stylisation.spec import CueConflict, Stylised
        from shapelens.stylisation.testset import write_stylised_testset

        lax = {"min_texture_removed": 0.0, "min_shape_kept": 0.0}
        spec = Stylised(**lax) if kind == "stylised" else CueConflict(**lax)
        styles = open_npy(folder / "styles" / "images.npy") if kind == "stylised" else None
        networks = build(Layout((4, 6), (1,)), [0.5] * 3, [0.25] * 3, 0)
        source = open_image_set(folder / "testset")
        write_stylised_testset(source, styles, networks, spec, 0, folder / "out", device="cpu", batch=256)

    return run


def training(adversarial: bool) -> Job:
    def run(folder: Path, count: int) -> None:
        import torch

        from shapelens.artefacts.files import verified_set
        from shapelens.attacks.spec import Attack
        from shapelens.models.from_elsewhere import initialise
        from shapelens.models.spec import Network
        from shapelens.training.adversarial import pgd_adversary
        from shapelens.training.loop import train
        from shapelens.training.run import open_split
        from shapelens.training.selection import Target
        from shapelens.training.spec import Training, TrainingRun

        settings = Training(match_every=3, match_tolerance=1, validation_images=100, selection_steps=1)
        attack = Attack(eps=0.03, steps=1) if adversarial else None
        given = TrainingRun(
            model="m", seed=0, classes=CLASSES, network=Network(width=8), training=settings, adversary=attack
        )
        cpu = torch.device("cpu")
        splits = [open_split(verified_set(folder / "data" / split), cpu) for split in ("train", "validation")]
        model = initialise(given.network, CLASSES, [0.5] * 3, [0.25] * 3, 0)
        adversary = pgd_adversary(given, SIDE) if adversarial else None
        # A model that is to reach no accuracy at all stops at its first validation: after three steps.
        target = Target("none", 0.0)
        train(given, model, *splits, device=cpu, state_dir=folder / "out", adversary=adversary, target=target)

    return run


def finished_model(folder: Path, count: int) -> None:
    """The adapter itself: it opens the images."""
    import runpy
    from types import SimpleNamespace

    from snakemake.iocontainers import Namedlist

    import shapelens
    from shapelens.models.from_elsewhere import initialise
    from shapelens.models.spec import Network
    from shapelens.models.store import save_model

    network = Network(width=8)
    weights = folder / "out" / "given.safetensors"
    weights.parent.mkdir()
    save_model(initialise(network, CLASSES, [0.5] * 3, [0.25] * 3, 0).network, weights)
    finished = {"weights": str(weights), "arch": network.arch, "width": network.width, "normalisation": "imagenet"}
    spec = {"finished": finished, "content": "weights"}
    scripts = Path(shapelens.__file__).parents[1]
    images = {"manifest": str(folder / "data/manifest.json"), "images": str(folder / "data/train/images.npy")}
    fake = SimpleNamespace(
        input=Namedlist(fromdict=images),
        output=Namedlist(fromdict={"weights": str(folder / "out" / "model.safetensors")}),
        params=Namedlist(fromdict={"spec": json.dumps(spec), "code": ""}),
        wildcards=SimpleNamespace(model="m"),
        resources=SimpleNamespace(gpu=0),
        log=[str(folder / "out" / "log")],
        rule="import_model",
        threads=1,
        scriptdir=str(scripts),
    )
    runpy.run_path(str(scripts / "import_model.py"), init_globals={"snakemake": fake})


def linear_model() -> Any:
    """Return a classifier of one layer, which is quick on any number of images."""
    import torch
    from torch import nn

    from shapelens.models.classifier import Classifier

    torch.manual_seed(0)
    return Classifier(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, CLASSES)), nn.Identity()).eval()


def predictions(folder: Path, count: int) -> None:
    from shapelens.artefacts.parquet import write_parquet
    from shapelens.instruments.predictions.rows import prediction_table

    sets = dict.fromkeys(TESTSETS, folder / "testset")
    table = prediction_table(linear_model(), sets, input_size=None, batch=256, device="cpu")
    write_parquet(folder / "out" / "seed0.parquet", table)


def robust(folder: Path, count: int) -> None:
    from shapelens.artefacts.files import open_image_set
    from shapelens.artefacts.parquet import write_parquet
    from shapelens.instruments.robust.attack import robust_table
    from shapelens.instruments.robust.spec import Robustness

    source, attack = open_image_set(folder / "testset"), Robustness(eps=0.03, steps=2)
    table = robust_table(linear_model(), source, attack, 0, input_size=None, batch=256, device="cpu")
    write_parquet(folder / "out" / "seed0.parquet", table)


def saliency(folder: Path, count: int) -> None:
    from shapelens.artefacts.files import open_image_set, save_npz
    from shapelens.attribution.choose_images import choose_images
    from shapelens.instruments.saliency.maps_of_model import saliency_maps
    from shapelens.instruments.saliency.rows import measure_maps
    from shapelens.instruments.saliency.spec import Saliency

    source, spec = open_image_set(folder / "testset"), Saliency(samples=20)
    arrays = saliency_maps(
        linear_model(), {"clean": source}, choose_images(source.labels, 12, 0), spec, 0, input_size=None, device="cpu"
    )
    save_npz(folder / "out" / "m" / "seed0.npz", arrays)
    measure_maps(arrays, source.images)


def runs(folder: Path, kind: str) -> Any:
    from shapelens.instruments.runs import read_runs

    return read_runs(sorted((folder / "tables" / kind).glob("*/*.parquet")))


def accuracy(folder: Path, count: int) -> None:
    from shapelens.stats.accuracy import accuracy_table
    from shapelens.stats.spec import Statistics

    accuracy_table(
        runs(folder, "predictions"),
        runs(folder, "robust"),
        dataset="study",
        order=list(MODELS),
        statistics=Statistics(),
        data_seed=0,
    )


def shape_bias(folder: Path, count: int) -> None:
    from shapelens.stats.shape_bias import shape_bias_per_class
    from shapelens.stats.spec import Statistics

    shape_bias_per_class(
        runs(folder, "predictions"),
        dataset="study",
        order=list(MODELS),
        classes=[f"class {n}" for n in range(CLASSES)],
        statistics=Statistics(),
        data_seed=0,
    )


def claims(folder: Path, count: int) -> None:
    from shapelens.claims.evidence import Evidence
    from shapelens.claims.judging import judge_all
    from shapelens.instruments.registry import CLAIMS
    from shapelens.stats.spec import Statistics

    evidence = Evidence(
        dataset="study",
        predictions=runs(folder, "predictions"),
        robust=runs(folder, "robust"),
        selection={(m, s): {"match": {"matched": True}} if m == "underfit" else {} for m in MODELS for s in SEEDS},
        families=MODELS,
        eps={"pgd-inf-8": 8 / 255},
        statistics=Statistics(),
        data_seed=0,
        side=SIDE,
    )
    judge_all(evidence, CLAIMS.values())


def figure(folder: Path, count: int) -> None:
    from shapelens.names.display import Display
    from shapelens.names.models import ModelInfo
    from shapelens.plots.pictures import figure6
    from shapelens.plots.save import save_figure
    from shapelens.plots.shown import Shown
    from shapelens.plots.spec import FigureJob

    # The images of every panel are those of one test set: what the job holds is the same.
    class OneSet(Shown):
        def pictures(self, testset: str) -> Any:
            return super().pictures("clean")

        def classes(self) -> list[str]:
            return ["class"] * len(self.indices)

    display = Display()
    job = FigureJob(
        dataset="study",
        data_seed=0,
        grid=tuple(ModelInfo(name=name, family=family) for name, family in MODELS.items()),
        display=display,
        confidence=0.95,
        figure="figure6",
        draw="pictures:figure6",
        testsets=tuple(TESTSETS[:3]),
        images=4,
        sheet_images=4,
    )
    (folder / "clean").symlink_to(folder / "testset")
    rows = sorted((folder / "tables/predictions").glob("*/*.parquet"))
    inputs = {"manifests": [folder / "clean/manifest.json"], "predictions_rows": rows}
    drawn = figure6(OneSet(job, inputs), display)
    (folder / "out").mkdir()
    save_figure(drawn, folder / "out" / "figure6.png", folder / "out" / "figure6.pdf", 100)


FOLDER = {"kind": "image_folder", "path": "files", "size": SIDE}
TORCH: dict[str, Job] = {
    "style networks": style_networks,
    "stylised set": stylised("stylised"),
    "cue conflict": stylised("cue-conflict"),
    "training": training(False),
    "training, adversarial": training(True),
    "finished model": finished_model,
    "predictions, 5 sets": predictions,
    "robust": robust,
    "saliency maps and measures": saliency,
}
"""Jobs that compute with torch, set up as the workflow sets it up."""
JOBS: dict[str, Job] = {
    "sha256 of a test set": verification,
    "dataset, image files": dataset(FOLDER, "files"),
    "dataset, .tar": dataset(FOLDER, "files.tar"),
    "unpacking a .tar": unpacked("files.tar"),
    "unpacking a .zip": unpacked("files.zip"),
    "dataset, CIFAR-10 binary": dataset({"kind": "cifar10"}, "cifar"),
    "dataset, cues": dataset({"kind": "cues"}, None),
    "cue set": cue_set,
    "style images, files": style_images,
    "saturation": transformed({"kind": "saturation", "level": 1024}),
    "patch shuffle": transformed({"kind": "patch-shuffle", "k": 4}),
    "low-pass": transformed({"kind": "low-pass", "radius": 4}),
    **TORCH,
    "accuracy, 6 runs of 5 sets": accuracy,
    "shape bias per class": shape_bias,
    "claims": claims,
    "figure 6": figure,
}


# Measuring


def peak(name: str, folder: Path, count: int) -> dict[str, float]:
    """Run one job in a process of its own; return its peaks in MB, and its seconds."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    command = [sys.executable, __file__, "--child", name, "--folder", str(folder), "--sizes", str(count)]
    shutil.rmtree(folder / "out", ignore_errors=True)
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    private = whole = 0.0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "RssAnon" in fields:
            private = max(private, int(fields["RssAnon"].split()[0]) / 1000)
            whole = max(whole, int(fields["VmHWM"].split()[0]) / 1000)
        time.sleep(POLL_SECONDS)
    assert process.stderr is not None
    errors = process.stderr.read()
    shutil.rmtree(folder / "out", ignore_errors=True)
    if process.returncode:
        sys.exit(f"{name} of {count} images failed:\n{errors}")
    return {"private": private, "resident": whole, "seconds": time.perf_counter() - start}


def report(found: dict[str, dict[int, dict[str, float]]], sizes: list[int]) -> None:
    """Print both peaks by job and size, as a Markdown table."""
    names = [f"{size:,}" for size in sizes]
    print(f"\n| MB held (resident) | {' | '.join(names)} | bytes per image | seconds |")
    print("|---" * (len(sizes) + 3) + "|")
    for job, by_size in found.items():
        cells = [f"{by_size[size]['private']:.0f} ({by_size[size]['resident']:.0f})" for size in sizes]
        growth = "–"
        if len(sizes) > 1:
            grown = (by_size[sizes[-1]]["private"] - by_size[sizes[-2]]["private"]) * 1e6
            growth = f"{max(0, grown) / (sizes[-1] - sizes[-2]):,.0f}"
        print(f"| {job} | {' | '.join(cells)} | {growth} | {by_size[sizes[-1]]['seconds']:.0f} |")


def main() -> None:
    """Measure every job at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        if args.child in TORCH:
            from shapelens.models.devices import configure

            configure(1)
        job = JOBS.get(args.child, make_inputs)
        job(args.folder, args.sizes[0])
        return
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    found: dict[str, dict[int, dict[str, float]]] = {job: {} for job in args.jobs}
    start = time.perf_counter()
    for size in args.sizes:
        with tempfile.TemporaryDirectory(dir=results) as scratch:
            folder = Path(scratch)
            inputs = [sys.executable, __file__, "--child", "inputs", "--folder", scratch, "--sizes", str(size)]
            subprocess.run(inputs, check=True)
            for job in args.jobs:
                found[job][size] = peak(job, folder, size)
                print(
                    f"{size:>7} {job:<28}",
                    *(f"{key} {value:.0f}" for key, value in found[job][size].items()),
                    flush=True,
                )
    report(found, args.sizes)
    print(f"{time.perf_counter() - start:.0f} s in all")
    (results / "memory.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
