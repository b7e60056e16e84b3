"""Weights at the end of chosen epochs: what they are of, that a kill changes none, and how they are read."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shapelens.artefacts.files import read_json, sha256, write_json
from shapelens.errors import UserError
from shapelens.models.from_elsewhere import initialise
from shapelens.models.snapshots import gather_snapshots, open_snapshots
from shapelens.models.store import load_model
from shapelens.training import loop as loop_module

from .small import ADVERSARY, DECIDING, KilledError, contents, execute, kill_at, spec

torch.set_num_threads(1)
FILE = "snapshots.safetensors"
EPOCHS = [0, 1, 3]
CASES = {
    "standard": (spec("standard", snapshots=EPOCHS), None),
    "pgd-inf-8": (spec("pgd-inf-8", ADVERSARY, snapshots=EPOCHS), None),
    "underfit": (spec("underfit", match_every=3, snapshots=EPOCHS), 2.0),
}


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("unbroken")
    for name, (run, target) in CASES.items():
        execute(run, data, root / name, root / "state", target)
    assert not list((root / "state").iterdir())
    return {name: root / name for name in CASES}


def test_the_first_is_the_initialisation_and_the_last_the_end(unbroken: dict[str, Path], data: Path) -> None:
    manifest = read_json(data / "manifest.json")
    for name, folder in unbroken.items():
        snapshots = open_snapshots(folder / FILE)
        assert list(snapshots) == EPOCHS and len(snapshots) == 3
        run = CASES[name][0]
        begin = initialise(run.network, 3, manifest["channel_mean"], manifest["channel_std"], run.seed).state_dict()
        assert snapshots[0].keys() == begin.keys()
        assert all(torch.equal(tensor, begin[key]) for key, tensor in snapshots[0].items())
        selection, kept = read_json(folder / "selection.json"), load_file(folder / "model.safetensors")
        assert selection["snapshots"] == {"epochs": EPOCHS, "sha256": sha256(folder / FILE)}
        same = [epoch for epoch in snapshots if all(torch.equal(t, kept[key]) for key, t in snapshots[epoch].items())]
        assert same == [epoch for epoch in EPOCHS if 4 * epoch == selection["step"]]
        assert not torch.equal(*(snapshots[epoch]["network.fc.weight"] for epoch in (1, 3)))
        # Loaded into the model they are that model, earlier.
        model = load_model(folder)
        model.load_state_dict(snapshots[1])
        assert torch.equal(model.state_dict()["network.fc.weight"], snapshots[1]["network.fc.weight"])
    assert read_json(unbroken["standard"] / "selection.json")["step"] == 12


def test_epochs_in_the_middle_are_those_of_a_shorter_training(data: Path, tmp_path: Path) -> None:
    """A training at a constant rate, stopped after an epoch, ends where the longer one passes."""
    outs = []
    for epochs, snapshots in ((1, []), (3, [1])):
        pieces = {"kind": "piecewise", "epochs": [epochs], "factors": [1]}
        outs.append(tmp_path / str(epochs))
        execute(spec(epochs=epochs, schedule=pieces, snapshots=snapshots), data, outs[-1], tmp_path / "state")
    short, passed = load_file(outs[0] / "model.safetensors"), open_snapshots(outs[1] / FILE)[1]
    assert short.keys() == passed.keys() and all(torch.equal(short[key], passed[key]) for key in short)


def test_keeping_them_changes_no_result(data: Path, unbroken: dict[str, Path], tmp_path: Path) -> None:
    for name, (run, target) in CASES.items():
        plain = run.model_copy(update={"training": run.training.model_copy(update={"snapshots": ()})})
        execute(plain, data, tmp_path / name, tmp_path / "state", target)
        assert {path.name for path in (tmp_path / name).iterdir()} == {*DECIDING, "run.json"}
        for file in ("model.safetensors", "history.csv"):
            assert contents(tmp_path / name)[file] == contents(unbroken[name])[file]
        selection = read_json(unbroken[name] / "selection.json")
        del selection["snapshots"]
        assert read_json(tmp_path / name / "selection.json") == selection


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("often", [True, False])
def test_a_killed_training_has_the_same_snapshots(
    name: str, often: bool, data: Path, unbroken: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, target = CASES[name]
    monkeypatch.setattr(loop_module, "SAVE_SECONDS", 0.0 if often else 60.0)
    for step in (0, 2, 3, 4) if often else (3, 5):
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            kill_at(patch, step)
            execute(run, data, tmp_path / "out", tmp_path / "state", target)
        assert not (tmp_path / "out").exists()
    execute(run, data, tmp_path / "out", tmp_path / "state", target)
    assert contents(tmp_path / "out") == contents(unbroken[name])
    assert sha256(tmp_path / "out" / FILE) == sha256(unbroken[name] / FILE)
    assert not list((tmp_path / "state").iterdir())


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("damaged", [True, False])
def test_a_training_that_lost_a_snapshot_begins_anew(
    epoch: int,
    damaged: bool,
    data: Path,
    unbroken: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        kill_at(patch, 6)
        execute(CASES["standard"][0], data, tmp_path / "out", tmp_path / "state")
    (folder,) = (tmp_path / "state").iterdir()
    part = folder / f"epoch{epoch}.safetensors"
    part.write_bytes(part.read_bytes()[:100]) if damaged else part.unlink()
    execute(CASES["standard"][0], data, tmp_path / "out", tmp_path / "state")
    assert f"the snapshot of epoch {epoch} is gone or damaged: this training begins anew" in caplog.text
    assert sha256(tmp_path / "out" / FILE) == sha256(unbroken["standard"] / FILE)


@pytest.mark.parametrize(
    ("accuracies", "asked", "kept"),
    [
        ([0.3, 0.8], [0, 1, 3], [0, 1]),  # it stops at step 4, the end of the first epoch
        ([0.3, 0.6, 0.8], [0, 1, 2], [0, 1]),  # within the second
        ([0.8], [2, 3], []),
    ],
)
def test_a_matched_model_that_stops_early_has_those_of_the_epochs_that_it_finished(
    accuracies: list[float],
    asked: list[int],
    kept: list[int],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = iter([(value, None, None) for value in accuracies])
    monkeypatch.setattr(loop_module._Training, "_accuracies", lambda _: next(told))
    execute(spec("underfit", match_every=2, snapshots=asked), data, tmp_path / "out", tmp_path / "state", 0.8)
    assert list(open_snapshots(tmp_path / "out" / FILE)) == kept
    assert read_json(tmp_path / "out" / "selection.json")["snapshots"]["epochs"] == kept
    missed = ", ".join(str(epoch) for epoch in asked if epoch not in kept)
    assert f"no snapshot of epoch {missed}: training ended at step {2 * len(accuracies)}" in caplog.text


def test_a_file_that_is_not_the_trainings_own_is_refused(unbroken: dict[str, Path], tmp_path: Path) -> None:
    whole = unbroken["standard"] / FILE
    with pytest.raises(UserError, match=r"snapshots\.safetensors is missing.*training\.snapshots"):
        open_snapshots(tmp_path / FILE)
    (tmp_path / FILE).write_bytes(whole.read_bytes()[:-4])
    with pytest.raises(UserError, match="not a safetensors file"):
        open_snapshots(tmp_path / FILE)
    save_file({"network.fc.weight": torch.zeros(1)}, tmp_path / FILE)
    with pytest.raises(UserError, match=r"'network\.fc\.weight' is no tensor of a snapshot"):
        open_snapshots(tmp_path / FILE)
    write_json(tmp_path / "selection.json", {"snapshots": {"epochs": EPOCHS, "sha256": sha256(whole)}})
    with pytest.raises(UserError, match=FILE):
        open_snapshots(tmp_path / FILE)
    with pytest.raises(KeyError):
        open_snapshots(whole)[2]


def test_parts_that_another_process_has_removed_are_named(tmp_path):
    """A job that a killed Snakemake left may finish the same training first."""
    with pytest.raises(UserError, match=r"epoch1\.safetensors is gone or damaged: .* Give the same command again"):
        gather_snapshots(tmp_path, [1], tmp_path / "snapshots.safetensors")
    assert not (tmp_path / "snapshots.safetensors").exists()
