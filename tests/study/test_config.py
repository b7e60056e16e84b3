"""The config: what is refused, and in which words."""

import copy
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from shapelens.errors import UserError
from shapelens.study.config import Study, load

ROOT = Path(__file__).resolve().parents[2]
WHOLE = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())
TINY = {**{key: value for key, value in WHOLE.items() if key != "studies"}, **WHOLE["studies"]["cues"]}


def changed(path, value):
    raw = copy.deepcopy(TINY)
    place = raw
    *parents, last = path
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["sedes"], [0], ["sedes", "did you mean seeds?"]),
        (["dataset", "clases"], 3, ["dataset.clases", "did you mean classes?"]),
        (["dataset", "kind"], "cuse", ["dataset.kind", "cifar10", "did you mean cues?"]),
        (
            ["models", "pgd-inf-8", "adversary", "eps"],
            -1,
            ["models.pgd-inf-8.adversary.eps", "greater than or equal to 0"],
        ),
        (["models", "pgd-inf-8", "adversary", "eps"], 8, ["models.pgd-inf-8.adversary", "8/255"]),
        (["models", "pgd-inf-8", "adversary", "eps"], "8/0", ["models.pgd-inf-8.adversary.eps", "fraction"]),
        (["models", "pgd-inf-8", "adversary", "stepz"], 3, ["models.pgd-inf-8.adversary.stepz", "did you mean step?"]),
        (
            ["models", "spatial"],
            {"adversary": {"kind": "spatail", "budget": 1}},
            ["models.spatial.adversary.kind", "'spatail' is unknown", "allowed: spatial", "did you mean spatial?"],
        ),
        (["models", "spatial"], {"adversary": {"kind": "spatial"}}, ["models.spatial.adversary.budget", "missing"]),
        (
            ["models", "spatial"],
            {"adversary": {"kind": "spatial", "budgte": 1}},
            ["models.spatial.adversary.budgte", "tv_weight", "did you mean budget?"],
        ),
        (
            ["models", "spatial"],
            {"adversary": {"kind": "spatial", "budget": 1, "solver": "step"}},
            ["models.spatial.adversary.solver", "steps, lbfgs", "did you mean steps?"],
        ),
        (
            ["models", "spatial"],
            {"adversary": {"kind": "spatial", "budget": -1}},
            ["models.spatial.adversary.budget", "greater than or equal to 0"],
        ),
        (["models", "underfit", "match"], "pgd-inf-9", ["models.underfit.match", "did you mean pgd-inf-8?"]),
        (["models", "standard"], {"training": {"lrr": 1}}, ["models.standard.training.lrr", "did you mean lr?"]),
        (["testsets", "patch_shuffle"], [3], ["testsets.patch_shuffle", "3 does not divide", "1, 2, 4, 8, 16"]),
        (["testsets", "patch_frame"], [8], ["testsets.patch_frame", "8 does not cut", "inside", "allowed: 2, 4"]),
        (["testsets", "patch_frame"], [2, 2], ["testsets.patch_frame", "2 is given more than once"]),
        (["testsets", "gaussian_blur"], {"sigma": 2}, ["testsets.gaussian_blur.sigma"]),
        (["testsets", "saturation"], [0], ["testsets.saturation"]),
        (["saliency", "methods"], ["shap"], ["saliency.methods.0", "expected-gradients"]),
        (["saliency", "expected_gradients"], {"background": 1}, ["saliency.expected_gradients.background", "to 2"]),
        (["saliency", "expected_gradients"], {"samples": 1}, ["saliency.expected_gradients.samples", "to 2"]),
        (
            ["saliency"],
            {"methods": ["expected-gradients"], "expected_gradients": {"background": 9999}},
            ["saliency.expected_gradients.background: 9999 images asked for", "training images", "allowed: 2 to"],
        ),
        (["seeds"], [], ["seeds", "at least 1"]),
        (["dataset", "name"], "reports", ["dataset.name: results/reports is a folder of the workflow's own"]),
        (
            ["models", "m"],
            {"weigths": "a.pt", "arch": "resnet18"},
            ["models.m.weigths", "did you mean weights?"],
        ),
        (["models", "m"], {"weights": "ResNet18_Weights.DEFAULT"}, ["models.m.weights: 'ResNet18_Weights.DEFAULT' is"]),
        (["dataset", "name"], "a/b", ["dataset.name: 'a/b': a name has letters, digits and dashes only"]),
        (["testsets", "own"], {"s": {"path": "x", "transforms": "low-pass"}}, ["a list, such as ['low-pass'], not"]),
        (["seeds"], [True], ["seeds: expected a number, not true, as YAML reads yes"]),
        (["seeds"], [1, 1], ["seeds", "twice"]),
        (["training", "epochs"], True, ["training.epochs: expected a number, not true"]),
        (["training", "lr"], True, ["training.lr: expected a number, not true"]),
        (["compute", "gpu"], False, ["compute.gpu: expected a number, not false"]),
        (["models"], {True: {}}, ["models.True: YAML reads this name as true or false; put quotes round it"]),
        (["models"], {1.1: {}}, ["models.1.1: YAML reads this name as a number; put quotes round it"]),
        (["models"], {None: {}}, ["models.None: YAML reads this name as nothing; put quotes round it"]),
        (["models"], {"A": {}, "a": {}}, ["models: A and a differ in capitals only"]),
        (["seeds"], ["a"], ["seeds.0", "'a'"]),
        (["network", "arch"], "resnet-smal", ["network.arch", "did you mean resnet-small?"]),
        (["saliency", "testsets"], ["saturation-1025"], ["saliency.testsets", "did you mean saturation-1024?"]),
        (["expected"], {"1z": "yes"}, ["expected.1z", "did you mean 1"]),
        (["expected"], {"1a": "maybe"}, ["expected.1a", "yes, no, undecided"]),
        (["display"], {"labels": {"standrad": "x"}}, ["display.labels.standrad", "did you mean standard?"]),
        (["models"], {}, ["models"]),
        (["models"], {"calibration-texture": {"network": {"arch": "resnet-small", "receptive_field": []}}}, ["bagnet"]),
        (["models"], {"a": {"images": "retextured"}}, ["models.a.images", "calibration-shape"]),
        (["training", "pad"], 4, ["models.standard.training.pad", "phase is fixed", "set training.pad to 0"]),
        (["training", "flip"], True, ["models.pgd-inf-8.training.flip", "set training.flip to false"]),
        (["models"], {"calibration-shape": {"images": "train"}}, ["must not name the class by texture", "retextured"]),
        (["models"], {"calibration-shape": {"adversary": {"eps": 0.1}}}, ["a ruler has no adversary"]),
        (["dataset"], {"kind": "image_folder"}, ["dataset.path", "missing"]),
        (["training", "epochs"], "many", ["training.epochs", "'many'"]),
        (["training", "snapshots"], [0, 99, 98], ["training.snapshots", "before 98, 99", "allowed: 0 to"]),
        (["training", "snapshots"], [0, -1], ["training.snapshots.1", "greater than or equal to 0", "-1"]),
        (["training", "snapshots"], [1, 0, 1], ["training.snapshots: 1 given more than once"]),
        (["training", "snapshots"], ["last"], ["training.snapshots.0", "'last'"]),
        (["training", "snapshot"], [1], ["training.snapshot:", "did you mean snapshots?"]),
        (
            ["models", "standard"],
            {"training": {"epochs": 2, "snapshots": [3]}},
            ["models.standard.training.snapshots", "before 3", "allowed: 0 to 2"],
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_path_and_a_remedy(path, value, words):
    with pytest.raises(UserError) as caught:
        load(changed(path, value))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (["seeds"], 3, "seeds: expected a list, such as [0, 1, 2] for three training seeds, not 3"),
        (["testsets", "saturation"], 8, "testsets.saturation: expected a list, such as [8], not 8"),
        (["robustness", "models"], 3, "robustness.models: expected all, exemplars or a list of names, not 3"),
        (
            ["robustness", "models"],
            "exemplar",
            "robustness.models: expected all, exemplars or a list of names, not 'exemplar'; did you mean exemplars?",
        ),
        (["saliency", "images"], "x", "saliency.images: expected a whole number or a list of whole numbers, not 'x'"),
        (["saliency", "images"], [1, "x"], "a whole number or a list of whole numbers, not [1, 'x']"),
        (["network"], 3, "network: expected a mapping of keys, such as {key: value}, not 3"),
        (["training", "nesterov"], "maybe", "training.nesterov: expected true or false, not 'maybe'"),
        (["dataset", "classes"], 2.5, "dataset.classes: expected a whole number, not 2.5"),
        (["saliency", "sigma"], 15, "saliency.sigma: input should be less than or equal to 1, not 15; did you mean 15"),
    ],
)
def test_a_value_of_another_type_is_refused_in_one_sentence(path, value, line):
    with pytest.raises(UserError) as caught:
        load(changed(path, value))
    assert line in str(caught.value)
    assert "the config has 1 problem:" in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([True, False], "classes: YAML reads yes, no, on and off without quotes as true and false (true, false); put"),
        (["cat"], "classes: 'cat': a classifier needs at least two classes"),
        (1, "classes: '1': a classifier needs at least two classes"),
        (["cat", "cat"], "classes: 'cat' is named twice"),
    ],
)
def test_classes_that_cannot_be_are_refused_before_any_image_is_read(classes, words):
    with pytest.raises(UserError) as caught:
        load({"dataset": {"kind": "image_folder", "path": "x", "classes": classes}, "models": {"int": {}}})
    assert words in str(caught.value)


