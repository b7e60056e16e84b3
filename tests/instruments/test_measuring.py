"""A model's measurements share one process, and nothing that does not match is ever taken from the store."""

import json
from types import SimpleNamespace

import pytest

from shapelens.artefacts.files import write_json
from shapelens.instruments import measuring as measurement
from shapelens.instruments.measuring import Request, announce, companions, measure, request_of
from shapelens.models import devices

MODEL = "results/d/models/m/seed0"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """One model, two test sets, and writers that note who was measured instead of loading torch."""
    monkeypatch.chdir(tmp_path)
    for name in ("clean", "odd"):
        write_json(f"results/d/testsets/{name}/manifest.json", {"testset": name, "sha256": {}})
    write_json(f"{MODEL}/selection.json", {"weights_sha256": "w"})
    written = []

    def write(_classifier, _device, request, path):
        written.append(request.kind)
        path.write_text(f"{request.kind} {json.dumps(dict(request.spec))}")

    monkeypatch.setattr("shapelens.models.store.load_model", lambda folder, device: "a model")
    monkeypatch.setattr(measurement.importlib, "import_module", lambda name: SimpleNamespace(**dict.fromkeys(
        ("write_predictions", "write_robust", "write_maps"), write)))  # fmt: skip
    announce({"d": {rule: wanted(rule) for rule in ("robust", "saliency")}})
    return SimpleNamespace(written=written, write=lambda: write)


def wanted(rule, **changes):
    entry = {"spec": json.dumps({"of": rule}), "code": f"code {rule}", "testsets": ["clean"], "models": ["m"]}
    return {**entry, **changes}


def job(rule, spec=None, code=None, prefix="", testsets=("clean",), results="results"):
    params = SimpleNamespace(spec=json.dumps(spec or {"of": rule}), code=code or f"code {rule}")
    return SimpleNamespace(
        rule=prefix + rule,
        params=params,
        input=SimpleNamespace(manifests=[f"{results}/d/testsets/{name}/manifest.json" for name in testsets]),
        output=SimpleNamespace(record=f"{results}/d/{measurement.KINDS[rule].folder}/m/seed0.json"),
        wildcards=SimpleNamespace(dataset="d", model="m", seed="0"),
        resources=SimpleNamespace(batch=4, gpu=0),
        threads=1,
    )


def test_the_first_process_makes_all_and_the_others_take_it(tree):
    measure(job("predict"), tree.write)
    assert tree.written == ["predict", "robust", "saliency"]
    for rule, path in (("robust", "robust/m/seed0.parquet"), ("saliency", "maps/m/seed0.npz")):
        measure(job(rule), lambda: pytest.fail("measured again"))
        assert measurement.Path(f"results/d/{path}").read_text().startswith(rule)
    assert not list(measurement.STORE.rglob("*.*"))


def test_a_gpu_is_leased_first_and_only_by_who_measures(tree, monkeypatch):
    steps = []
    monkeypatch.setattr(measurement, "lease_gpus", lambda snakemake: steps.append("lease"))
    monkeypatch.setattr(devices, "configure", lambda threads: steps.append("torch"))
    measure(job("predict"), tree.write)
    assert steps == ["lease", "torch"]
    measure(job("robust"), lambda: pytest.fail("measured again"))
    assert steps == ["lease", "torch"]


@pytest.mark.parametrize(
    "different",
    [
        {"spec": {"of": "robust", "eps": 1}},
        {"code": "other code"},
        {"testsets": ("clean", "odd")},
    ],
)
def test_what_does_not_match_is_measured_anew(tree, different):
    measure(job("predict"), tree.write)
    tree.written.clear()
    measure(job("robust", **different), tree.write)
    assert tree.written == ["robust"]


@pytest.mark.parametrize("file", ["results/d/testsets/clean/manifest.json", f"{MODEL}/selection.json"])
def test_other_weights_or_images_are_measured_anew(tree, file):
    measure(job("predict"), tree.write)
    tree.written.clear()
    write_json(file, {"weights_sha256": "others", "sha256": {}})
    measure(job("robust"), tree.write)
    assert tree.written == ["robust"]


