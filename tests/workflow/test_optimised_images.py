"""A real run of the instruments that optimise images: what is made, and what reruns."""

import json

import pandas as pd
import pytest
from PIL import Image

from .conftest import copy_workflow
from .test_workflow import edited, words

pytestmark = pytest.mark.timeout(900)
STUDY = """
dataset: {kind: cues, name: made, classes: 3, size: 16, texture: 0.03, train: 48, validation: 24, test: 24}
training: {epochs: 1, batch: 16, validation_images: 8}
network: {arch: resnet-small, width: 4}
models: {standard: {}, judge: {network: {width: 5}}}
rulers: false
robustness: {models: []}
saliency: {models: []}
instruments:
  inversion: {targets: 2, iterations: 3, frames: 3, shown: 1}
  features: {units: 2, iterations: 3, frames: 3, purity_images: 3}
  class_images: {count: 2, iterations: 3, frames: 3}
"""
TABLES = ("inversion", "features", "class_images")
ANIMATED = ("inversion_way", "features", "class_images")
FIGURES = (*ANIMATED, "inversion", "inversion_judge", "class_images_judge", "feature_purity", "inversion_distance")
RESULTS = "results/made"
TARGETS = [
    *(f"{RESULTS}/tables/{name}.md" for name in TABLES),
    *(f"{RESULTS}/figures/{name}.png" for name in FIGURES),
    *(f"{RESULTS}/figures/{name}.gif" for name in ANIMATED),
]


def make(path):
    """Run the study in a new folder; the tests that damage it work on copies."""
    folder = copy_workflow(path)
    (folder.path / "made.yaml").write_text(STUDY)
    folder.snakemake(*TARGETS, "--cores", "2", config="made.yaml")
    return folder


def would_run(made):
    return words(made.would_run(*TARGETS, config="made.yaml"))


def test_rows_means_and_animations_are_made_with_a_judges_view(made):
    results = made.path / RESULTS
    for name, metric in zip(TABLES, ("judge_distance", "judge_names_class", "judge_names_class"), strict=True):
        rows = pd.read_parquet(results / name / "standard" / "seed0.parquet")
        assert rows[metric].notna().any(), name
        assert metric in set(pd.read_csv(results / name / "means.csv")["metric"]), name
        inputs = json.loads((results / name / "standard" / "seed0.json").read_text())["inputs"]
        assert set(inputs) == {"weights", "testsets", "judge", *(["training"] if name == "class_images" else [])}
    for name in ANIMATED:
        with Image.open(results / "figures" / f"{name}.gif") as gif:
            assert gif.n_frames == 3, name
    assert not (results / "inversion" / "judge").exists()


def test_nothing_is_made_twice(made):
    assert would_run(made) == set()


@pytest.mark.parametrize(
    ("file", "again"),
    [
        ("instruments/inversion/invert.py", {"Inverting standard"}),
        ("instruments/features/units.py", {"Visualising standard"}),
        ("instruments/class_images/gaussians.py", {"Making class"}),
        ("attacks/ascent.py", {"Inverting standard", "Visualising standard", "Making class"}),
        ("attacks/pgd.py", set()),
    ],
)
def test_an_instruments_code_reruns_it_and_no_training(made, file, again):
    with edited(made.path / "workflow/scripts/shapelens" / file, lambda text: text + "\n\nEXTRA = 1\n"):
        done = would_run(made)
    assert {word for word in done if word.split()[0] in ("Inverting", "Visualising", "Making")} == again
    assert not {word for word in done if word.startswith(("Training", "Measuring"))}


def test_a_drawing_redraws_its_figures_and_their_animation(made):
    path = made.path / "workflow/scripts/shapelens/plots/inversion.py"
    with edited(path, lambda text: text + "\n\nEXTRA = 1\n"):
        assert would_run(made) == {"Drawing inversion", "Drawing inversion_way", "Animating inversion_way"}


def test_what_decides_no_row_of_another_instrument_reruns_one(made):
    with edited(made.path / "made.yaml", lambda text: text.replace("units: 2", "units: 3")):
        done = would_run(made)
    assert {"Visualising standard", "Animating features"} <= done and "Inverting standard" not in done