@pytest.mark.parametrize("short", ["2-saturation: yes", "2-saturation: {verdict: yes}", "2-saturation: 'yes'"])
def test_yes_and_no_are_verdicts_with_and_without_quotes(short):
    study = next(iter(load({**TINY, "expected": yaml.safe_load(short)}).values()))
    assert study.expected["2-saturation"].verdict == "yes"


def test_classes_that_are_numbers_are_refused_in_one_sentence():
    raw = {"dataset": {"kind": "image_folder", "path": "x", "classes": [0, 1]}, "models": {"int": {}}}
    with pytest.raises(UserError) as caught:
        load(raw)
    assert "dataset.classes: expected a whole number or a list of names, not [0, 1]; names are text" in str(
        caught.value
    )
    assert "1 problem" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        # Images of 16×16 pixels are at most √(3·16²) = 27.7 apart, those of 24×24 41.6.
        (["models", "l2"], {"adversary": {"norm": "l2", "eps": 28}}, "28 is more than 27.7, the largest ℓ2 distance"),
        (
            ["models", "l2"],
            {"adversary": {"norm": "l2", "eps": 42}, "network": {"input_size": 24}},
            "models.l2.adversary.eps: 42 is more than 41.6, the largest ℓ2 distance between two images of 24×24 pixels;"
            " did you mean 42/255?",
        ),
        (
            ["models", "l2"],
            {"adversary": {"norm": "l2", "eps": 400, "eps_reference_side": 224}},
            "400 is more than 388, the largest ℓ2 distance between two images of 224×224",
        ),
        (["robustness"], {"norm": "l2", "eps": 128, "step": 1}, "robustness.eps: 128 is more than 27.7"),
        (["robustness"], {"norm": "l2", "eps": 1, "step": 30}, "robustness.step: 30 is more than 27.7"),
        (["robustness"], {"step": 2}, "robustness.step: 2 is above 1, the whole range of a pixel; did you mean 2/255?"),
        (["models", "spatial"], {"adversary": {"kind": "spatial", "budget": 16}}, "16 pixels is no less than the side"),
        (["testsets", "low_pass", "radius"], 12, "low_pass.radius: 12 is no less than 11.3 cycles per image"),
        (["testsets", "hybrid", "radius"], 30, "testsets.hybrid.radius: 30 is no less than 11.3 cycles"),
        (["robustness", "frequency_radius"], 20, "robustness.frequency_radius: 20 is no less than 11.3 cycles"),
        (["testsets", "texture_exchange"], {"detail": 16}, "testsets.texture_exchange.detail: 16 pixels"),
        (
            ["testsets", "bilateral"],
            {"sigma": 0.1, "range_sigma": 75},
            "range_sigma: input should be less than or equal",
        ),
        (["dataset", "noise"], 3, "dataset.noise: input should be less than or equal to 1, not 3; did you mean 3/100"),
    ],
)
def test_a_length_in_another_unit_is_refused(path, value, words):
    with pytest.raises(UserError) as caught:
        load(changed(path, value))
    assert words in str(caught.value)


