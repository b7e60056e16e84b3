"""What a run is said to cost, against hand-made sums and against files really written."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import yaml

from shapelens.artefacts.files import open_image_set, save_npz
from shapelens.datasets.build import build_dataset
from shapelens.errors import UserError
from shapelens.models.from_elsewhere import initialise
from shapelens.models.store import save_model
from shapelens.planning.plan import Plan
from shapelens.study.config import load
from shapelens.transforms.apply import write_testset

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "rulers": False,
    "dataset": {"kind": "image_folder", "path": ".", "size": 8, "resize": 10, "validation": 0.25},
    "network": {"arch": "resnet-small", "width": 8},
    "training": {"epochs": 2, "batch": 10, "validation_images": 5, "selection_steps": 2, "match_every": 3},
    "models": {"standard": {}, "underfit": {"match": "pgd"}, "pgd": {"adversary": {"eps": "8/255", "steps": 3}}},
    "testsets": {"saturation": [8], "patch_shuffle": [2], "high_pass": {"radius": 2}},
    "robustness": {"norm": "inf", "eps": "8/255", "step": "2/255", "steps": 4, "limit": 6},
    "saliency": {"samples": 7, "images": 3, "testsets": ["clean"]},
}


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("paper_cost", ROOT / "benchmarks" / "paper_cost.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cost = tool()
IMAGES = cost.Images(train=25, validation=8, test=12)


def study(**changes):
    (found,) = load({**TINY, **changes}).values()
    return found


def test_a_convolution_is_counted_as_by_hand():
    conv = torch.nn.Conv2d(3, 4, 3, padding=1, device="meta")
    x = torch.empty(1, 3, 8, 8, device="meta", requires_grad=True)
    forward = 2 * (3 * 3 * 3) * 4 * 64
    assert cost.counted(conv, x, "forward") == forward
    assert cost.counted(conv, x, "gradient") == 2 * forward
    assert cost.counted(conv, x, "training") == 2 * forward  # back to the weights alone: nothing lies before it


def test_the_passes_of_a_training_are_those_of_a_hand_made_sum():
    # 25 images in batches of 10: 2 steps an epoch, 40 images in 2 epochs.
    plain = cost.training_work(study().training_run("standard", 0), IMAGES, 8)
    assert plain == cost.Work(forward=2 * 8, training=40)
    matched = cost.training_work(study().training_run("underfit", 0), IMAGES, 8)
    assert matched == cost.Work(forward=math.ceil(4 / 3) * 8, training=40)
    # 3 steps on each image; after each epoch 8 images clean, 5 attacked by one step and by two, and judged twice.
    attacked = cost.training_work(study().training_run("pgd", 0), IMAGES, 8)
    assert attacked == cost.Work(forward=2 * (8 + 2 * 5), gradient=40 * 3 + 2 * 5 * (1 + 2), training=40)
    released = study(training={**TINY["training"], "recipe": "released"}).training_run("pgd", 0)
    assert cost.training_work(released, IMAGES, 8).gradient == 20 * 3 + 2 * 5 * (1 + 2)


def test_the_passes_of_the_measurements_are_those_of_a_hand_made_sum():
    work = cost.measuring_work(study(), IMAGES)
    assert work["predictions"] == cost.Work(forward=4 * 12)
    assert work["attacks"] == cost.Work(forward=2 * 6, gradient=4 * 6)
    assert work["saliency maps"] == cost.Work(forward=3, gradient=3 * (1 + 7))


def test_hours_are_operations_over_the_rate():
    assert cost.hours(77e12 * 3600 * 2.5, 77) == pytest.approx(2.5)
    # 23 forward passes' worth or so for each of 5 million images, at 1.1 GFLOP each, in 6,954 s.
    assert 15 < cost.published_rate() < 22


def test_the_bytes_of_a_tiny_study_are_those_of_its_files(tmp_path):
    """Every array and every weight is written by the functions of the workflow; only the .npz has names to spare."""
    raw = {**TINY, "dataset": {"kind": "cues", "classes": 3, "size": 16, "train": 25, "validation": 8, "test": 12}}
    (here,) = load(raw).values()
    counts = cost.images_of(here)
    predicted = cost.disk(here, counts)
    manifest = build_dataset(here.dataset, 0, None, tmp_path / "data")
    clean = open_image_set(tmp_path / "data" / "test")
    transforms = here.testsets.transforms()
    for name, transform in transforms.items():
        write_testset(clean, transform, 0, tmp_path / "testsets" / name)
    model = initialise(here.network, 3, manifest["channel_mean"], manifest["channel_std"], 0)
    save_model(model, tmp_path / "model.safetensors")
    save_npz(tmp_path / "maps.npz", {"maps": np.zeros((2, 1, 3, 3, 16, 16), dtype=np.float32)})

    def written(pattern):
        return sum(path.stat().st_size for path in tmp_path.glob(pattern))

    assert predicted["images, uint8"] == written("data/*/*.npy")
    assert predicted["test sets, float32"] == written("testsets/saturation-8/*.npy") + written("testsets/high*/*.npy")
    # The three cue sets have the size of the clean one.
    exact = 4 * written("testsets/clean/*.npy") + written("testsets/patch-shuffle-2/*.npy")
    assert predicted["test sets, uint8"] == exact
    for kind, file in (("weights", "model.safetensors"), ("saliency maps, float32", "maps.npz")):
        size = written(file)
        assert 3 * size * 0.8 < predicted[kind] <= 3 * size, kind  # names and headers are not counted


def test_snapshots_take_as_many_bytes_as_their_weights():
    plain, kept = (study(training={**TINY["training"], "snapshots": epochs}) for epochs in ([], [0, 2]))
    assert cost.weight_bytes(kept, "pgd") == 3 * cost.weight_bytes(plain, "pgd") > 0


def test_jobs_are_those_of_a_dry_run_of_the_paper(monkeypatch, tmp_path):
    """The numbers by rule are those that Snakemake itself states (tests/workflow compares them for the tiny study)."""
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((ROOT / "configs" / "paper.yaml").read_text())
    jobs = cost.count_jobs(Plan(raw, ROOT / "workflow" / "scripts"))
    datasets, seeds, models, rulers = 4, 3, 12, 3
    assert jobs["attacks"] == jobs["saliency maps"] == datasets * seeds * models
    assert jobs["predictions"] == datasets * seeds * (models + rulers)
    assert jobs["trainings with an adversary"] == datasets * seeds * 10
    assert jobs["trainings without an adversary"] == datasets * seeds * (2 + rulers)
    assert jobs["images"] == datasets + 3 + 2  # three archives, encoder and decoder
    assert jobs["test sets"] == datasets * (15 + 2 + 2 + 2 + 7)
    assert jobs.total() == 928


def test_a_folder_of_images_needs_their_number():
    with pytest.raises(UserError, match="--images"):
        cost.images_of(study())
    assert cost.images_of(study(), (100, 40)) == cost.Images(75, 25, 40)


def test_the_tables_of_the_docs_are_those_that_the_code_computes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((ROOT / "configs" / "paper.yaml").read_text())
    plan = Plan(raw, ROOT / "workflow" / "scripts")
    page = (ROOT / "docs" / "explanation" / "scale.md").read_text()
    for table in cost.report(plan, None, 77, round(cost.published_rate(), 1)).split("\n\n"):
        assert table in page, f"docs/explanation/scale.md: run benchmarks/paper_cost.py and write\n{table}"
