"""The config: what is refused, and in which words."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shapelens.errors import UserError
from shapelens.study.config import load

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
        (["seeds"], [], ["seeds", "at least 1"]),
        (["seeds"], [1, 1], ["seeds", "twice"]),
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
