"""profiles/slurm on a real Slurm with two made-up GPUs: who gets what, and a training that is cancelled half way."""

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ..workflow.conftest import ROOT, Folder, copy_workflow
from .slurm import Slurm, missing

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

PLUGIN = ROOT / ".venv" / "slurm"
RESULTS = Path("results/photographs")
TARGETS = [str(RESULTS / "tables" / f"{name}.csv") for name in ("table1", "saliency_per_image")]
TRAININGS = {name: RESULTS / f"logs/train/{name}-seed0.log" for name in ("standard", "pgd-inf-8")}
# Epochs of five steps of half a second each: long enough to be cancelled in the midst of one.
EPOCHS, SLOW = 6, {"adversary": {"eps": "8/255", "steps": 150}, "training": {"epochs": 6, "batch": 8}}


@dataclass(frozen=True)
class Booked:
    """A job as Slurm knows it."""

    number: str
    rule: str
    state: str
    gres: str
    cpus: str
    memory: str
    limit: str


@dataclass(frozen=True)
class Run:
    """What a study left behind that ran on Slurm, and the same study run here."""

    cluster: Folder
    here: Folder
    output: str
    leases: dict[str, str]
    booked: list[Booked]

    def of(self, rule: str) -> list[Booked]:
        return [job for job in self.booked if job.rule == rule]


def study(folder: Folder) -> Folder:
    """Cut the tiny study down to two models on the folder of images, one of them slow to train."""
    whole = folder.study()
    part = {**whole["studies"]["photographs"], "models": {"standard": {}, "pgd-inf-8": SLOW}}
    study = {**whole, "network": {"arch": "resnet-small", "width": 8}, "studies": {"photographs": part}}
    (folder.path / "tiny.yaml").write_text(yaml.safe_dump(study))
    return folder


def queue(slurm: Slurm) -> list[Booked]:
    """Return every job that Slurm has seen, in the order of submission."""
    lines = slurm.client("squeue", "--states=all", "--noheader", "--sort=i", "--format=%A|%k|%T|%b|%C|%m|%l")
    rows = [line.split("|") for line in lines.splitlines()]
    return [Booked(row[0], row[1].removeprefix("rule_").partition("_wildcards_")[0], *row[2:]) for row in rows]


def text(folder: Folder, file: Path) -> str:
    path = folder.path / file
    return path.read_text() if path.exists() else ""


def wait(run: subprocess.Popen[str], what: str, condition, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if run.poll() is not None or time.monotonic() > end:
            run.terminate()
            pytest.fail(f"waited in vain for {what}:\n{run.communicate()[0][-6000:]}")
        time.sleep(0.1)


def start(folder: Folder, slurm: Slurm) -> subprocess.Popen[str]:
    """Start the study by the shipped profile, looking at the queue as often as the plugin can."""
    command = [sys.executable, "-m", "snakemake", *TARGETS, "--configfile", "tiny.yaml"]
    command += ["--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1"]
    path = os.pathsep.join([str(PLUGIN), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]).rstrip(os.pathsep)
    environment = {**slurm.environment(), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, cwd=folder.path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


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
    process = start(cluster, slurm)
    logs = {name: cluster.path / file for name, file in TRAININGS.items()}
    wait(process, "the second epoch", lambda: "epoch 2/" in text(cluster, TRAININGS["pgd-inf-8"]))
    leases = {name: re.search(r"leased (GPU \d+)", text(cluster, file))[1] for name, file in TRAININGS.items()}
    (job,) = [job for job in queue(slurm) if job.rule == "train_adversarial"]
    time.sleep(1)
    slurm.client("scancel", job.number)
    wait(process, "its end", lambda: "ends at step" in logs["pgd-inf-8"].read_text(), 30)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output[-6000:]
    here.snakemake(*TARGETS, "--cores", "2")
    return Run(cluster, here, output, leases, queue(slurm))


def test_two_trainings_at_once_had_a_gpu_each(run):
    assert set(run.leases.values()) == {"GPU 0", "GPU 1"}


def test_the_cancelled_training_was_submitted_again_with_more(run):
    first, second = run.of("train_adversarial")
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert (first.memory, second.memory) == ("2000M", "4000M")
    assert (first.limit, second.limit) == ("4:00:00", "8:00:00")
    assert run.output.count("Trying to restart job") == 1


def test_it_went_on_from_the_step_that_it_was_cancelled_in(run):
    said = re.search(r"continues at step (\d+) of (\d+)", text(run.cluster, TRAININGS["pgd-inf-8"]))
    step, total = int(said[1]), int(said[2])
    per_epoch = total // EPOCHS
    assert 2 * per_epoch < step < total and step % per_epoch
    assert not list((run.cluster.path / "results/.state").glob("pgd-inf-8-*"))


def test_the_results_are_those_of_an_unbroken_run(run):
    def results(folder: Folder) -> dict[str, bytes]:
        root = folder.path / RESULTS
        files = [path.relative_to(root) for path in root.rglob("*") if path.is_file() and path.name != "run.json"]
        return {str(file): (root / file).read_bytes() for file in files if file.parts[0] not in ("logs", "benchmarks")}

    cluster, here = results(run.cluster), results(run.here)
    assert cluster.keys() == here.keys()
    assert {f"models/{name}/seed0/model.safetensors" for name in TRAININGS} < cluster.keys()
    assert [name for name in cluster if cluster[name] != here[name]] == []


def test_what_belongs_together_is_one_job_and_books_one_gpu(run):
    gpus = {job.rule: job.gres for job in run.booked if job.gres != "N/A"}
    assert set(gpus) == {"train", "train_adversarial", "measure"}
    assert {re.search(r"gpu:(\d+)", gres)[1] for gres in gpus.values()} == {"1"}
    counts = {rule: len(run.of(rule)) for rule in {job.rule for job in run.booked} - {"train_adversarial"}}
    assert counts == {"dataset": 1, "testsets": 1, "train": 1, "measure": 2, "accuracy": 1, "saliency_measures": 1}
    assert (run.cluster.path / TARGETS[0]).exists()  # by a local rule: no job of Slurm's made it


def test_nothing_is_left_running(run):
    assert {job.state for job in run.booked} == {"COMPLETED", "CANCELLED"}
