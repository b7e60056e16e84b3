"""Trainings that are killed, by real signals to real processes, end with the bytes of the unbroken ones."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from shapelens.artefacts.files import sha256, write_json
from shapelens.datasets.build import build_dataset
from shapelens.datasets.spec import Cues
from shapelens.training.spec import ADVERSARIES, TrainingJob, TrainingRun

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
DECIDING = ("model.safetensors", "spec.json", "selection.json", "history.csv")
TRAINING = {"epochs": 16, "batch": 16, "lr": 0.05, "pad": 2, "selection_steps": 2, "validation_images": 16}

NETWORK = {"arch": "resnet-small", "width": 4}
CASES = {
    "standard": {"snapshots": [0, 2, 16]},
    "underfit": {"match": "pgd-inf-8", "match_every": 2, "snapshots": [0, 1]},
    "pgd-inf-8": {"adversary": {"norm": "inf", "eps": "8/255", "steps": 2}},
    "spatial": {"adversary": {"kind": "spatial", "budget": 1, "steps": 2}},
}
OF_TRAINING = ("match_every", "snapshots")
# Where a job is killed: before a step; before, within and after the saving of its state ("half" of it is written, or
# the "whole" and not yet renamed).
POINTS = ("step", "step", "saving", "half", "whole", "saved")
SEEDS = {"standard": 11, "underfit": 12, "pgd-inf-8": 13, "spatial": 14}


class Trainer:
    """Trainings as processes of a fork server, see trainer.py."""

    def __init__(self, folder):
        gate, self.gate = os.pipe()
        self.errors = open(folder / "stderr.log", "w+")  # noqa: SIM115 (closed with the trainer)
        environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(Path(__file__).with_name("trainer.py")), str(gate)]
        self.process = subprocess.Popen(
            command, stdin=-1, stdout=-1, stderr=self.errors, text=True, env=environment, pass_fds=[gate]
        )
        os.close(gate)

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
        self.errors.close()
        os.close(self.gate)

    def start(self, folder, name, points=(), save_seconds=60.0, fault=False):
        """Start the training of a case in a folder; returns the process's number."""
        how = CASES[name]
        settings = TRAINING | {key: value for key, value in how.items() if key in OF_TRAINING}
        spec = {"model": name, "seed": 3, "network": NETWORK, "training": settings}
        spec |= {key: value for key, value in how.items() if key not in OF_TRAINING}
        run = TrainingRun.model_validate(spec)
        adversary = ADVERSARIES[type(run.adversary)] if run.adversary else None
        asked = TrainingJob(run=run, adversary=adversary, initial_weights="random")
        job = {"folder": str(folder), "spec": asked.canonical(), "points": points}
        job |= {"match": "target.json" if "match" in how else None, "save_seconds": save_seconds, "fault": fault}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        word, number = self.hear()
        assert word == "pid"
        return int(number)

    def hear(self):
        line = self.process.stdout.readline().split()
        assert line, Path(self.errors.name).read_text()
        return line

    def go_on(self):
        os.write(self.gate, b".")

    def finish(self):
        """Let a job work to its end, however it ends; returns its exit status, negative for a signal."""
        while (word := self.hear())[0] == "at":
            self.go_on()
        return int(word[1])


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    trainer = Trainer(tmp_path_factory.mktemp("trainer"))
    yield trainer
    trainer.close()


