"""Which models were trained with which arithmetic, as their run.json say."""

import json
import logging
import shutil

import pytest

from shapelens.artefacts.arithmetic import arithmetic_of, arithmetic_words
from shapelens.artefacts.provenance import run_record

AVX2 = {
    "device": "Old", "type": "cpu", "threads": 1, "torch": "2", "instruction_set": "AVX2", "precision": "fp32",
    "seconds": 3.2,
}  # fmt: skip
AMX = {**AVX2, "device": "New", "instruction_set": "AVX512, AVX512-BF16, AMX", "precision": "bf16"}


@pytest.fixture
def results(tmp_path):
    """Two models with two seeds each, one of which was trained on another machine, and a finished model."""
    runs = {("standard", 0): AVX2, ("standard", 1): AVX2, ("pgd", 0): AVX2, ("pgd", 10): AMX}
    for (model, seed), record in runs.items():
        write(tmp_path, model, seed, record)
    write(tmp_path, "mine", 0, {"device": "New", "type": "cpu", "threads": 2, "weights": "file.pth"})
    return tmp_path


def write(results, model, seed, record):
    folder = results / "cues/models" / model / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(record))


def test_models_of_one_arithmetic_are_one_group(results):
    write(results, "pgd", 10, {**AVX2, "device": "Another", "seconds": 9})  # another processor's name decides nothing
    (group,) = arithmetic_of(results / "cues/models")
    assert group == {
        "precision": "fp32", "type": "cpu", "threads": 1, "instruction_set": "AVX2", "torch": "2", "gpu": None,
        "devices": ["Another", "Old"], "models": {"pgd": [0, 10], "standard": [0, 1]},
    }  # fmt: skip
    assert arithmetic_words([group]) == "trained in fp32 on the CPU (AVX2), 1 thread, torch 2"


def test_a_tree_of_two_machines_names_which_model_is_whose(results, caplog):
    groups = arithmetic_of(results / "cues/models")
    assert [group["models"] for group in groups] == [{"pgd": [0], "standard": [0, 1]}, {"pgd": [10]}]
    said = arithmetic_words(groups)
    assert (
        "pgd (seed 0), standard (seeds 0, 1) in fp32 on the CPU (AVX2), 1 thread, torch 2; pgd (seed 10) in bf16"
        in said
    )
    with caplog.at_level(logging.WARNING, "shapelens"):
        record = run_record(results, results, "{}", ["cues"])
    assert record["arithmetic"] == {"cues": groups} and caplog.messages == [f"cues: {said}"]


def test_a_record_is_of_the_studies_of_its_config_alone(results):
    (results / "other/models/a/seed0").mkdir(parents=True)
    (results / "other/models/a/seed0/run.json").write_text(json.dumps(AVX2))
    (results / "other/tables").mkdir()
    (results / "other/tables/b.csv").write_text("b")
    record = run_record(results, results, "{}", ["cues"])
    assert list(record["arithmetic"]) == ["cues"] and not record["sha256"]
    assert record["artefacts"] and not any(name.startswith("other") for name in record["artefacts"])
    both = run_record(results, results, "{}", ["cues", "other"])
    assert set(both["arithmetic"]) == {"cues", "other"} and list(both["sha256"]) == ["other/tables/b.csv"]


@pytest.mark.parametrize(
    "change", [{"threads": 2}, {"torch": "3"}, {"precision": "bf16"}, {"instruction_set": "AVX512"}]
)
def test_each_thing_that_decides_bits_tells_models_apart(results, change):
    write(results, "pgd", 10, {**AVX2, **change})
    assert len(arithmetic_of(results / "cues/models")) == 2


def test_a_gpus_name_decides_and_earlier_records_are_unknown(results):
    gpu = {**AVX2, "type": "cuda", "instruction_set": "sm_90"}
    for seed, name in enumerate(("H100", "H200")):
        write(results, "standard", seed, {**gpu, "device": name})
    write(results, "pgd", 0, {key: value for key, value in AVX2.items() if key != "instruction_set"})
    groups = arithmetic_of(results / "cues/models")
    assert sorted(str(group["gpu"]) for group in groups) == ["H100", "H200", "None", "None"]
    assert "unknown" in [group["instruction_set"] for group in groups]


def test_damaged_records_and_no_models_stop_nothing(results):
    (results / "cues/models/pgd/seed10/run.json").write_text("{")
    assert len(arithmetic_of(results / "cues/models")) == 1
    shutil.rmtree(results / "cues")
    assert arithmetic_of(results / "cues/models") == [] and arithmetic_words([]) == ""
