"""How models are made: which rule makes which, what one name may mean in two studies, and snapshots as files."""

import re

import pytest
import yaml
from safetensors import safe_open

from shapelens.artefacts.files import read_json, sha256

from .conftest import copy_workflow

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the workflow without results, but for the weights of some model."""
    made = copy_workflow(tmp_path_factory.mktemp("models"))
    (made.path / "some.safetensors").write_bytes(b"weights")
    return made


def write(folder, **models):
    """Write a study for each keyword, with these models; returns the config's name."""
    study = folder.study()
    common = {key: study[key] for key in ("training", "network", "adversary", "robustness", "statistics")}
    dataset = {**study["studies"]["cues"]["dataset"]}
    parts = {name: {"dataset": {**dataset, "name": name}, "models": given} for name, given in models.items()}
    (folder.path / "models.yaml").write_text(yaml.safe_dump({**common, "studies": parts}))
    return "models.yaml"


def jobs(folder, config, *targets):
    """Return what would be made of models, by the jobs' messages, and how many jobs each rule has."""
    done = folder.snakemake(*targets, "-n", config=config)
    said = done.stdout + done.stderr
    messages = re.findall(r"^Job \d+: ((?:Training|Converting) .*)$", said, flags=re.MULTILINE)
    return sorted(messages), dict(re.findall(r"^(train\w*|import_model) +(\d+)$", said, flags=re.MULTILINE))


def test_one_name_is_trained_attacked_or_finished_as_each_study_says(folder):
    finished = {"weights": "some.safetensors", "arch": "resnet-small", "width": 4}
    config = write(
        folder,
        a={"m": {}, "m.1": {"adversary": {"eps": "4/255"}}},
        b={"m": finished, "m.1": {}},
        c={"m": {"adversary": {"kind": "spatial", "budget": 1}}, "m.1": finished},
        d={"m": {"training": {"snapshots": [0]}}, "m.1": {}},
    )
    weights = [f"results/{study}/models/{model}/seed0/model.safetensors" for study in "abcd" for model in ("m", "m.1")]
    messages, rules = jobs(folder, config, *weights)
    assert messages == [
        "Converting the finished model m of b",
        "Converting the finished model m.1 of c",
        "Training m on a, seed 0",
        "Training m on c, seed 0",
        "Training m on d, seed 0",
        "Training m.1 on a, seed 0",
        "Training m.1 on b, seed 0",
        "Training m.1 on d, seed 0",
    ]
    assert rules == {"train": "5", "train_with_snapshots": "1", "import_model": "2"}


def test_a_model_without_snapshots_has_no_file_of_them(folder):
    config = write(folder, a={"m": {}, "kept": {"training": {"snapshots": [0]}}})
    asked = "results/a/models/{}/seed0/snapshots.safetensors"
    assert jobs(folder, config, asked.format("kept"))[1] == {"train_with_snapshots": "1"}
    refused = folder.snakemake(asked.format("m"), "-n", check=False, config=config)
    assert refused.returncode and "MissingRuleException" in refused.stdout + refused.stderr


def test_snapshots_are_made_by_the_training_and_named_in_its_record(folder):
    config = write(folder, a={"kept": {"training": {"snapshots": [2, 0], "epochs": 2}}})
    place = "results/a/models/kept/seed0"
    folder.snakemake(f"{place}/snapshots.safetensors", "--cores", "1", config=config)
    with safe_open(folder.path / place / "snapshots.safetensors", framework="np") as file:
        assert {key.partition("/")[0] for key in file.keys()} == {"epoch0", "epoch2"}  # noqa: SIM118
    record = read_json(folder.path / place / "selection.json")["snapshots"]
    assert record == {"epochs": [0, 2], "sha256": sha256(folder.path / place / "snapshots.safetensors")}
    targets = [f"{place}/{name}" for name in ("model.safetensors", "snapshots.safetensors")]
    assert jobs(folder, config, *targets) == ([], {})
    # Another list is another training.
    config = write(folder, a={"kept": {"training": {"snapshots": [1], "epochs": 2}}})
    assert jobs(folder, config, *targets)[0] == ["Training kept on a, seed 0"]