@pytest.fixture(scope="module")
def second_trainer(tmp_path_factory):
    trainer = Trainer(tmp_path_factory.mktemp("second trainer"))
    yield trainer
    trainer.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the images that all cases train on, and the accuracy that the matched one stops at."""
    folder = tmp_path_factory.mktemp("data")
    spec = Cues(kind="cues", classes=3, size=16, train=64, validation=32, test=2)
    build_dataset(spec, 0, None, folder / "results/cues/data")
    write_json(folder / "target.json", {"validation_accuracy": 0.97})
    return folder


@pytest.fixture(scope="module")
def unbroken(trainer, data, tmp_path_factory):
    """Every case, trained without an interruption, and the seconds of the quickest."""
    root, seconds = tmp_path_factory.mktemp("unbroken"), []
    for name in CASES:
        shutil.copytree(data, root / name)
        begin = time.monotonic()
        trainer.start(root / name, name)
        assert trainer.finish() == 0, Path(trainer.errors.name).read_text()
        seconds.append(time.monotonic() - begin)
    return root, min(seconds)


def results(folder, name):
    kept = ["snapshots.safetensors"] if "snapshots" in CASES[name] else []
    return {file: sha256(folder / f"results/cues/models/{name}/seed0" / file) for file in (*DECIDING, *kept)}


def states(folder):
    return list((folder / "results/.state").glob("*/state.safetensors"))


def kill(trainer, pid, sort):
    """Send the signals of one sort of death; returns the exit status of the job."""
    if sort == "SIGKILL":
        os.kill(pid, signal.SIGKILL)
        return trainer.finish()
    os.kill(pid, signal.SIGTERM)
    if sort == "walltime":
        # What comes after the grace of a batch system; a job that ended by itself is a zombie no longer by then.
        time.sleep(0.02)
        trainer.go_on()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    else:
        trainer.go_on()
    return trainer.finish()


def killed_training(trainer, folder, name, point, number, sort, often):
    """Train until the ``number``-th time at a point, or for ``number`` seconds, and kill the job there.

    Returns what the kill met: the exit status, whether a state was there, and whether a half-written one was.
    """
    pid = trainer.start(folder, name, [] if point == "time" else [point], 0.0 if often else 60.0)
    if point == "time":
        time.sleep(number)
    else:
        for passed in range(number):
            assert trainer.hear() == ["at", point]
            if passed + 1 < number:
                trainer.go_on()
    found = {"state": bool(states(folder)), "half": bool(list((folder / "results/.state").glob("*/.state*")))}
    return {"status": kill(trainer, pid, sort), **found}


def draw(name, seconds):
    """Draw the deaths of a case: point and how often it is passed, or seconds; signal; is every step's state saved?

    First one before any state is saved, and two at any moment; at last one with the weights written and the other
    outputs not.
    """
    rng = random.Random(SEEDS[name])
    points = rng.sample(POINTS, len(POINTS))
    sorts = ["SIGKILL", "SIGTERM", "walltime"] * 4
    yield "step", rng.randint(1, 4), "SIGKILL", False
    for point in ("time", "time", *points, "output"):
        number = {"time": rng.uniform(0.05, 0.2) * seconds, "output": 1}.get(point, rng.randint(1, 3))
        yield point, number, sorts.pop(), point in ("half", "whole") or rng.random() < 0.5


@pytest.mark.parametrize("name", CASES)
def test_a_killed_training_ends_with_the_bytes_of_the_unbroken_one(trainer, data, unbroken, tmp_path, name):
    root, seconds = unbroken
    folder = tmp_path / "study"
    shutil.copytree(data, folder)
    met = []
    for point, number, sort, often in draw(name, seconds):
        done = killed_training(trainer, folder, name, point, number, sort, often)
        print(f"{name}, seed {SEEDS[name]}: {sort} at {point} {number:.3g}, state every step: {often}: {done}")  # noqa: T201
        met.append((point, sort, done))
        assert not list(folder.glob("results/cues/models/*/seed0/run.json")), "it was over before the kill"
    trainer.start(folder, name)
    assert trainer.finish() == 0, Path(trainer.errors.name).read_text()
    assert results(folder, name) == results(root / name, name)
    # The kills were what they are meant to be.
    assert len(met) == len(POINTS) + 4
    assert all(done["status"] for _, _, done in met)
    assert {done["status"] for _, sort, done in met if sort == "SIGKILL"} == {-signal.SIGKILL}
    assert all(done["half"] for point, _, done in met if point in ("half", "whole"))
    assert {done["state"] for _, _, done in met} == {True, False}
    assert not states(folder)
    assert not list(folder.rglob(".*.safetensors"))  # what killed writers left beside the files is gone


@pytest.mark.parametrize("point", ["saving", "half", "whole", "output"])
def test_two_processes_train_the_same_model(trainer, second_trainer, data, unbroken, tmp_path, point):
    """A killed Snakemake left one; the next run starts another, which ends and removes the state that they share."""
    folder, name = tmp_path / "study", "pgd-inf-8"
    shutil.copytree(data, folder)
    trainer.start(folder, name, [point], save_seconds=0.0)
    assert trainer.hear() == ["at", point]
    second_trainer.start(folder, name, save_seconds=0.0)
    assert second_trainer.finish() == 0, Path(second_trainer.errors.name).read_text()
    assert results(folder, name) == results(unbroken[0] / name, name)
    assert not states(folder)
    trainer.go_on()
    assert trainer.finish() == 0, Path(trainer.errors.name).read_text()
    assert results(folder, name) == results(unbroken[0] / name, name)
    assert not list((folder / "results/.state").rglob("*")), "a state is left"
    assert not list(folder.rglob(".*.safetensors")), "temporary files are left"


def test_a_state_that_forgets_something_is_caught(trainer, data, unbroken, tmp_path):
    """The planted fault: what compares bytes above can fail."""
    folder = tmp_path / "study"
    shutil.copytree(data, folder)
    assert killed_training(trainer, folder, "standard", "step", 6, "SIGKILL", often=True)["state"]
    trainer.start(folder, "standard", fault=True)
    assert trainer.finish() == 0
    assert results(folder, "standard") != results(unbroken[0] / "standard", "standard")
