"""The training loop: deterministic, resumable bit for bit, and honest about which checkpoint it keeps."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shapelens.artefacts.files import read_json, sha256, write_json
from shapelens.errors import UserError
from shapelens.models.from_elsewhere import initialise
from shapelens.models.spec import Network
from shapelens.models.store import load_model
from shapelens.seeds import derive
from shapelens.training import loop as loop_module
from shapelens.training import state as state_module
from shapelens.training.adversarial import pgd_adversary
from shapelens.training.loop import Images, train
from shapelens.training.optimiser import Sgd
from shapelens.training.run import run_training
from shapelens.training.selection import Target
from shapelens.training.spec import TrainingRun

from .small import ADVERSARY, CPU, DECIDING, KilledError, contents, execute, kill_at, spec

torch.set_num_threads(1)


CASES = {
    "standard": (spec("standard"), None),
    "pgd-inf-8": (spec("pgd-inf-8", ADVERSARY), None),
    "released": (spec("released", ADVERSARY, recipe="released"), None),
    "underfit": (spec("underfit", match_every=2), 0.99),
    "fp32": (spec("fp32", ADVERSARY, precision="fp32"), None),
}


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every case trained without an interruption."""
    root = tmp_path_factory.mktemp("unbroken")
    for name, (run, target) in CASES.items():
        execute(run, data, root / name, root / "state", target)
    return {name: root / name for name in CASES}


def test_files_of_a_run(unbroken: dict[str, Path]) -> None:
    assert not list((unbroken["standard"].parent / "state").iterdir())
    for name, folder in unbroken.items():
        assert {path.name for path in folder.iterdir()} == {*DECIDING, "run.json"}
        selection = read_json(folder / "selection.json")
        assert selection["weights_sha256"] == sha256(folder / "model.safetensors")
        assert read_json(folder / "spec.json")["spec"]["classes"] == 3
        history = (folder / "history.csv").read_text().splitlines()
        assert history[0] == "epoch,step,lr,loss,validation_accuracy,validation_fgsm,validation_pgd"
        assert history[1].endswith(",,") is (CASES[name][0].adversary is None)
        assert read_json(folder / "run.json")["images_per_second"] > 0
    assert len((unbroken["pgd-inf-8"] / "history.csv").read_text().splitlines()) == 4


def test_the_kept_weights_have_the_accuracy_that_is_stated(unbroken: dict[str, Path], data: Path) -> None:
    images = torch.from_numpy(np.load(data / "validation/images.npy"))
    labels = torch.from_numpy(np.load(data / "validation/labels.npy"))
    for folder in unbroken.values():
        accuracy = float((load_model(folder)(images / 255).argmax(1) == labels).double().mean())
        assert accuracy == pytest.approx(read_json(folder / "selection.json")["validation_accuracy"], abs=1 / 36 + 1e-9)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("often", [True, False])
