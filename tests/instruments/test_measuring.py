"""The job of every instrument: what it opens, what it writes, and what it refuses."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from shapelens.artefacts.files import save_npy, sha256, write_json
from shapelens.errors import UserError
from shapelens.instruments.measuring import Measured, measure_job
from shapelens.instruments.robust.spec import Robustness
from shapelens.instruments.spec import MeasurementJob
from shapelens.models import devices

MODEL = "results/d/models/m/seed0"
ROOM = "shapelens_room_of_a_test"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """One model, two test sets, and a room that notes what it was given instead of loading torch."""
    monkeypatch.chdir(tmp_path)
    for name in ("clean", "odd"):
        write_json(f"results/d/testsets/{name}/manifest.json", {"testset": name, "sha256": {}})
    write_json(f"{MODEL}/selection.json", {"weights_sha256": "w"})
    steps = []
    monkeypatch.setattr("shapelens.models.store.load_model", lambda folder, device: steps.append(folder) or "a model")
    monkeypatch.setattr(devices, "configure", lambda threads: steps.append("configure"))
    room = ModuleType(ROOM)
    room.measure = lambda job: steps.append(job) or Measured(pd.DataFrame({"image": [0, 1], "width": [1.0, 2.0]}))
    room.COLUMNS = ("image", "width")
    monkeypatch.setitem(sys.modules, ROOM, room)
    return SimpleNamespace(steps=steps, room=room)


class Output(SimpleNamespace):
    def get(self, name, default=None):
        return getattr(self, name, default)


def job(arrays=False, testsets=("clean",), inputs=("odd", "clean"), more=None, **settings):
    spec = MeasurementJob(instrument="toy", settings=settings, data_seed=7, testsets=testsets)
    made = {"rows": "results/d/toy/m/seed0.parquet", "record": "results/d/toy/m/seed0.json"}
    return SimpleNamespace(
        params=SimpleNamespace(spec=spec.canonical(), code="c", module=ROOM),
        input=SimpleNamespace(
            weights=f"{MODEL}/model.safetensors",
            manifests=[f"results/d/testsets/{name}/manifest.json" for name in inputs],
            **(more or {}),
        ),
        output=Output(**made, **({"arrays": "results/d/toy/m/seed0.npz"} if arrays else {})),
        resources=SimpleNamespace(batch=4, gpu=0),
        threads=1,
    )


def test_the_room_is_given_the_model_its_test_sets_and_its_settings(tree):
    measure_job(job(norm="inf", eps=0.1, step=0.02))
    configured, folder, given = tree.steps
    assert (configured, folder) == ("configure", Path(MODEL))
    assert given.classifier == "a model" and given.data_seed == 7 and given.batch == 4
    assert dict(given.testsets) == {"clean": Path("results/d/testsets/clean")}
    assert given.settings(Robustness).eps == 0.1


def test_rows_arrays_and_record_are_written(tree):
    tree.room.measure = lambda job: Measured(pd.DataFrame({"image": [0], "width": [1.0]}), {"maps": np.zeros(3)})
    measure_job(job(arrays=True))
    record = json.loads(Path("results/d/toy/m/seed0.json").read_text())
    assert set(record) == {"spec", "code", "inputs", "sha256"}
    assert record["inputs"]["weights"] == "w" and set(record["inputs"]["testsets"]) == {"clean"}
    assert record["sha256"] == {name: sha256(f"results/d/toy/m/{name}") for name in ("seed0.parquet", "seed0.npz")}


def test_training_images_are_opened_where_the_section_reads_them_and_their_record_is_kept(tree):
    measure_job(job())
    assert tree.steps[-1].training is None and tree.steps[-1].training_images() is None
    for name, array in (("images", np.zeros((2, 3, 4, 4), np.uint8)), ("labels", np.arange(2))):
        save_npy(f"results/d/data/train/{name}.npy", array)
    hashes = {f"{name}.npy": sha256(f"results/d/data/train/{name}.npy") for name in ("images", "labels")}
    write_json("results/d/data/manifest.json", {"splits": {"train": {"sha256": hashes}}})
    reading = job()
    reading.input.training_record = ["results/d/data/manifest.json"]
    measure_job(reading)
    assert tree.steps[-1].training_images().labels.tolist() == [0, 1]
    record = json.loads(Path("results/d/toy/m/seed0.json").read_text())
    assert record["inputs"]["training"] == sha256("results/d/data/manifest.json")
    Path("results/d/data/train/labels.npy").write_bytes(b"other")
    with pytest.raises(UserError, match=r"labels\.npy: its sha256 is"):
        measure_job(reading)


def test_the_judge_is_opened_where_there_is_one_and_its_weights_are_recorded(tree):
    measure_job(job())
    assert tree.steps[-1].judge is None
    assert "judge" not in json.loads(Path("results/d/toy/m/seed0.json").read_text())["inputs"]
    write_json("results/d/models/judge/seed0/selection.json", {"weights_sha256": "of the judge"})
    measure_job(job(more={"judge": "results/d/models/judge/seed0/model.safetensors"}))
    assert tree.steps[-1].judge == "a model" and Path("results/d/models/judge/seed0") in tree.steps
    assert json.loads(Path("results/d/toy/m/seed0.json").read_text())["inputs"]["judge"] == "of the judge"


def test_training_images_are_compared_with_their_record_and_recorded(tree):
    measure_job(job(more={"training": [], "training_record": []}))
    assert tree.steps[-1].training is None and tree.steps[-1].training_images() is None
    Path("results/d/data/train").mkdir(parents=True)
    record = "results/d/data/manifest.json"
    write_json(record, {"splits": {"train": {"sha256": {}}}})
    measure_job(job(more={"training": [], "training_record": [record]}))
    assert tree.steps[-1].training == Path("results/d/data/train")
    assert json.loads(Path("results/d/toy/m/seed0.json").read_text())["inputs"]["training"] == sha256(record)
    write_json(record, {"splits": {"train": {"sha256": {"images.npy": "0"}}}})
    with pytest.raises(UserError, match=r"images\.npy is missing"):
        measure_job(job(more={"training": [], "training_record": [record]}))


def test_rows_of_other_columns_than_the_room_names_are_refused(tree):
    tree.room.COLUMNS = ("image", "height")
    with pytest.raises(UserError, match=r"toy/measure\.py: .* image, width, but COLUMNS names image, height"):
        measure_job(job())
    assert not Path("results/d/toy/m/seed0.parquet").exists()


def test_arrays_that_are_declared_and_not_returned_are_refused(tree):
    with pytest.raises(UserError, match=r"instruments/toy: it declares arrays \(has_arrays\), .* returned none"):
        measure_job(job(arrays=True))


def test_arrays_that_are_returned_and_not_declared_are_not_dropped_in_silence(tree):
    tree.room.measure = lambda job: Measured(pd.DataFrame({"image": [0], "width": [1.0]}), {"maps": np.zeros(3)})
    with pytest.raises(UserError, match=r"instruments/toy: it declares no arrays \(has_arrays\), .* returned some"):
        measure_job(job())
    assert not Path("results/d/toy/m/seed0.parquet").exists()


def test_a_test_set_that_was_changed_is_not_measured(tree):
    write_json("results/d/testsets/clean/manifest.json", {"sha256": {"images.npy": "0"}})
    with pytest.raises(UserError, match=r"images\.npy is missing"):
        measure_job(job())
    assert not [step for step in tree.steps if not isinstance(step, str | Path)]


def test_the_state_lies_where_the_environment_says(monkeypatch):
    from shapelens.job import state_folder

    monkeypatch.delenv("SHAPELENS_STATE", raising=False)
    assert state_folder() == Path("results/.state")
    monkeypatch.setenv("SHAPELENS_STATE", "/volume/state")
    assert state_folder() == Path("/volume/state")