def test_the_largest_distance_itself_is_no_mistake():
    load(changed(["models", "l2"], {"adversary": {"norm": "l2", "eps": 27.7}}))
    load(changed(["models", "l2"], {"adversary": {"norm": "l2", "eps": 41}, "network": {"input_size": 24}}))


def floats_without_fractions(kind, covered=False):
    """Yield the places in a type where a number may not be written as a fraction."""
    if get_origin(kind) is Annotated:
        yield from floats_without_fractions(get_args(kind)[0], covered or "parse_fraction" in repr(get_args(kind)[1:]))
    elif kind is float and not covered:
        yield kind
    elif not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        for part in get_args(kind):
            yield from floats_without_fractions(part, covered)


def specs_below(kind, seen):
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
        seen.add(kind)
        for field in kind.model_fields.values():
            specs_below(field.annotation, seen)
    for part in get_args(kind):
        specs_below(part, seen)
    return seen


def test_every_number_may_be_a_fraction():
    plain = [
        f"{spec.__name__}.{name}"
        for spec in specs_below(Study, set())
        for name, field in spec.model_fields.items()
        if list(floats_without_fractions(field.annotation, "parse_fraction" in repr(field.metadata)))
    ]
    assert plain == []
    study = load({**changed(["saliency", "sigma"], "1/10"), "statistics": {"margin": "1/50"}})["cues"]
    assert (study.saliency.sigma, study.statistics.margin) == (0.1, 0.02)


