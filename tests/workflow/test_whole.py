"""rule all asks for every file that the study's jobs make, and for no job that the study does not need."""

import subprocess
import sys

import pytest
import yaml

from .conftest import ROOT, copy_workflow

STUDIES = {
    "tiny.yaml": "",
    "config.yaml": "",
    "snapshots.yaml": """
training: {epochs: 2, batch: 8, snapshots: [0, 2], validation_images: 8}
dataset: {kind: image_folder, name: photos, path: photographs, size: 16}
models: {standard: {}, pgd-inf-8: {adversary: {eps: 8/255}, training: {epochs: 2, batch: 8, validation_images: 8}}}
testsets: {patch_shuffle: [2], own: {mine: {path: photographs, transforms: [patch-shuffle-2]}}}
""",
    "fetched.yaml": """
dataset: {kind: cifar10}
models: {standard: {}, underfit: {match: strongest}, pgd-inf-8: {adversary: {eps: 8/255}}}
seeds: [0, 1]
""",
    "own.yaml": """
dataset: {kind: test_only, name: mine, size: 16, classes: [dark, light]}
models: {ours: {weights: a.safetensors, arch: resnet-small, width: 4, normalisation: none}}
testsets: {own: {flat: {path: photographs}}}
""",
}
"""Studies with one of everything that makes files of its own."""


def planned(folder, *targets, config):
    """Return the results that jobs would make for some targets, by Snakemake's own account."""
    command = [sys.executable, "-m", "snakemake", *targets, "--summary", "--configfile", str(config)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    paths = {line.split("\t")[0] for line in done.stdout.splitlines()[1:]}
    return {path for path in paths if path.startswith("results/")}


def all_files(config):
    from shapelens.planning.plan import Plan

    return Plan(yaml.safe_load(config.read_text()), ROOT / "workflow" / "scripts").all_files()


@pytest.mark.parametrize("config", STUDIES)
def test_all_asks_for_every_file_that_its_jobs_make(tmp_path, config, monkeypatch):
    folder = copy_workflow(tmp_path / "w").path
    monkeypatch.chdir(folder)
    for name in ("a.pth", "a.safetensors"):
        (folder / name).write_bytes(b"")
    if STUDIES[config]:
        (folder / config).write_text(STUDIES[config])
    asked = all_files(folder / config)
    assert len(asked) == len(set(asked))
    assert set(asked) == planned(folder, "all", config=config)


def test_all_asks_for_no_job_that_the_report_does_not_need(tmp_path, monkeypatch):
    folder = copy_workflow(tmp_path / "w").path
    monkeypatch.chdir(folder)
    needed = planned(folder, "report", "provenance", config="tiny.yaml")
    of_studies = ("results/cues/", "results/photographs/")
    asked = {path for path in all_files(folder / "tiny.yaml") if path.startswith(of_studies)}
    assert asked == {path for path in needed if path.startswith(of_studies)}
