"""Real runs on the user's own test sets: beside a study's own, and without training images."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from shapelens.models.architectures import build
from shapelens.records.made import read_record
from shapelens.records.verify import verify_inputs

from .conftest import all_results, copy_workflow

CLASSES = ("blue", "green", "red")
STIMULI = """
dataset: {kind: test_only, name: stimuli, size: 16, classes: [blue, green, red]}
models: {ours: {weights: ours.safetensors, arch: resnet-small, width: 4, normalisation: none}}
testsets:
  patch_shuffle: [2]
  own: {flat: {path: flat, transforms: [patch-shuffle-2]}}
  own_conflicts: {mine: {path: mine, pattern: "{shape}{number}-{texture}{number}"}}
statistics: {resamples: 200}
"""


def colour(name, rng):
    """Return 16×16 pixels of a class's colour, with noise."""
    pixels = rng.integers(0, 40, (16, 16, 3))
    pixels[..., 2 - CLASSES.index(name)] += 180
    return pixels.astype(np.uint8)


def sees_only_colour():
    """Return the weights of a network that names the brightest channel: of the two labels it reads the second."""
    network = build("resnet-small", len(CLASSES), 4)
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                module.weight.zero_()
                if name == "conv1" or "downsample" in name:
                    middle = module.kernel_size[0] // 2
                    module.weight[range(3), range(3), middle, middle] = 1
        network.fc.weight.zero_()
        network.fc.bias.zero_()
        network.fc.weight[range(3), [2, 1, 0]] = 1
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the workflow with flat colours, and stimuli of which half has another colour in its middle."""
    found = copy_workflow(tmp_path_factory.mktemp("own") / "a folder")
    rng = np.random.default_rng(0)
    for name in (*CLASSES, "mauve"):
        (found.path / "flat" / name).mkdir(parents=True)
        for n in range(4):
            pixels = colour(name if name in CLASSES else "red", rng)
            Image.fromarray(pixels).save(found.path / "flat" / name / f"{n}.png")
    (found.path / "mine").mkdir()
    for shape in CLASSES:
        for texture in CLASSES:
            for n in range(4):
                Image.fromarray(colour(texture, rng)).save(found.path / "mine" / f"{shape}{n}-{texture}{n}.png")
    save_file(sees_only_colour(), found.path / "ours.safetensors")
    (found.path / "stimuli.yaml").write_text(STIMULI)
    found.snakemake("--cores", "2", config="stimuli.yaml")
    return found


def mean(folder, testset, metric):
    frame = pd.read_csv(folder.path / "results" / "stimuli" / "tables" / "accuracy.csv", dtype={"seed": str})
    rows = frame.query("testset == @testset and metric == @metric and seed == 'mean'")
    assert len(rows) == 1
    return rows.iloc[0]


def manifest(folder, testset):
    return json.loads((folder.path / "results" / "stimuli" / "testsets" / testset / "manifest.json").read_text())


def test_a_model_of_colour_alone_has_a_shape_bias_of_0_on_own_stimuli(folder):
    found = mean(folder, "mine", "shape_bias")
    # 36 stimuli, of which the 12 whose labels agree are no conflict.
    assert (found["value"], found["low"], found["n"]) == (0, 0, 24)
    assert manifest(folder, "mine")["left_out"]["labels_agree"] == 12
    text = (folder.path / "results" / "stimuli" / "tables" / "shape_bias.md").read_text()
    assert "The scale of these sets is not known" in text
    by_class = pd.read_csv(folder.path / "results" / "stimuli" / "tables" / "shape_bias_per_class.csv")
    assert by_class.query("seed == 'mean'")[["class", "value", "n"]].to_numpy().tolist() == [
        [name, 0, 8] for name in CLASSES
    ]


def test_all_own_images_are_measured_and_what_is_left_out_is_named(folder):
    assert mean(folder, "flat", "accuracy")[["value", "n"]].to_list() == [1, 12]
    # Colours stay where patches are shuffled.
    assert mean(folder, "flat+patch-shuffle-2", "accuracy_on_correct")[["value", "n"]].to_list() == [1, 12]
    assert manifest(folder, "flat")["left_out"]["classes_not_in_the_study"] == {"mauve": 4}
    assert manifest(folder, "flat+patch-shuffle-2")["testset"] == "flat+patch-shuffle-2"
    report = (folder.path / "results" / "report.html").read_text()
    assert "4 images left out of classes that the study lacks" in report
    assert "12 images left out whose shape and texture are of one class" in report


def test_every_result_has_a_record_that_holds(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    assert {read_record(path).rule for path in all_results()} >= {"classes", "own_testset", "import_model"}
    verify_inputs(all_results())


def test_nothing_runs_again_but_what_changed(folder):
    assert folder.would_run(config="stimuli.yaml") == []
    (folder.path / "mine" / "red9-blue9.png").write_bytes((folder.path / "mine" / "red1-blue1.png").read_bytes())
    try:
        jobs = folder.would_run(config="stimuli.yaml")
    finally:
        (folder.path / "mine" / "red9-blue9.png").unlink()
    assert "Reading the own test set mine of stimuli" in jobs
    assert "Reading the own test set flat of stimuli" not in jobs
    assert not any("Converting" in job or "Naming" in job for job in jobs)