def test_keys_of_the_attack_that_are_left_out_have_their_defaults():
    def attack(**keys):
        return load({**TINY, "robustness": keys})["cues"].robustness

    whole = {**TINY}
    del whole["robustness"]
    default = load(whole)["cues"].robustness
    assert attack() == default
    assert (default.eps, default.step, default.steps) == (8 / 255, 2 / 255, 40)
    assert attack(steps=10) == default.model_copy(update={"steps": 10})
    # A radius of one's own is stepped through as in training.
    assert attack(eps="4/255").step is None
    with pytest.raises(UserError, match=r"robustness\.eps: 8/255, the default, is meant for norm: inf"):
        attack(norm="l2")
    assert load(changed(["stylisation", "styles"], {"count": 8}))["cues"].stylisation.styles.count == 8


def test_rulers_may_be_left_out_but_not_what_they_decide():
    raw = {"dataset": {"kind": "cues"}, "models": {"standard": {}, "calibration-texture": {"network": {"width": 4}}}}
    (study,) = load({**raw, "rulers": False}).values()
    assert list(study.models) == ["standard"]
    (study,) = load({**raw, "testsets": {"hybrid": {}}}).values()
    assert study.training_run("calibration-texture", 0).network.receptive_field == (9,)
    with pytest.raises(UserError, match=r"testsets\.hybrid\.radius: the rulers choose it"):
        load({**raw, "rulers": False, "testsets": {"hybrid": {}}})
    assert load({**raw, "rulers": False, "testsets": {"hybrid": {"radius": 4}}})


def test_a_model_may_keep_other_snapshots_than_its_study():
    raw = changed(["training", "snapshots"], [2, 0])
    quick, none = {"epochs": 1, "snapshots": [1]}, {"snapshots": []}
    raw["models"] = {"standard": {}, "quick": {"training": quick}, "none": {"training": none}}
    (study,) = load(raw).values()
    kept = {name: study.training_run(name, 0).training.snapshots for name in study.models}
    rulers = {"calibration-texture": (), "calibration-shape": ()}
    assert kept == {"standard": (0, 2), "quick": (1,), "none": (), **rulers}
    # Their order decides nothing.
    (other,) = load({**raw, "training": {**raw["training"], "snapshots": [0, 2]}}).values()
    assert other.training_run("standard", 0) == study.training_run("standard", 0)


def test_all_problems_are_named_at_once():
    raw = changed(["seeds"], [])
    raw["training"]["lr"] = -1
    raw["netwrok"] = {}
    with pytest.raises(UserError) as caught:
        load({key: value for key, value in raw.items() if key != "netwrok"})
    assert "2 problems" in str(caught.value)


def test_a_partial_override_keeps_the_rest():
    study = load(changed(["models", "pgd-inf-4", "training"], {"lr": "1/4"}))["cues"]
    run = study.training_run("pgd-inf-4", 0)
    assert run.training.lr == 0.25
    assert run.training.epochs == TINY["training"]["epochs"]
    assert run.adversary is not None and run.adversary.steps == TINY["adversary"]["steps"]


def test_a_twelfth_model_is_one_line():
    study = load(changed(["models", "pgd-inf-6"], {"adversary": {"eps": "6/255"}}))["cues"]
    assert study.family("pgd-inf-6") == "pgd-inf"
    assert study.matched_to("underfit") == "pgd-inf-8"


