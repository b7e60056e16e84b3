"""Real Snakemake, really killed: after --unlock the plain run goes on, even beside jobs that the killed run left.

Names here have blanks and letters of several scripts.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shapelens.artefacts.files import sha256

from ..workflow.conftest import PARTS, ROOT
from .conftest import mounted

pytestmark = pytest.mark.timeout(900)
STUDY = "kleine Studie.yaml"
CLASSES = {"schön dunkel": 60, "светлый": 190}
NOTHING = "Nothing to be done"
DECIDING = ("model.safetensors", "selection.json", "history.csv")
MODELS = "results/bilder/models/{}/seed0/"
REFUSED = "Directory cannot be locked"
OTHER = "andere Studie.yaml"
OTHER_TARGET = "results/andere/data/manifest.json"


class Study:
    """A copy of the workflow with a small study of two models."""

    def __init__(self, path):
        self.path = path
        self.training_log = path / "results/bilder/logs/train/pgd-inf-8-seed0.log"
        path.mkdir(parents=True)
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            copy(ROOT / part, path / part)
        shutil.copy2(Path(__file__).with_name("small.yaml"), path / STUDY)
        (path / OTHER).write_text((path / STUDY).read_text().replace("name: bilder", "name: andere"))
        rng = np.random.default_rng(0)
        for label, shade in CLASSES.items():
            folder = path / "meine Bilder/größe" / label
            folder.mkdir(parents=True)
            for n in range(24):
                pixels = np.clip(rng.normal(shade, 40, (20, 28, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"№ {n:02}.png")

    def command(self, *arguments, study=STUDY):
        return [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", study]

    def start(self, *arguments):
        """Start Snakemake as the first of a process group of its own, as a shell does."""
        self.training_log.unlink(missing_ok=True)
        log = open(self.path / "log of a killed run", "w")  # noqa: SIM115 (the process has its own copy)
        return subprocess.Popen(
            self.command(*arguments), cwd=self.path, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def run(self, *arguments, check=True, study=STUDY):
        done = subprocess.run(self.command(*arguments, study=study), cwd=self.path, capture_output=True, text=True)
        said = done.stdout + done.stderr
        assert not check or done.returncode == 0, said[-6000:]
        return done.returncode, said

    def unlock(self):
        """Give the command that the documentation names, which needs no study."""
        subprocess.run([sys.executable, "-m", "snakemake", "--unlock"], cwd=self.path, check=True, capture_output=True)

    def wait_for(self, is_so, process, seconds=240):
        """Wait while Snakemake runs until something is so."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert process.poll() is None, (self.path / "log of a killed run").read_text()[-4000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @staticmethod
    def wait_for_the_end_of(pids, seconds=120):
        deadline = time.monotonic() + seconds
        while any(Path("/proc", str(pid)).exists() for pid in pids):
            assert time.monotonic() < deadline, "a job that a killed Snakemake left does not end"
            time.sleep(0.05)

    def has_state(self):
        """Tell whether the long training has saved a state."""
        return bool(list(self.path.glob("results/.state/pgd-inf-8-*/state.safetensors")))

    def has_resumed(self):
        """Tell whether the long training goes on from one."""
        return self.training_log.exists() and "continues at step" in self.training_log.read_text()


def digests(study):
    return {(m, f): sha256(study.path / MODELS.format(m) / f) for m in ("standard", "pgd-inf-8") for f in DECIDING}


def processes_below(path):
    """Return the processes that work in a folder, by number."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() == path and b"snakemake" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def send(pids, number):
    for pid in pids:
        os.kill(pid, number)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The models of an unbroken run."""
    study = Study(tmp_path_factory.mktemp("unbroken") / "eine Studie")
    study.run(*(MODELS.format(model) + "model.safetensors" for model in ("standard", "pgd-inf-8")))
    return digests(study)


@pytest.fixture(scope="module")
def survivor(tmp_path_factory, unbroken, request):
    """A study that was killed again and again and then finished by plain runs, and what was seen on the way."""
    study = Study(tmp_path_factory.mktemp("survivor") / "ein Ordner für 形")
    request.addfinalizer(lambda: send(processes_below(study.path), signal.SIGKILL))
    seen = {}
    # Snakemake alone dies, in mid-training: its jobs live on, and pause until the last run trains the same model.
    first = study.start()
    study.wait_for(study.has_state, first)
    seen["second"] = study.run(check=False)
    seen["dry"] = study.run("-n", check=False)
    first.kill()
    first.wait()
    seen["left"] = processes_below(study.path)
    send(seen["left"], signal.SIGSTOP)
    seen["locked"] = study.run(check=False)
    study.unlock()
    # The next one dies with all its jobs.
    second = study.start()
    study.wait_for(study.has_resumed, second)
    os.killpg(second.pid, signal.SIGKILL)
    second.wait()
    time.sleep(0.5)
    seen["after the group"] = processes_below(study.path)
    study.unlock()
    # The last one, and beside it another study.
    last = study.start()
    study.wait_for(study.has_resumed, last)
    seen["beside"] = processes_below(study.path)
    send(seen["left"], signal.SIGCONT)
    seen["other"] = study.run(OTHER_TARGET, study=OTHER)
    seen["at once"] = last.poll() is None
    last.wait()
    seen["last"] = (study.path / "log of a killed run").read_text()
    study.wait_for_the_end_of(seen["left"])
    return study, seen


