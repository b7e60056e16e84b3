"""What the rules ask of the plan: names, patterns, specs."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from shapelens.errors import UserError
from shapelens.instruments.registry import INSTRUMENTS
from shapelens.job import imported
from shapelens.planning.plan import Plan
from shapelens.training.adversarial import pgd_adversary
from shapelens.training.spatial import spatial_adversary

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
FULL = yaml.safe_load((ROOT / "configs" / "cues-full.yaml").read_text())


@pytest.fixture(scope="module")
def plan():
    return Plan(DEFAULT, SCRIPTS)


def at(**wildcards):
    return SimpleNamespace(dataset="cues", **wildcards)


def test_every_model_is_made_by_exactly_one_rule(plan):
    kinds = ("trained", "trained with snapshots", "finished")
    patterns = [re.compile(f"({plan.dataset_of(kind)})/models/[^/]+/") for kind in kinds]
    for model in plan.studies["cues"].models:
        found = [pattern.match(f"cues/models/{model}/seed0/model.safetensors") for pattern in patterns]
        assert [match[1] for match in found if match] == ["cues"], model


def test_the_default_study_has_every_figure_and_table_of_the_paper_but_that_of_spatial_training(plan):
    figures = {figure for _, figure in plan.files.figures()}
    assert {f"figure{n}" for n in range(1, 11)} - figures == {"figure8"}
    assert {"saliency-grad-saturation-1024", "saliency-smoothgrad-saturation-1024", "shape_bias"} <= figures
    assert {table for _, table in plan.files.tables()} >= {
        "table1",
        "table2",
        "table3",
        "saturation",
        "patch_shuffle",
        "saliency",
    }


def test_the_full_study_is_the_default_study_and_more(plan):
    assert all(FULL["models"][name] == entry for name, entry in DEFAULT["models"].items())
    assert all(FULL["testsets"][name] == entry for name, entry in DEFAULT["testsets"].items())
    assert all(FULL["expected"][name] == entry for name, entry in DEFAULT["expected"].items())
    assert FULL["dataset"] == {**DEFAULT["dataset"], "name": "cues-full"}
    same = DEFAULT.keys() - {"models", "testsets", "expected", "dataset", "saliency"}
    assert {key: FULL[key] for key in same} == {key: DEFAULT[key] for key in same}
    wider = Plan(FULL, SCRIPTS)
    assert {f for _, f in wider.files.figures()} - {f for _, f in plan.files.figures()} >= {"figure8"}


def test_a_study_without_a_transformation_has_no_figure_of_it():
    raw = {**DEFAULT, "testsets": {"patch_shuffle": [2]}, "saliency": {"testsets": ["clean"]}}
    figures = {figure for _, figure in Plan(raw, SCRIPTS).files.figures()}
    assert "figure7" in figures
    assert not figures & {"figure4", "figure5", "fourier"}


def test_specs_name_nothing_that_only_shows(plan):
    dressed = Plan({**DEFAULT, "display": {"labels": {"standard": "Normal"}}, "compute": {"threads": 3}}, SCRIPTS)
    wildcards = at(model="standard", seed="0", instrument="saliency")
    for ask in ("training", "means", "statistics", "claims"):
        assert getattr(plan.asks, ask)(wildcards) == getattr(dressed.asks, ask)(wildcards), ask
    for instrument in plan.studies["cues"].instruments_asked():
        ask, other = (asks.measurement(instrument.name) for asks in (plan.asks, dressed.asks))
        assert ask(wildcards) == other(wildcards), instrument.name
    fewer = Plan({**DEFAULT, "saliency": {**DEFAULT["saliency"], "sheet_images": 2}}, SCRIPTS)
    assert plan.asks.measurement("saliency")(wildcards) == fewer.asks.measurement("saliency")(wildcards)
    assert plan.asks.figure(at(figure="figure9")) != fewer.asks.figure(at(figure="figure9"))
    assert plan.asks.figure(at(figure="figure5")) != dressed.asks.figure(at(figure="figure5"))


def test_a_matched_model_waits_for_its_target_of_the_same_seed(plan):
    assert (
        plan.files.matched_selection(at(model="underfit", seed="0"))
        == "results/cues/models/pgd-inf-8/seed0/selection.json"
    )
    assert plan.files.matched_selection(at(model="standard", seed="0")) == []


def test_calibration_models_are_trained_on_their_own_images_and_not_explained(plan):
    inputs = plan.files.training_images(at(model="calibration-shape", seed="0"))
    assert inputs["manifest"] == "results/cues/data-shape-only/manifest.json"
    maps, answers = plan.files.measured("saliency", "npz")(at()), plan.files.measured("predictions", "parquet")(at())
    assert not [path for path in maps if "calibration" in path] and [path for path in answers if "calibration" in path]


def test_one_name_may_be_made_otherwise_in_every_study(tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    finished = {"weights": str(weights), "arch": "resnet18"}
    models = {
        "a": {"m": {}, "m.1": {"adversary": {"eps": 0.1}}, "kept": {"training": {"snapshots": [0]}}},
        "a-b": {"m": finished, "m.1": {}},
        "c": {"m": {"adversary": {"kind": "spatial", "budget": 1}}, "m-1": finished},
    }
    studies = {n: {"dataset": {**DEFAULT["dataset"], "name": n}, "models": m} for n, m in models.items()}
    plan = Plan({"training": DEFAULT["training"], "studies": studies}, SCRIPTS)

    def made(kind):
        """The models that a rule with this constraint makes, of all names in all studies."""
        pattern = re.compile(f"results/(?P<dataset>{plan.dataset_of(kind)})/models/(?P<model>{plan.pattern('model')})/")
        paths = [f"results/{name}/models/{model}/" for name in models for model in ("m", "m.1", "m-1", "mx1", "kept")]
        return [match.group("dataset", "model") for path in paths if (match := pattern.fullmatch(path))]

    assert made("trained") == [("a", "m"), ("a", "m.1"), ("a-b", "m.1"), ("c", "m")]
    assert made("trained with snapshots") == [("a", "kept")]
    assert made("finished") == [("a-b", "m"), ("c", "m-1")]
    code = plan.training_code()
    codes = [code(SimpleNamespace(dataset=name, model="m")) for name in ("a", "c")]
    assert len({*codes, code(SimpleNamespace(dataset="a", model="m.1"))}) == 3


@pytest.mark.parametrize(
    "others", [{}, {"mine": {"weights": "timm:resnet18"}}, {"kept": {"training": {"snapshots": [0]}}}]
)
def test_a_study_alone_names_few_models_in_the_pattern_of_its_name(others):
    """Snakemake goes through the pattern for every file: a thousand names in it cost seconds."""
    models = {"standard": {}, **{f"pgd-{n}": {"adversary": {"eps": n / 255}} for n in range(1, 9)}, **others}
    plan = Plan({**DEFAULT, "models": models, "expected": {}, "display": {}}, SCRIPTS)
    dataset, model = plan.dataset_of("trained"), plan.pattern("model")
    pattern = re.compile(f"results/(?P<dataset>{dataset})/models/(?P<model>{model})/")
    made = [model for model in models if pattern.fullmatch(f"results/cues/models/{model}/")]
    assert made == [model for model in models if model not in others]
    assert "pgd" not in dataset


def test_a_training_is_told_its_own_adversary_and_no_other():
    asks = Plan(FULL, SCRIPTS).asks
    told = {
        model: json.loads(asks.training(SimpleNamespace(dataset="cues-full", model=model, seed="0")))["adversary"]
        for model in ("standard", "underfit", "calibration-shape", "fgsm-8", "pgd-l2-12", "spatial")
    }
    assert told == {
        "standard": None,
        "underfit": None,
        "calibration-shape": None,
        "fgsm-8": "shapelens.training.adversarial:pgd_adversary",
        "pgd-l2-12": "shapelens.training.adversarial:pgd_adversary",
        "spatial": "shapelens.training.spatial:spatial_adversary",
    }
    assert imported(told["spatial"]) is spatial_adversary and imported(told["fgsm-8"]) is pgd_adversary


@pytest.mark.parametrize(
    ("key", "dataset", "models"),
    [
        ("dataset.path", {"kind": "image_folder", "path": "nowhere/at-all"}, {"m": {}}),
        ("models.m.weights", {"kind": "cues"}, {"m": {"weights": "nowhere.safetensors", "arch": "resnet18"}}),
    ],
)
def test_a_path_that_does_not_exist_stops_the_run_before_it_starts(key, dataset, models):
    with pytest.raises(UserError, match=re.escape(key)):
        Plan({"dataset": dataset, "models": models}, SCRIPTS)


def test_the_whole_raw_config_is_kept_for_the_report(plan):
    assert json.loads(plan.studies.raw)["dataset"] == DEFAULT["dataset"]


def test_claim_ids_may_be_numbers_in_yaml():
    raw = {**DEFAULT, "expected": {10: "yes", "1a": "no"}}
    assert Plan(raw, SCRIPTS).studies["cues"].expected["10"].verdict == "yes"


def test_published_style_networks_are_fetched_or_taken_from_a_file(tmp_path):
    mine = tmp_path / "decoder.pth"
    mine.write_bytes(b"weights")
    raw = {**DEFAULT, "stylisation": {"networks": {"source": "published", "decoder": str(mine)}}}
    plan = Plan(raw, SCRIPTS)
    assert plan.files.style_weights(at()) == {
        "published_encoder": "resources/vgg_normalised.pth",
        "published_decoder": str(mine),
    }
    before = plan.asks.style_networks(at())
    mine.write_bytes(b"others, of another length")
    assert Plan(raw, SCRIPTS).asks.style_networks(at()) != before
    assert Plan(DEFAULT, SCRIPTS).files.style_weights(at()) == {}


def test_styles_that_are_not_there_stop_the_run_before_any_job(tmp_path):
    raw = {**DEFAULT, "stylisation": {"styles": {"kind": "folder", "path": str(tmp_path / "paintngs")}}}
    (tmp_path / "paintings").mkdir()
    with pytest.raises(UserError, match=r"stylisation\.styles\.path of study cues: .*did you mean paintings"):
        Plan(raw, SCRIPTS)


def test_a_study_without_stylised_sets_makes_nothing_of_them():
    testsets = {key: value for key, value in DEFAULT["testsets"].items() if key not in ("stylised", "cue_conflict")}
    raw = {**DEFAULT, "testsets": testsets, "saliency": {"testsets": ["clean"]}}
    plan = Plan(raw, SCRIPTS)
    assert not [path for path in plan.files.result_files() if "styl" in path or "figure3" in path or "table2" in path]


def test_the_spatial_figure_needs_a_spatial_model():
    models = {name: model for name, model in DEFAULT["models"].items() if name != "spatial"}
    figures = {figure for _, figure in Plan({**DEFAULT, "models": models}, SCRIPTS).files.figures()}
    assert "figure8" not in figures and "figure9" in figures


def test_jobs_that_see_only_copies_declare_every_file_that_a_manifest_names(plan):
    """Without the styles of a stylised set, its hashes could not be compared in a container."""
    from shapelens.stylisation.testset import ARRAYS

    copies = Plan(DEFAULT, SCRIPTS, copies=True)
    declared = copies.files.testset_arrays(copies.files.read_by("predictions"))(at())
    for name in copies.studies["cues"].testset_names():
        folder = f"results/cues/testsets/{name}/"
        stylised = name in copies.studies["cues"].testsets.stylisations()
        wanted = ARRAYS if stylised else ARRAYS[:3]
        assert {path.removeprefix(folder) for path in declared if path.startswith(folder)} == set(wanted)
    # Where jobs see the results themselves, one array stands for the others of its job.
    shared = plan.files.testset_arrays(plan.files.read_by("predictions"))(at())
    assert {path.rsplit("/", 1)[1] for path in shared} == {"images.npy"}
    assert len(shared) == len(plan.studies["cues"].testset_names())
    assert plan.record_files() == [] and "results/cues/models/standard/seed0/run.json" in copies.record_files()


def test_a_spec_is_the_same_whether_it_is_asked_once_or_often(plan):
    fresh = Plan(DEFAULT, SCRIPTS)
    for ask in (fresh.asks.statistics, fresh.asks.figure):
        assert ask(at(figure="figure5")) == ask(at(figure="figure5"))
    assert not json.loads(fresh.asks.statistics(at()))["grid"][0]["label"]
    assert json.loads(fresh.asks.table(at(table="table1")))["grid"][0]["label"]
    assert fresh.asks.statistics(at()) == plan.asks.statistics(at())


@pytest.mark.parametrize(
    ("source", "asked", "detail"),
    [("trained", {}, 2.0), ("published", {}, 0.0), ("published", {"detail": 3}, 3.0), ("trained", {"detail": 0}, 0.0)],
)
def test_detail_is_exchanged_unless_networks_are_published(source, asked, detail):
    testsets = {"stylised": asked, "cue_conflict": asked}
    saliency = {**DEFAULT["saliency"], "testsets": ["clean"]}
    raw = {**DEFAULT, "testsets": testsets, "saliency": saliency, "stylisation": {"networks": {"source": source}}}
    for name in ("stylised", "cue-conflict"):
        spec = json.loads(Plan(raw, SCRIPTS).asks.stylised(at(testset=name)))
        assert spec["testset"]["detail"] == detail


EXPECTED = {"methods": ["grad", "expected-gradients"], "testsets": ["clean"]}


def test_training_images_are_read_where_a_method_asks_for_them_and_nowhere_else(plan):
    asking = Plan({**DEFAULT, "saliency": EXPECTED}, SCRIPTS)
    wildcards = at(model="standard", seed="0")

    def inputs(which, instrument):
        return {name: paths(wildcards) for name, paths in which.files.training_read_by(instrument).items()}

    folder = "results/cues/data"
    assert inputs(asking, "saliency") == {
        "training": [f"{folder}/train/images.npy", f"{folder}/train/labels.npy"],
        "training_record": [f"{folder}/manifest.json"],
    }
    for which, instrument in ((plan, "saliency"), (asking, "predictions"), (asking, "robust")):
        assert inputs(which, instrument) == {"training": [], "training_record": []}


def test_the_code_of_a_method_counts_where_it_is_asked_for(tmp_path):
    """Of the studies of one run, the digest of the one without the method stays, and the planted fault moves both."""
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    asking = {"saliency": EXPECTED, "dataset": {**DEFAULT["dataset"], "name": "asking"}}
    raw = {"studies": {"cues": DEFAULT, "asking": {**DEFAULT, **asking}}}

    def digests():
        code = Plan(raw, scripts).measuring_code(INSTRUMENTS["saliency"])
        return {name: code(SimpleNamespace(dataset=name)) for name in ("cues", "asking")}

    def changed(file):
        before, path = digests(), scripts / "shapelens" / file
        path.write_text(path.read_text() + "\n\nEXTRA = 1\n")
        after = digests()
        return {name for name in before if before[name] != after[name]}

    assert changed("attribution/expected_gradients.py") == {"asking"}
    assert changed("instruments/saliency/expected.py") == {"asking"}
    assert changed("attribution/integrated_gradients.py") == set()
    assert changed("attribution/maps.py") == {"cues", "asking"}


def test_saliency_is_told_how_images_were_drawn_and_no_other_instrument(plan):
    wildcards = at(model="standard", seed="0")
    asked = ("predictions", "robust", "saliency")
    told = {name: json.loads(plan.asks.measurement(name)(wildcards))["cues"] for name in asked}
    assert told.pop("saliency") == plan.studies["cues"].dataset.model_dump(mode="json")
    assert set(told.values()) == {None}


def test_tables_and_figures_of_attributions_are_those_that_the_study_allows(plan):
    def ids(**changes):
        made = Plan({**DEFAULT, **changes}, SCRIPTS)
        return {name for _, name in made.files.tables()}, {name for _, name in made.files.figures()}

    tables, figures = ids(seeds=[0])
    assert "on_object" in tables and "saliency_seeds" not in tables
    assert "on_object" in figures and not {name for name in figures if name.startswith("attributions")}
    tables, figures = ids(seeds=[0, 1], saliency=EXPECTED)
    assert "saliency_seeds" in tables
    assert {name for name in figures if name.startswith("attributions")} == {"attributions-expected-gradients"}
    both = {"methods": ["integrated-gradients", "expected-gradients"]}
    assert "attributions" in ids(saliency=both)[1]
    tables, figures = ids(dataset={"kind": "cifar10"}, testsets={}, saliency=EXPECTED, expected={})
    assert "on_object" not in tables | figures and "attributions-expected-gradients" in figures
