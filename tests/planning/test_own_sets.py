"""What rules ask for own test sets: who makes them, of what, and which tables and figures show them."""

import copy
import json
import re
from types import SimpleNamespace

import pytest

from shapelens.errors import UserError
from shapelens.planning.for_readers import captions
from shapelens.planning.plan import Plan

from ..plots.test_registry import render
from ..study.test_own_sets import TEST_ONLY
from .test_plan import DEFAULT, SCRIPTS

PATTERN = "{shape}{number}-{texture}{number}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files that the studies name."""
    monkeypatch.chdir(tmp_path)
    for name in ("photographs", "stimuli", "sketch"):
        (tmp_path / name / "disc").mkdir(parents=True)
        (tmp_path / name / "disc" / "1.png").write_bytes(b"1")
    (tmp_path / "ours.safetensors").write_bytes(b"1")
    return tmp_path


def with_own():
    testsets = {
        **DEFAULT["testsets"],
        "own": {"sketch": {"path": "sketch", "transforms": ["saturation-1024"]}},
        "own_conflicts": {"geirhos": {"path": "stimuli", "pattern": PATTERN}},
    }
    return {**DEFAULT, "testsets": testsets}


def at(testset, dataset="cues"):
    return SimpleNamespace(dataset=dataset, testset=testset)


def test_every_test_set_is_made_by_exactly_one_rule(folder):
    plan = Plan(with_own(), SCRIPTS)
    patterns = {kind: re.compile(plan.pattern(kind)) for kind in ("transformed", "stylised", "mixed", "cue", "own")}
    for name in plan.studies["cues"].testset_names():
        assert len([kind for kind, pattern in patterns.items() if pattern.fullmatch(name)]) == 1, name


def test_a_transformation_is_made_of_its_own_set(folder):
    files = Plan(with_own(), SCRIPTS).files
    own = files.source_images(at("sketch+saturation-1024"))
    assert own["manifest"] == "results/cues/testsets/sketch/manifest.json"
    assert files.source_images(at("saturation-1024"))["images"] == "results/cues/data/test/images.npy"


def test_what_is_made_of_a_set_decides_none_of_its_images(folder):
    raw = with_own()
    before = Plan(raw, SCRIPTS).asks.own(at("sketch"))
    raw["testsets"]["own"]["sketch"]["transforms"] = []
    assert Plan(raw, SCRIPTS).asks.own(at("sketch")) == before
    raw["testsets"]["own"]["sketch"]["classes"] = {"Disc": "disc"}
    assert Plan(raw, SCRIPTS).asks.own(at("sketch")) != before


def test_an_own_set_is_stale_by_the_content_of_its_files_and_of_its_table(folder):
    raw = with_own()
    (folder / "labels.csv").write_text("file,shape,texture\n1.png,disc,star\n")
    raw["testsets"]["own_conflicts"]["geirhos"] = {"path": "stimuli", "labels": "labels.csv"}
    studies = Plan(raw, SCRIPTS).studies
    digests = [studies.own_digest(at("geirhos"))]
    (folder / "labels.csv").write_text("file,shape,texture\n1.png,disc,ring\n")
    digests.append(studies.own_digest(at("geirhos")))
    (folder / "stimuli" / "2.png").write_bytes(b"2")
    digests.append(studies.own_digest(at("geirhos")))
    assert len(set(digests)) == 3
    before = studies.own_digest(at("sketch"))
    (folder / "sketch" / "disc" / "2.txt").write_bytes(b"2")
    assert studies.own_digest(at("sketch")) == before
    (folder / "sketch" / "disc" / "2.png").write_bytes(b"2")
    assert studies.own_digest(at("sketch")) != before


def test_tables_and_figures_name_own_sets(folder):
    plan = Plan(with_own(), SCRIPTS)

    def columns(table):
        found = json.loads(plan.asks.table(SimpleNamespace(dataset="cues", table=table)))["table"]["columns"]
        return [tuple(column) for column in found]

    assert columns("own_sets") == [
        ("accuracy", "clean", "Original"),
        ("accuracy", "sketch", "sketch"),
        ("accuracy", "sketch+saturation-1024", "sketch, saturation 1024"),
        ("accuracy_on_correct", "sketch", "On correctly classified, sketch"),
        ("accuracy_on_correct", "sketch+saturation-1024", "On correctly classified, sketch, saturation 1024"),
    ]
    assert ("shape_bias", "geirhos", "geirhos") in columns("shape_bias")
    assert ("shape_bias_place", "geirhos", "geirhos, place") in columns("shape_bias")
    for figure, shown in (("shape_bias", "geirhos"), ("cue_conflict", "geirhos"), ("own_sets", "sketch")):
        asked = json.loads(plan.asks.figure(SimpleNamespace(dataset="cues", figure=figure)))
        assert shown in asked["testsets"]


