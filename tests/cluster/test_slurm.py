"""profiles/slurm on a real Slurm with two made-up GPUs: who gets what, and a training that is cancelled half way."""

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ..workflow.conftest import ROOT, Folder, copy_workflow
from .slurm import Slurm, missing

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

PLUGIN = ROOT / ".venv" / "slurm"
OUTPUT = Path("snakemake.out")
RESULTS = Path("results/photographs")
TARGETS = [str(RESULTS / name) for name in ("tables/table1.csv", "saliency/means.csv", "figures/robustness.png")]
TRAININGS = {name: RESULTS / f"logs/train/{name}-seed0.log" for name in ("standard", "pgd-inf-8")}
# Epochs of four steps and some seconds, so that it can be cancelled in the midst of one.
EPOCHS = 4
SLOW = {"adversary": {"eps": "8/255", "steps": 250}, "training": {"epochs": EPOCHS, "batch": 8}}


@dataclass(frozen=True)
class Booked:
    """A job as Slurm knows it; of a group the rule is the group's name and those of its rules."""

    number: str
    rule: str
    wildcards: str
    state: str
    gpus: str
    memory: str
    limit: str


@dataclass(frozen=True)
class Run:
    """What a study left behind that ran on Slurm, and the same study run here."""

    cluster: Folder
    here: Folder
    leases: dict[str, str]
    booked: list[Booked]

    def of(self, rule: str, model: str = "") -> list[Booked]:
        return [job for job in self.booked if job.rule == rule and model in job.wildcards]


def study(folder: Folder) -> Folder:
    """Cut the tiny study down to two models on the folder of images, one of them slow to train."""
    whole = folder.study()
    part = {**whole["studies"]["photographs"], "models": {"standard": {}, "pgd-inf-8": SLOW}, "rulers": False}
    part["testsets"] = {"patch_shuffle": [2]}
    (folder.path / "tiny.yaml").write_text(yaml.safe_dump({**whole, "studies": {"photographs": part}}))
    return folder


def queue(slurm: Slurm) -> list[Booked]:
    """Return every job that Slurm has seen, in the order of submission."""
    lines = slurm.client("scontrol", "--oneliner", "show", "job").splitlines()
    jobs = [dict(word.partition("=")[::2] for word in line.split()) for line in lines]
    found = []
    for job in sorted(jobs, key=lambda job: int(job["JobId"])):
        # Without a comment it is the one by which the starter saw that the node takes jobs.
        rule, _, wildcards = job.get("Comment", "").removeprefix("rule_").partition("_wildcards_")
        if rule:
            gpus = job.get("TresPerJob", "").removeprefix("gres:gpu:")
            booked = (gpus, job["MinMemoryNode"], job["TimeLimit"])
            found.append(Booked(job["JobId"], rule, wildcards, job["JobState"], *booked))
    return found


def text(folder: Folder, file: Path) -> str:
    path = folder.path / file
    return path.read_text() if path.exists() else ""


def said(folder: Folder) -> str:
    """Return what Snakemake has printed on the cluster."""
    return text(folder, OUTPUT)


def wait(run: subprocess.Popen[bytes], what: str, condition, seconds: float = 240) -> float:
    """Wait for a condition; returns the time when it came true."""
    end = time.monotonic() + seconds
    while not condition():
        assert run.poll() is None and time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)
    return time.monotonic()


