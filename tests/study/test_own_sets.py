"""Own test sets in the config: names, what they may be transformed by, and studies without training images."""

import copy

import pytest

from shapelens.errors import UserError
from shapelens.study.config import load

from .test_config import TINY, changed

CONFLICTS = {"path": "stimuli", "pattern": "{shape}{number}-{texture}{number}"}
TEST_ONLY = {
    "dataset": {"kind": "test_only", "name": "stimuli"},
    "models": {"ours": {"weights": "ours.safetensors", "arch": "resnet18"}},
    "testsets": {
        "saturation": [1024],
        "own": {"photographs": {"path": "photographs", "transforms": ["saturation-1024"]}},
        "own_conflicts": {"geirhos": CONFLICTS},
    },
}


def refused(raw):
    with pytest.raises(UserError) as error:
        load(raw)
    return str(error.value)


def test_own_sets_stand_after_the_others():
    raw = changed(["testsets", "own"], {"sketch": {"path": "sketch", "transforms": ["saturation-8", "low-pass"]}})
    raw["testsets"]["own_conflicts"] = {"geirhos": CONFLICTS}
    study, before = load(raw)["cues"], load(TINY)["cues"]
    own = ["sketch", "sketch+saturation-8", "sketch+low-pass", "geirhos"]
    assert study.testset_names() == [*before.testset_names(), *own]
    # The rulers choose among sets that can be made of validation images.
    assert study.conflict_sets() == before.conflict_sets()


@pytest.mark.parametrize(
    ("key", "name", "words"),
    [
        ("own", "saturation-photos", "names that begin with saturation are those of the workflow's own sets"),
        ("own_conflicts", "conflict", "choose another, such as own-conflict"),
        ("own", "a b", "letters, digits, dashes and underscores only"),
        ("own", "sketch+low-pass", "letters, digits, dashes and underscores only"),
        ("own", "../x", "letters, digits, dashes and underscores only"),
    ],
)
def test_names_that_would_be_taken_for_another_set_are_refused(key, name, words):
    own = {"path": "x"} if key == "own" else CONFLICTS
    said = refused(changed(["testsets", key], {name: own}))
    assert f"testsets.{key}.{name}" in said
    assert words in said


def test_two_sets_of_one_name_are_refused():
    raw = changed(["testsets", "own"], {"mine": {"path": "x"}})
    raw["testsets"]["own_conflicts"] = {"mine": CONFLICTS}
    assert "testsets.own_conflicts.mine: testsets.own has a set of this name" in refused(raw)


@pytest.mark.parametrize(
    ("transforms", "words"),
    [
        (["saturation-9"], "'saturation-9' is no transformation of this study's testsets; allowed: saturation-1"),
        (["saturation-9"], "did you mean saturation-"),
        (["stylised"], "'stylised' is no transformation"),
        (["clean"], "'clean' is no transformation"),
        (["low-pass", "low-pass"], "low-pass is given more than once"),
    ],
)
def test_own_sets_are_transformed_only_as_the_studys_are(transforms, words):
    assert words in refused(changed(["testsets", "own"], {"sketch": {"path": "x", "transforms": transforms}}))


def test_maps_are_made_of_the_same_images_in_every_set():
    raw = changed(["testsets", "own"], {"sketch": {"path": "x"}})
    raw["saliency"]["testsets"] = ["clean", "sketch"]
    assert "saliency.testsets: 'sketch' is no test set of this study" in refused(raw)


# Without training images


def test_a_study_without_training_images_has_finished_models_and_own_sets_alone():
    study = load(TEST_ONLY)["stimuli"]
    assert list(study.models) == ["ours"]
    assert study.testset_names() == ["photographs", "photographs+saturation-1024", "geirhos"]
    assert [one.name for one in study.instruments_asked()] == ["predictions"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["models", "standard"], {}, "models.standard: this study has no training images"),
        (["models", "ours", "normalisation"], "dataset", "models.ours.normalisation: this study has no training"),
        (["rulers"], True, "rulers: this study has no training images (dataset.kind: test_only) to train them on"),
        (["testsets"], {}, "it needs testsets.own or testsets.own_conflicts"),
        (["testsets", "patch_shuffle"], [4], "no own set asks for patch-shuffle-4"),
        (["testsets", "cue_conflict"], {}, "testsets.cue_conflict: it is made of clean test images"),
        (["testsets", "hybrid"], {}, "testsets.hybrid: it is made of clean test images"),
        (["saliency"], {"images": 3}, "saliency: it reads clean test images"),
        (["robustness"], {"norm": "inf", "eps": "8/255", "step": "2/255"}, "robustness: it reads clean test images"),
        (["dataset", "classes"], ["a", "b", "a"], "dataset.classes: 'a' is named twice"),
    ],
)
def test_what_needs_training_images_is_refused(path, value, words):
    raw = copy.deepcopy(TEST_ONLY)
    place = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert words in refused(raw)