def test_no_own_set_no_table_of_own_sets():
    plan = Plan(DEFAULT, SCRIPTS)
    assert "own_sets" not in {table for _, table in plan.files.tables()}
    assert "own_sets" not in {figure for _, figure in plan.files.figures()}


def test_paths_that_are_not_there_are_refused_before_any_job(folder):
    raw = with_own()
    raw["testsets"]["own"]["sketch"]["path"] = "sketches"
    with pytest.raises(UserError, match=r"testsets\.own\.sketch\.path of study cues: sketches does not.*sketch\?"):
        Plan(raw, SCRIPTS)
    raw = with_own()
    raw["testsets"]["own_conflicts"]["geirhos"] = {"path": "stimuli", "labels": "labels.csv"}
    with pytest.raises(UserError, match=r"own_conflicts\.geirhos\.labels of study cues: labels\.csv does not"):
        Plan(raw, SCRIPTS)


def test_a_study_without_training_images_trains_nothing_and_says_that_it_has_no_scale(folder):
    plan = Plan(TEST_ONLY, SCRIPTS)
    wildcards = SimpleNamespace(dataset="stimuli", table="shape_bias", model="ours")
    assert re.fullmatch(plan.pattern("test only"), "stimuli")
    assert not re.fullmatch(plan.pattern("with images"), "stimuli")
    assert plan.files.validation_images(wildcards) == {}
    assert json.loads(plan.asks.statistics(wildcards))["has_scale"] is False
    assert json.loads(plan.asks.table(wildcards))["has_scale"] is False
    assert {table for _, table in plan.files.tables()} == {"own_sets", "shape_bias", "cue_reading"}
    assert {figure for _, figure in plan.files.figures()} == {"own_sets", "shape_bias", "cue_conflict"}


def test_classes_are_read_again_where_a_set_changes_and_they_are_not_stated(folder):
    plan, wildcards = Plan(TEST_ONLY, SCRIPTS), SimpleNamespace(dataset="stimuli")
    before = plan.studies.own_digests(wildcards)
    (folder / "stimuli" / "2.png").write_bytes(b"2")
    assert plan.studies.own_digests(wildcards) != before
    raw = copy.deepcopy(TEST_ONLY)
    raw["dataset"]["classes"] = ["a", "b"]
    assert Plan(raw, SCRIPTS).studies.own_digests(wildcards) == "stated"


def test_captions_state_what_was_left_out_and_that_there_is_no_scale(folder):
    manifest = folder / "results" / "stimuli" / "testsets" / "geirhos" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    left = {"labels_agree": 22, "classes_not_in_the_study": {"zebra": 3}, "passed_over": {}, "unreadable": []}
    manifest.write_text(json.dumps({"images": 298, "left_out": left, "classes_without_images": ["oven"]}))
    found = captions(Plan(TEST_ONLY, SCRIPTS).studies)["stimuli"]
    for markup in (found["tables"]["shape_bias"], found["figures"]["cue_conflict"]):
        caption = markup.replace("\\", "")
        assert "298 images are measured. 22 images left out whose shape and texture are of one class." in caption
        assert "3 images left out of classes that the study lacks: zebra (3). No images of the class oven." in caption
        assert "the scale of a shape bias is not known" in caption
    assert "geirhos" not in found["tables"]["own_sets"]
    manifest.write_text("damaged")
    assert "left out" not in captions(Plan(TEST_ONLY, SCRIPTS).studies)["stimuli"]["own"]["geirhos"]


@pytest.mark.parametrize("testset", ["sketch", "sketch+saturation-1024", "geirhos"])
def test_the_report_does_not_call_own_images_those_of_the_clean_set(folder, testset):
    found = captions(Plan(with_own(), SCRIPTS).studies)["cues"]
    text, html = render("testset", found, testset=testset)
    assert "same order as the clean set" not in text
    assert "{" not in text
    assert testset in html
    for template, wildcards in (("figure", {"figure": "own_sets"}), ("table", {"table": "shape_bias"})):
        render(template, found, **wildcards)