@contextmanager
def snakemake(folder: Folder, slurm: Slurm):
    """Run the study by the shipped profile, looking at the queue as often as the plugin can; killed where it fails."""
    command = [sys.executable, "-m", "snakemake", *TARGETS, "--configfile", "tiny.yaml"]
    command += ["--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1"]
    path = os.pathsep.join([str(PLUGIN), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]).rstrip(os.pathsep)
    environment = {**slurm.environment(), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    with open(folder.path / OUTPUT, "wb") as out:
        process = subprocess.Popen(command, cwd=folder.path, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
        assert process.wait(400) == 0
    except (AssertionError, subprocess.TimeoutExpired) as error:
        pytest.fail(f"{error}:\n{said(folder)[-6000:]}")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def slurm():
    if lacking := missing():
        pytest.skip(
            f"NO SLURM: not installed: {', '.join(lacking)}. apt-get install slurmctld slurmd slurm-client munge"
        )
    if not PLUGIN.is_dir():
        pytest.skip("NO SLURM PLUGIN: .venv/slurm is not there (make test-env)")
    # Not in pytest's folder, which other users may not enter.
    with tempfile.TemporaryDirectory(prefix="shapelens-slurm-", dir="/tmp") as folder, Slurm(Path(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def run(slurm, tmp_path_factory):
    """The study on Slurm, its slow training cancelled in mid-epoch; and the same study on this machine, unbroken."""
    cluster, here = (study(copy_workflow(tmp_path_factory.mktemp(name))) for name in ("cluster", "here"))
    slow = TRAININGS["pgd-inf-8"]
    # Both at once: on the cluster's side most of the time is spent between two looks at the queue.
    with ThreadPoolExecutor() as pool, snakemake(cluster, slurm) as process:
        unbroken = pool.submit(here.snakemake, *TARGETS, "--cores", "1")
        begin = wait(process, "its first epoch", lambda: "epoch 1/" in text(cluster, slow))
        seconds = wait(process, "its second epoch", lambda: "epoch 2/" in text(cluster, slow)) - begin
        leases = {name: re.search(r"leased (GPU \d+)", text(cluster, log))[1] for name, log in TRAININGS.items()}
        (job,) = [job for job in queue(slurm) if job.rule == "train" and "pgd-inf-8" in job.wildcards]
        time.sleep(seconds / 3)
        slurm.client("scancel", job.number)
        wait(process, "its end", lambda: "(SIGTERM), saved" in text(cluster, slow), 30)
    unbroken.result()
    return Run(cluster, here, leases, queue(slurm))


def test_two_trainings_at_once_had_a_gpu_each(run):
    assert set(run.leases.values()) == {"GPU 0", "GPU 1"}


def test_the_cancelled_training_was_submitted_again_with_more(run):
    first, second = run.of("train", "pgd-inf-8")
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert (first.memory, second.memory) == ("2000M", "4000M")
    assert (first.limit, second.limit) == ("04:00:00", "08:00:00")
    assert said(run.cluster).count("Trying to restart job") == 1


def test_it_went_on_from_the_step_that_it_was_cancelled_in(run):
    said = re.search(r"continues at step (\d+) of (\d+)", text(run.cluster, TRAININGS["pgd-inf-8"]))
    step, total = int(said[1]), int(said[2])
    per_epoch = total // EPOCHS
    assert 2 * per_epoch < step < total and step % per_epoch
    assert not list((run.cluster.path / "results/.state").glob("pgd-inf-8-*"))


def test_the_results_are_those_of_an_unbroken_run(run):
    def results(folder: Folder) -> dict[str, bytes]:
        root = folder.path / RESULTS
        # Who computed it, and when, differs.
        files = [path.relative_to(root) for path in root.rglob("*") if path.is_file() and path.name != "run.json"]
        files = [path for path in files if path.parent.name != ".made"]
        return {str(file): (root / file).read_bytes() for file in files if file.parts[0] not in ("logs", "benchmarks")}

    cluster, here = results(run.cluster), results(run.here)
    assert cluster.keys() == here.keys()
    assert {f"models/{name}/seed0/model.safetensors" for name in TRAININGS} < cluster.keys()
    assert [name for name in cluster if cluster[name] != here[name]] == []


def test_what_belongs_together_is_one_job_and_books_one_gpu(run):
    gpus = {job.rule: job.gpus for job in run.booked}
    assert gpus == {
        "dataset": "",
        "testsets_testset": "",
        "train": "1",
        "predictions": "1",
        "robust": "1",
        "saliency": "1",
        "accuracy": "",
        "means": "",
    }
    # Of the slow model's training there are two: it was cancelled once.
    twice = dict.fromkeys(("predictions", "robust", "saliency"), 2)
    assert {rule: len(run.of(rule)) for rule in gpus if len(run.of(rule)) > 1} == {**twice, "train": 3}
    # Made by local rules, since no job of Slurm's made them.
    assert all((run.cluster.path / target).exists() for target in TARGETS)


def test_nothing_is_left_running(run):
    assert {job.state for job in run.booked} == {"COMPLETED", "CANCELLED"}