def test_a_killed_run_ends_with_the_same_bytes(
    name: str, often: bool, data: Path, unbroken: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, target = CASES[name]
    monkeypatch.setattr(loop_module, "SAVE_SECONDS", 0.0 if often else 60.0)
    rng = np.random.default_rng(len(name) + often)
    for step in rng.integers(0, 5 if target is None else 3, 2):
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            kill_at(patch, int(step) if often else 5)
            execute(run, data, tmp_path / "out", tmp_path / "state", target)
        if not often:
            break
        assert not (tmp_path / "out").exists()
    execute(run, data, tmp_path / "out", tmp_path / "state", target)
    assert contents(tmp_path / "out") == contents(unbroken[name])
    assert not list((tmp_path / "state").iterdir())


@pytest.mark.parametrize("name", CASES)
def test_sigterm_saves_the_step_it_comes_in(
    name: str,
    data: Path,
    unbroken: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run, target = CASES[name]
    whole, count = Sgd.step, iter(range(1, 10**6))

    def asked(self: Sgd, lr: float) -> None:
        if next(count) == 3:
            signal.raise_signal(signal.SIGTERM)
        whole(self, lr)

    def die(*_: object) -> None:
        raise KilledError

    before = signal.signal(signal.SIGTERM, die)
    try:
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(Sgd, "step", asked)
            execute(run, data, tmp_path / "out", tmp_path / "state", target)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "ends at step 3 (SIGTERM), saved" in caplog.text
    assert not (tmp_path / "out").exists()
    with caplog.at_level("INFO"):
        execute(run, data, tmp_path / "out", tmp_path / "state", target)
    assert "continues at step 3 of 12" in caplog.text
    assert contents(tmp_path / "out") == contents(unbroken[name])


def test_a_resume_that_forgets_something_is_caught(
    data: Path, unbroken: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "SAVE_SECONDS", 0.0)
    whole = state_module.load_state

    def without_momentum(folder: Path, device: torch.device) -> Any:
        found = whole(folder, device)
        if found is not None:
            for tensor in found[0]["momentum"].values():
                tensor.zero_()
        return found

    def without_statistics(folder: Path, device: torch.device) -> Any:
        found = whole(folder, device)
        if found is not None:
            for name, tensor in found[0]["model"].items():
                if "running" in name:
                    tensor.fill_(1.0)
        return found

    for number, fault in enumerate((without_momentum, without_statistics)):
        out = tmp_path / str(number)
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            kill_at(patch, 3)
            execute(CASES["standard"][0], data, out, tmp_path / "state")
        with monkeypatch.context() as patch:
            patch.setattr(loop_module, "load_state", fault)
            execute(CASES["standard"][0], data, out, tmp_path / "state")
        assert contents(out) != contents(unbroken["standard"])


def test_a_state_serves_only_its_own_spec_code_and_data(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(run: TrainingRun, code: str = "a", source: Path = data) -> None:
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            kill_at(patch, 5)
            run_training(run, source, tmp_path / "out", tmp_path / "state", CPU, code=code)

    def states() -> int:
        return len(list((tmp_path / "state").iterdir()))

    interrupted(spec())
    assert states() == 1
    other = tmp_path / "other"
    shutil.copytree(data, other)
    images = np.load(other / "train" / "images.npy")
    np.save(other / "train" / "images.npy", 255 - images)
    manifest = read_json(data / "manifest.json")
    manifest["splits"]["train"]["sha256"]["images.npy"] = sha256(other / "train" / "images.npy")
    write_json(other / "manifest.json", manifest)
    for count, arguments in enumerate(((spec(lr=0.06),), (spec(), "b"), (spec(), "a", other)), 2):
        interrupted(*arguments)
        assert states() == count


class Scripted:
    """Validation accuracies told beforehand, so that the choice among them can be seen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, values: list[tuple[float, float | None, float | None]]) -> None:
        told: Iterator[tuple[float, float | None, float | None]] = iter(values)
        monkeypatch.setattr(loop_module._Training, "_accuracies", lambda _: next(told))


def outcome(run: TrainingRun, data: Path, state: Path, target: Target | None = None) -> loop_module.Outcome:
    sets = [
        Images(*(torch.from_numpy(np.load(data / split / f"{kind}.npy")) for kind in ("images", "labels")))
        for split in ("train", "validation")
    ]
    model = initialise(run.network, 3, [0.5] * 3, [0.2] * 3, run.seed)
    adversary = pgd_adversary(run, 12) if run.adversary else None
    return train(run, model, *sets, device=CPU, state_dir=state, adversary=adversary, target=target)


@pytest.mark.parametrize(
    ("values", "epoch"),
    [([0.5, 0.9, 0.7], 2), ([0.5, 0.9, 0.9], 3), ([0.9, 0.9, 0.5], 2)],
)
def test_the_best_clean_epoch_is_kept_and_of_equals_the_later(
    values: list[float], epoch: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Scripted(monkeypatch, [(value, None, None) for value in values])
    found = outcome(spec(), data, tmp_path)
    assert (found.selection["epoch"], found.selection["criterion"]) == (epoch, "clean")
    assert found.selection["match"] is None and found.selection["validation_pgd"] is None


def test_adversarial_models_are_kept_by_pgd_and_collapse_is_said(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Scripted(monkeypatch, [(0.4, 0.4, 0.3), (0.9, 0.8, 0.01), (0.95, 0.9, 0.02)])
    found = outcome(spec("fgsm-8", ADVERSARY), data, tmp_path)
    assert found.selection["epoch"] == 1 and not found.selection["collapsed"]
    assert sum("collapsed" in record.message for record in caplog.records) == 2
    Scripted(monkeypatch, [(0.4, 0.4, 0.01), (0.9, 0.8, 0.0), (0.95, 0.9, 0.02)])
    assert outcome(spec("fgsm-8", ADVERSARY), data, tmp_path / "b").selection["collapsed"]


@pytest.mark.parametrize(
    ("values", "step", "stopped", "matched"),
    [
        ([0.3, 0.79, 0.95, 1.0], 4, 6, True),  # the point before is nearer
        ([0.3, 0.6, 0.81, 1.0], 6, 6, True),
        ([0.3, 0.6, 0.8, 1.0], 6, 6, True),  # at the target
        ([0.3, 0.6, 0.95, 0.79, 0.8, 0.8], 8, 8, True),  # it overshot, and went on until it was near
        ([0.3, 0.6, 0.95, 1.0, 0.9, 0.8], 10, 10, False),  # an epoch later still not near
        ([0.3, 0.6, 0.7, 0.65, 0.7, 0.5], 10, 12, False),  # never reached: the later of equals
    ],
)
def test_a_matched_model_stops_at_its_target(
    values: list[float],
    step: int,
    stopped: int,
    matched: bool,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    Scripted(monkeypatch, [(value, None, None) for value in values])
    found = outcome(spec("underfit", match_every=2), data, tmp_path, Target("pgd-inf-8", 0.8))
    assert found.steps == stopped and found.selection["step"] == step
    assert found.selection["criterion"] == "match"
    match = found.selection["match"]
    assert match["matched"] is matched and match["model"] == "pgd-inf-8" and match["target"] == 0.8
    assert match["reached"] == found.selection["validation_accuracy"] == values[step // 2 - 1]
    assert ("not matched" in caplog.text) is not matched


def test_the_matched_model_takes_the_standard_ones_steps(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both end with the same weights where the matched one never stops: its validations change nothing."""
    Scripted(monkeypatch, [(0.1 * k, None, None) for k in range(20)])
    full = outcome(spec(), data, tmp_path / "a")
    matched = outcome(spec("underfit", match_every=3), data, tmp_path / "b", Target("pgd-inf-8", 2.0))
    assert full.selection["step"] == matched.selection["step"] == 12
    assert all(torch.equal(tensor, matched.weights[name]) for name, tensor in full.weights.items())


class Recorder:
    """An adversary that answers with black images, and keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Tensor] = []
        self.calls: list[tuple[int, int]] = []

    def attack(self, model: nn.Module, x: Tensor, y: Tensor, step: int, seed: int) -> Tensor:
        self.shown.append(x)
        self.calls.append((step, seed))
        return torch.zeros_like(x)

    def check(self, model: nn.Module, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        assert not model.training
        return x, torch.zeros_like(x)


def test_only_the_adversarys_images_are_learned_from(data: Path, tmp_path: Path) -> None:
    """True min-max: with black images alone nothing can be told apart, and the loss stays at that of a constant."""
    recorder = Recorder()
    run = spec("pgd-inf-8", ADVERSARY, epochs=6)
    run_training(run, data, tmp_path / "out", tmp_path / "state", CPU, lambda *_: recorder, code="c")
    rows = (tmp_path / "out/history.csv").read_text().splitlines()[1:]
    assert all(float(row.split(",")[3]) > 0.9 for row in rows)
    assert [step for step, _ in recorder.calls] == list(range(24))
    assert len({seed for _, seed in recorder.calls}) == 24
    assert all(x.shape == (16, 3, 12, 12) and x.dtype == torch.float32 for x in recorder.shown)
    assert all(x.min() >= 0 and x.max() <= 1 for x in recorder.shown)
    assert float(rows[-1].split(",")[6]) == pytest.approx(0.35, abs=0.06)  # 7 of the 20 attacked, all called one class


def test_images_are_resized_before_the_attack(data: Path, tmp_path: Path) -> None:
    recorder, sides = Recorder(), []
    run = spec("pgd-inf-8", ADVERSARY, epochs=1).model_copy(update={"network": Network(width=2, input_size=20)})

    def factory(run: TrainingRun, side: int) -> Recorder:
        sides.append(side)
        return recorder

    run_training(run, data, tmp_path / "out", tmp_path / "state", CPU, factory, code="c")
    assert sides == [20] and recorder.shown[0].shape == (16, 3, 20, 20)


def test_a_loss_that_is_not_finite_says_what_to_change(data: Path, tmp_path: Path) -> None:
    for run in (spec(lr=1e30), spec("pgd-inf-8", ADVERSARY, lr=1e30)):
        with pytest.raises(UserError, match=r"no longer finite.*lower training\.lr.*state"):
            execute(run, data, tmp_path / "out", tmp_path / "state")


def test_settings_that_do_not_fit_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training\.batch"):
        execute(spec(batch=100), data, tmp_path / "out", tmp_path / "state")
    with pytest.raises(UserError, match="5 classes"):
        execute(spec().model_copy(update={"classes": 5}), data, tmp_path / "out", tmp_path / "state")
    with pytest.raises(ValueError, match="factory"):
        run_training(spec("m", ADVERSARY), data, tmp_path / "out", tmp_path / "state", CPU, code="c")


def test_progress_is_one_plain_line_per_validation(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="shapelens"):
        execute(spec("pgd-inf-8", ADVERSARY), data, tmp_path / "out", tmp_path / "state")
    lines = [record.getMessage() for record in caplog.records if "epoch" in record.getMessage()]
    assert len(lines) == 3 and lines[0].startswith("pgd-inf-8, seed 3: epoch 1/3, step 4, loss ")
    for part in ("clean ", "fgsm ", "pgd ", "images/s", "left"):
        assert part in lines[0]


def test_derived_seeds_do_not_collide() -> None:
    seeds = {derive(seed, stream, number) for seed in range(3) for stream in range(3) for number in range(50)}
    assert len(seeds) == 450 and all(0 <= seed < 2**63 for seed in seeds)
    assert derive(1, 2, 3) == derive(1, 2, 3)