def test_what_is_up_to_date_is_not_made_again(tree):
    for rule in ("predict", "robust", "saliency"):
        measure(job(rule), tree.write)
    tree.written.clear()
    measure(job("predict", testsets=("clean", "odd")), tree.write)
    assert tree.written == ["predict"]


def test_only_what_is_stale_is_made_along_the_way(tree):
    for rule in ("predict", "robust", "saliency"):
        measure(job(rule), tree.write)
    announce({"d": {"robust": wanted("robust"), "saliency": wanted("saliency", code="new code")}})
    assert [other.kind for other in companions(request_of(job("predict")))] == ["saliency"]
    announce({"d": {"robust": wanted("robust", testsets=["missing"]), "saliency": wanted("saliency", models=[])}})
    assert companions(request_of(job("predict"))) == []


def test_a_failure_along_the_way_spoils_nothing(tree, monkeypatch):
    def broken(name):
        raise RuntimeError("no such module")

    monkeypatch.setattr(measurement.importlib, "import_module", broken)
    measure(job("predict"), tree.write)
    assert tree.written == ["predict"]
    measure(job("robust"), tree.write)
    assert tree.written == ["predict", "robust"]


def test_a_leftover_of_another_spec_is_removed(tree):
    measure(job("predict"), tree.write)
    announce({"d": {"robust": wanted("robust", code="new code")}})
    measure(job("predict", code="new"), tree.write)
    assert len(list((measurement.STORE / "d").glob("robust-*"))) == 1


def test_the_record_names_all_that_decides(tree):
    measure(job("predict", prefix="mine_"), tree.write)
    record = json.loads(measurement.Path("results/d/predictions/m/seed0.json").read_text())
    assert record["inputs"]["weights"] == "w" and set(record["inputs"]["testsets"]) == {"clean"}
    assert set(record) == {"spec", "code", "inputs", "sha256"}


def test_every_kind_names_the_function_that_its_adapter_imports():
    from pathlib import Path

    scripts = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
    for rule, kind in measurement.KINDS.items():
        module, _, function = kind.writer.partition(":")
        assert f"from {module} import {function}" in (scripts / f"{rule}.py").read_text()


def test_requests_differ_in_everything_that_decides(tree):
    base = request_of(job("robust"))
    assert base.stored() == request_of(job("robust")).stored()
    others = [Request(**{**vars(base), **change}) for change in ({"code": "x"}, {"spec": {}}, {"model": "n"})]
    write_json("results/d/models/n/seed0/selection.json", {"weights_sha256": "w"})
    assert len({base.stored(), *(other.stored() for other in others)}) == 4
    assert Request(**{**vars(base), "batch": 1}).stored() == base.stored()


def test_nothing_is_made_along_the_way_where_the_store_would_be_lost(tree, monkeypatch):
    """A job whose results are copies of a storage has a store of its own, unless a shared folder is named."""
    monkeypatch.setattr(measurement, "STORE", measurement.Path("lost"))
    for name in ("testsets/clean/manifest.json", "models/m/seed0/selection.json"):
        write_json(f"copies/results/d/{name}", {"weights_sha256": "w", "sha256": {}})
    measure(job("predict", results="copies/results"), tree.write)
    assert tree.written == ["predict"]
    assert measurement.Path("copies/results/d/predictions/m/seed0.parquet").exists()
    assert not measurement.Path("results/d/predictions").exists()
    monkeypatch.setenv("SHAPELENS_STATE", "shared")
    measure(job("predict", results="copies/results"), tree.write)
    assert tree.written == ["predict", "predict", "robust", "saliency"]


def test_the_state_lies_where_the_environment_says(monkeypatch):
    from shapelens.job import state_folder

    monkeypatch.delenv("SHAPELENS_STATE", raising=False)
    assert state_folder() == measurement.Path("results/.state")
    monkeypatch.setenv("SHAPELENS_STATE", "/volume/state")
    assert state_folder() == measurement.Path("/volume/state")