def test_after_kills_and_unlock_the_plain_run_goes_on(survivor, unbroken):
    study, seen = survivor
    assert "Shapelens: done" in seen["last"], seen["last"][-4000:]
    assert digests(study) == unbroken
    assert not list(study.path.rglob("results/**/.*.*.*")), "temporary files are left"
    assert not list(study.path.glob("results/.state/pgd*")), "a state is left"
    assert NOTHING in study.run()[1]


def test_jobs_that_a_killed_snakemake_left_are_in_nobodys_way(survivor):
    """They train beside the last run, into the same state and the same files; the test above has the results."""
    _, seen = survivor
    assert seen["left"], "no training outlived Snakemake: the test met nothing"
    assert set(seen["left"]) < set(seen["beside"]), "what was left ended too soon: the test met nothing"
    assert set(seen["after the group"]) == set(seen["left"]), "the second run's jobs outlived its process group"


def test_a_second_run_over_the_same_outputs_is_refused_and_a_dry_run_is_not(survivor):
    _, seen = survivor
    status, said = seen["second"]
    assert status and REFUSED in said and "--unlock" in said
    status, said = seen["dry"]
    assert status == 0 and "This was a dry-run" in said


def test_a_lock_outlives_a_killed_run(survivor):
    status, said = survivor[1]["locked"]
    assert status and REFUSED in said and "--unlock" in said


def test_two_studies_with_different_outputs_run_at_once_in_one_folder(survivor):
    study, seen = survivor
    assert seen["at once"], "the other study ended first: the test met nothing"
    assert REFUSED not in seen["other"][1] and (study.path / OTHER_TARGET).exists()


def test_names_with_blanks_and_other_letters_come_through(survivor):
    study, _ = survivor
    assert (study.path / "results/report.html").stat().st_size > 10_000
    manifest = (study.path / "results/bilder/data/manifest.json").read_text(encoding="utf-8")
    assert all(label in manifest for label in CLASSES)
    assert "№ 00.png" in (study.path / "results/bilder/data/index.csv").read_text(encoding="utf-8")


def test_a_clock_set_back_reruns_nothing(survivor):
    """All that was made, and all that it was made from, lies a day in the future, in the reverse order of making."""
    study, _ = survivor
    files = [path for path in study.path.rglob("*") if path.is_file() and ".snakemake" not in path.parts]
    now = time.time()
    for number, path in enumerate(sorted(files, key=lambda path: path.stat().st_mtime)):
        os.utime(path, (now + 86400 - number, now + 86400 - number))
    _, said = study.run("-n")
    assert NOTHING in said, re.findall(r"reason: .*", said)
    # Snakemake lets nothing be made that would be older than its inputs, and says so; the dates put right, it goes on.
    target = "results/bilder/tables/table1.md"
    status, said = study.run(target, "--force", check=False)
    assert status and "clock skew" in said and "accuracy.csv" in said, said[-3000:]
    assert not (study.path / target).exists()
    for path in files:
        if path.exists():
            os.utime(path)
    study.run(target)
    assert NOTHING in study.run(target)[1]


def test_a_full_disk_stops_a_run_that_goes_on_after_space_is_made(tmp_path):
    study = Study(tmp_path / "Platte voll")
    target = "results/bilder/testsets/clean/manifest.json"
    with mounted(study.path / "results", "size=8m") as disk:
        study.run("results/bilder/data/manifest.json")
        ballast = disk / "ballast"
        # All but a few pages: room for a log and some of the files, not for all.
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        ballast.write_bytes(bytes(free - 32 * 1024))
        status, said = study.run(target, check=False)
        assert status and "could not be written" in said and "the disk is full" in said, said[-3000:]
        named = r"Error in testset: results/bilder/testsets/clean/\w+\.(npy|json|png) could"
        assert re.search(named, said), said[-3000:]
        # Whatever was written before is not kept either: a set is there as a whole, or not.
        folder = (study.path / target).parent
        assert not [path for path in folder.glob("*") if path.is_file()]
        ballast.unlink()
        study.run(target)
        # What may not be written to is said before any job starts.
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        status, said = study.run("results/bilder/testsets/patch-shuffle-2/manifest.json", check=False)
        assert status and f"{disk} cannot be written to: it is read-only" in said, said[-3000:]
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        study.run("results/bilder/testsets/patch-shuffle-2/manifest.json")
