"""What the rules ask for instruments that optimise images: a judge, training images, animations."""

from types import SimpleNamespace

import pytest
import yaml

from shapelens.planning.plan import Plan

from ..workflow.conftest import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"
STUDY = yaml.safe_load((ROOT / "configs" / "boychev-cues.yaml").read_text())
NAME = "boychev-cues"


def at(**keys):
    return SimpleNamespace(dataset=NAME, **keys)


@pytest.fixture(scope="module")
def plan():
    return Plan(STUDY, SCRIPTS)


def test_the_judge_has_the_seed_of_the_model_that_is_measured(plan):
    found = plan.files.judge_of("inversion")(at(model="standard", seed="2"))
    assert found["judge"] == f"results/{NAME}/models/judge/seed2/model.safetensors"
    assert found["judge_records"] == [
        f"results/{NAME}/models/judge/seed2/{what}.json" for what in ("spec", "selection")
    ]


def test_only_instruments_that_compare_images_are_given_a_judge(plan):
    assert plan.files.judge_of("saliency")(at(model="standard", seed="0")) == {}
    without = {**STUDY, "models": {name: one for name, one in STUDY["models"].items() if name != "judge"}}
    alone = Plan(without, SCRIPTS)
    assert alone.files.judge_of("inversion")(at(model="standard", seed="0")) == {}
    figures = set(alone.studies.figures[NAME])
    assert "inversion_distance" in figures and not {"inversion_judge", "class_images_judge"} & figures
    assert {"inversion_judge", "class_images_judge"} <= set(plan.studies.figures[NAME])


def test_a_finished_judge_has_one_seed_for_all(tmp_path):
    weights = tmp_path / "judge.pth"
    weights.touch()
    judge = {"weights": str(weights), "arch": "resnet18", "normalisation": "none"}
    plan = Plan({**STUDY, "models": {**STUDY["models"], "judge": judge}}, SCRIPTS)
    found = plan.files.judge_of("features")(at(model="standard", seed="2"))
    assert found["judge"] == f"results/{NAME}/models/judge/seed0/model.safetensors"
    assert plan.studies[NAME].family("judge") == "judge"


def test_training_images_are_read_where_a_section_reads_them(plan):
    wildcards = at(model="standard", seed="0")
    read = {name: function(wildcards) for name, function in plan.files.training_read_by("class_images").items()}
    assert read["training_record"] == [f"results/{NAME}/data/manifest.json"]
    assert read["training"] == [f"results/{NAME}/data/train/{what}.npy" for what in ("images", "labels")]
    for name in ("inversion", "features", "predictions"):
        assert not any(function(wildcards) for function in plan.files.training_read_by(name).values())


def test_an_animated_figure_is_a_target_and_others_are_not(plan):
    files = plan.files.figure_files()
    animated = {path for path in files if path.endswith(".gif")}
    assert animated == {f"results/{NAME}/figures/{name}.gif" for name in ("inversion_way", "features", "class_images")}
    assert set(plan.pattern("animation").split("|")) == {"inversion_way", "features", "class_images"}
    assert f"results/{NAME}/figures/inversion.png" in files
    digests = [plan.figures.code(script)(at(figure="inversion_way")) for script in ("figure.py", "animation.py")]
    assert digests[0] != digests[1]


def test_the_judge_is_in_no_claim_and_no_instrument(plan):
    study = plan.studies[NAME]
    for instrument in study.instruments_asked():
        assert ("judge" in study.measured_with(instrument)) == (instrument.name == "predictions")
    assert not [path for path in plan.files.selections(at()) if "/judge/" in path]