def test_the_strongest_is_resolved_from_the_grid():
    study = load(changed(["models", "pgd-inf-16"], {"adversary": {"eps": "16/255"}}))["cues"]
    assert study.matched_to("underfit") == "pgd-inf-16"


def test_a_spatial_model_takes_from_the_studys_adversary_what_it_knows():
    raw = changed(["models", "spatial"], {"adversary": {"kind": "spatial", "budget": "1/2"}})
    raw["adversary"] = {"steps": 3, "step": "2/255", "norm": "inf", "random_start": True, "eps_reference_side": None}
    study = load(raw)["cues"]
    adversary = study.training_run("spatial", 0).adversary
    assert (adversary.family, adversary.budget, adversary.steps, adversary.step) == ("spatial", 0.5, 3, None)
    assert adversary.random_start and study.training_run("pgd-inf-8", 0).adversary.step == 2 / 255
    assert study.family("spatial") == "spatial" and study.strongest() == "pgd-inf-8"
    (info,) = (info for info in study.grid() if info.name == "spatial")
    assert (info.family, info.eps, info.budget) == ("spatial", None, 0.5)
    assert info.title == "Spatial 0.5\N{NO-BREAK SPACE}px"


def test_a_study_of_spatial_models_alone_has_no_strongest():
    raw = changed(["models"], {"standard": {}, "spatial": {"adversary": {"kind": "spatial", "budget": 1}}})
    assert load(raw)["cues"].strongest() is None
    raw["models"]["underfit"] = {"match": "strongest"}
    with pytest.raises(UserError, match=r"models\.underfit\.match: the study has no model with an ℓ∞ adversary"):
        load(raw)
    raw["models"]["underfit"] = {"match": "spatial"}
    assert load(raw)["cues"].matched_to("underfit") == "spatial"


def test_display_and_compute_are_in_no_spec():
    plain = load(TINY)["cues"]
    dressed = load({**TINY, "display": {"labels": {"standard": "Normal"}}, "compute": {"threads": 7}})["cues"]
    for name in plain.trained():
        assert plain.training_run(name, 0).canonical() == dressed.training_run(name, 0).canonical()


def test_several_studies_share_what_stands_beside_them():
    raw = {k: v for k, v in TINY.items() if k != "dataset"}
    raw["studies"] = {
        "a": {"dataset": {**TINY["dataset"], "name": "a"}},
        "b": {"dataset": {**TINY["dataset"], "name": "b"}, "seeds": [3]},
    }
    studies = load(raw)
    assert studies["a"].seeds == (0,) and studies["b"].seeds == (3,)
    raw["studies"]["b"]["dataset"]["name"] = "a"
    with pytest.raises(UserError, match="used twice"):
        load(raw)


@pytest.mark.parametrize(
    "path", sorted([ROOT / "config.yaml", *(ROOT / "configs").glob("*.yaml")]), ids=lambda p: p.name
)
def test_every_shipped_study_is_valid(path):
    assert load(yaml.safe_load(path.read_text()))


KEYS = st.sampled_from([*TINY, "seed", "model", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(key=KEYS, value=VALUES)
def test_any_value_either_parses_or_is_refused_by_name(key, value):
    raw = {**TINY, key: value}
    try:
        load(raw)
    except UserError as error:
        assert key in str(error)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            ["testsets", "saturation"],
            [1 + n / 1000 for n in range(9000)],
            ["test sets for", "at most 40,000 are planned"],
        ),
        (["dataset", "train"], 10**12, ["dataset.train", "less than or equal to 10000000", "not 1000000000000"]),
        (["dataset", "train"], 10**4000, ["dataset.train", "an integer beyond"]),
        (["seeds"], list(range(50_000)), ["models and seeds", "at most 40,000"]),
        (["display", "labels"], {f"m{n}": "x" for n in range(3000)}, ["no such model", "and 2970 more"]),
        (["saliency", "models"], ["standart"], ["did you mean standard?"]),
    ],
)
def test_what_is_beyond_all_measure_is_refused_in_few_words(path, value, words):
    with pytest.raises(UserError) as refused:
        load(changed(path, value))
    said = str(refused.value)
    assert all(word in said for word in words), said[:500]
    assert len(said) < 6000, len(said)
