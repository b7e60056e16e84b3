"""GPU leases, by real processes and made-up devices: who holds what, and when."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from shapelens.errors import UserError
from shapelens.machine import leases
from shapelens.planning.code_digest import Code
from shapelens.planning.plan import Plan

SCRIPTS = Path(leases.__file__).parents[2]
PROFILES, RULES = (SCRIPTS.parents[1] / name for name in ("profiles", "rules"))
GPUS = {"local-gpu": ["gpu=2"], "slurm": ["gpu=1"]}
STUDY = yaml.safe_load((SCRIPTS.parents[1] / "config.yaml").read_text())
WORKER = """
import fcntl, json, logging, os, sys, time
from shapelens.machine import leases
gpus, jobs_per_gpu, seconds, fault, user = json.loads(sys.argv[1])
logging.basicConfig(level=logging.INFO, format="%(message)s")
if fault:
    fcntl.flock = lambda file, kind: None
import encodings.idna, pwd
if user:
    os.setgroups([]); os.setgid(user); os.setuid(user)
lease = leases.take(gpus, jobs_per_gpu)
print(json.dumps([time.monotonic(), os.environ.get("CUDA_VISIBLE_DEVICES"), lease and lease.slots]), flush=True)
time.sleep(seconds)
print(json.dumps(time.monotonic()), flush=True)
"""
NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="two users: only root can become another one")


class Machine:
    """A made-up host: its devices, the folder of its locks, and the jobs that run on it."""

    def __init__(self, path: Path, gpus: int = 2) -> None:
        self.slots = path / "slots"
        self.jobs: list[subprocess.Popen[str]] = []
        (path / "bin").mkdir()
        smi = path / "bin" / "nvidia-smi"
        lines = [f"echo 'GPU {n}: Made up (UUID: GPU-{n})'" for n in range(gpus)]
        smi.write_text("\n".join(["#!/bin/sh", *lines]))
        smi.chmod(0o755)
        self.environment = {"PATH": str(path / "bin"), "PYTHONPATH": str(SCRIPTS), "SHAPELENS_SLOTS": str(self.slots)}

    def start(self, gpus=1, jobs_per_gpu=1, seconds=0.0, fault=False, user=0, **environment) -> subprocess.Popen[str]:
        what = json.dumps([gpus, jobs_per_gpu, seconds, fault, user])
        job = subprocess.Popen(
            [sys.executable, "-c", WORKER, what],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.jobs.append(job)
        return job

    def run(self, *arguments, **environment) -> tuple[str | None, list[int] | None, str]:
        """Run one job to its end; returns what CUDA is shown, its slots, and its log."""
        out, log = self.start(*arguments, **environment).communicate(timeout=20)
        _, visible, slots = json.loads(out.splitlines()[0])
        return visible, slots, log

    def holding(self, **arguments) -> subprocess.Popen[str]:
        """Start a job and return it once it holds its devices."""
        job = self.start(seconds=60, **arguments)
        assert job.stdout is not None and job.stdout.readline()
        return job

    def end(self) -> None:
        """Kill what still runs."""
        for job in self.jobs:
            job.kill()
            job.communicate()


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.end()


def spans(jobs) -> list[tuple[float, float, list[str]]]:
    """Return begin, end and devices of finished jobs."""
    found = []
    for job in jobs:
        out, log = job.communicate(timeout=30)
        assert job.returncode == 0, log
        (begin, visible, _), end = map(json.loads, out.splitlines())
        found.append((begin, end, visible.split(",")))
    return found


def shared(found) -> list[str]:
    """Return the devices that two jobs had at once."""
    pairs = combinations(found, 2)
    return [gpu for a, b in pairs if a[0] < b[1] and b[0] < a[1] for gpu in a[2] if gpu in b[2]]


def most_at_once(found) -> int:
    return max(sum(begin <= at < end for begin, end, _ in found) for at, _, _ in found)


# Nobody shares


def test_six_jobs_on_two_devices_never_share(machine):
    found = spans([machine.start(seconds=0.2) for _ in range(6)])
    assert shared(found) == []
    assert {gpu for _, _, gpus in found for gpu in gpus} == {"GPU-0", "GPU-1"}
    assert most_at_once(found) == 2


def test_jobs_without_locks_would_be_seen(machine):
    assert shared(spans([machine.start(seconds=0.5, fault=True) for _ in range(4)])) != []


def test_a_device_is_one_device_by_any_name(machine):
    names = ("0", "GPU-0", "0,0", "GPU-0,GPU-0")
    found = spans([machine.start(seconds=0.1, CUDA_VISIBLE_DEVICES=name) for name in names])
    assert shared(found) == [] and most_at_once(found) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_job_frees_its_device_at_once(machine, how):
    holder = machine.holding(gpus=2)
    waiter = machine.start()
    assert "waiting for 1 free of: GPU 0 (Made up); GPU 1 (Made up)" in waiter.stderr.readline()
    killed = time.monotonic()
    holder.send_signal(how)
    begin, _, _ = json.loads(waiter.stdout.readline())
    assert begin - killed < 1.5
    assert "leased GPU 0 (Made up), GPU-0, slot 1 of 1, after" in waiter.stderr.readline()


def test_files_left_behind_are_harmless(machine):
    holder = machine.holding(gpus=2)
    holder.kill()
    holder.wait()
    left = sorted(file.name for file in machine.slots.iterdir())
    assert left == ["GPU-0.lock", "GPU-1.lock"]
    (machine.slots / "GPU-0.lock").write_text("held by process 1")
    visible, _, log = machine.run(2)
    assert visible == "GPU-0,GPU-1" and "waiting" not in log
    assert (machine.slots / "GPU-0.lock").read_text() == "held by process 1"


# Small models share


def test_two_jobs_per_gpu_lets_two_in_and_not_three(machine):
    only = {"CUDA_VISIBLE_DEVICES": "1"}
    found = spans([machine.start(jobs_per_gpu=2, seconds=0.4, **only) for _ in range(4)])
    assert most_at_once(found) == 2
    assert {gpu for _, _, gpus in found for gpu in gpus} == {"GPU-1"}


def test_free_devices_come_before_second_slots(machine):
    for expected in ("GPU-0", "GPU-1"):
        job = machine.start(jobs_per_gpu=2, seconds=60)
        _, visible, slots = json.loads(job.stdout.readline())
        assert (visible, slots) == (expected, [1])
    _, visible, slots = json.loads(machine.start(jobs_per_gpu=2).stdout.readline())
    assert (visible, slots) == ("GPU-0", [2])


@pytest.mark.parametrize(("there", "comes"), [(1, 2), (2, 1)])
def test_a_job_that_shares_never_meets_one_that_does_not(machine, there, comes):
    only = {"CUDA_VISIBLE_DEVICES": "0"}
    machine.holding(jobs_per_gpu=there, **only)
    assert "waiting" in machine.start(jobs_per_gpu=comes, **only).stderr.readline()


# Two devices for one job


def test_jobs_of_two_devices_take_both_and_never_wait_for_each_other(machine):
    jobs = [machine.start(gpus=gpus, seconds=0.1) for gpus in (2, 1, 2, 1, 2)]
    found = spans(jobs)
    assert shared(found) == []
    assert [sorted(gpus) for _, _, gpus in found if len(gpus) == 2] == [["GPU-0", "GPU-1"]] * 3


def test_a_job_that_waits_for_two_holds_none(machine):
    machine.holding(CUDA_VISIBLE_DEVICES="0")
    assert "waiting for 2" in machine.start(gpus=2).stderr.readline()
    assert machine.run(1)[0] == "GPU-1"


def test_nobody_waits_for_more_than_there_is(machine):
    visible, _, log = machine.run(3)
    assert visible == "GPU-0,GPU-1"
    assert "3 GPUs were asked for, and 2 visible" in log


# Only what is visible


def test_only_visible_devices_are_taken(machine):
    machine.holding(CUDA_VISIBLE_DEVICES="1")
    assert "waiting" in machine.start(CUDA_VISIBLE_DEVICES="GPU-1").stderr.readline()
    assert machine.run(1, CUDA_VISIBLE_DEVICES="0")[0] == "GPU-0"


@pytest.mark.parametrize(("gpus", "given"), [(0, "0,1"), (1, ""), (1, "-1")])
def test_without_a_gpu_nothing_is_touched(machine, gpus, given):
    visible, slots, _ = machine.run(gpus, CUDA_VISIBLE_DEVICES=given)
    assert (visible, slots) == (given, None)
    assert not machine.slots.exists()


def test_slurm_keeps_its_jobs_apart_itself(machine):
    """A number may be another device in another Slurm job; within one job it is the same."""
    slurm = {"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_GPUS": "0"}
    machine.holding(SLURM_JOB_ID="7", **slurm)
    assert machine.run(1, SLURM_JOB_ID="8", **slurm)[0] == "GPU-0"
    assert "waiting" in machine.start(SLURM_JOB_ID="7", **slurm).stderr.readline()
    # A job that Slurm gave no devices competes like any process.
    machine.holding(SLURM_JOB_ID="9", CUDA_VISIBLE_DEVICES="1")
    assert "waiting" in machine.start(CUDA_VISIBLE_DEVICES="1").stderr.readline()


# Several users, and strange folders


@pytest.fixture
def open_machine():
    """A machine whose folder other users may enter, as they may not enter pytest's."""
    with tempfile.TemporaryDirectory(prefix="shapelens-test-", dir="/tmp") as folder:
        made = Machine(Path(folder))
        Path(folder).chmod(0o1777)
        yield made
        made.end()


@AS_ROOT
@pytest.mark.parametrize(("first", "second"), [(0, NOBODY), (NOBODY, 0)])
def test_two_users_do_not_share(open_machine, first, second):
    mask = os.umask(0o077)
    try:
        holder = open_machine.holding(gpus=2, user=first)
    finally:
        os.umask(mask)
    assert open_machine.slots.stat().st_mode & 0o7777 == 0o1777
    assert {file.stat().st_uid for file in open_machine.slots.iterdir()} == {first}
    waiter = open_machine.start(user=second)
    assert "waiting" in waiter.stderr.readline()
    holder.kill()
    assert json.loads(waiter.stdout.readline())[1] == "GPU-0"


@AS_ROOT
def test_a_file_that_another_user_closed_is_named_with_its_owner(open_machine):
    open_machine.slots.mkdir()
    open_machine.slots.chmod(0o1777)
    (open_machine.slots / "GPU-0.lock").touch(mode=0o600)
    job = open_machine.start(user=NOBODY)
    log = job.communicate(timeout=20)[1]
    assert job.returncode
    assert "GPU-0.lock, which belongs to root: permission denied" in log and "SHAPELENS_SLOTS" in log


def test_a_linked_folder_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "slots").symlink_to("theirs")
    with pytest.raises(UserError, match="is a symbolic link, which GPU locks do not follow"):
        leases.open_folder(tmp_path / "slots")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(UserError, match="symbolic link"):
        leases.open_folder(tmp_path / "dangling")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_where_others_may_remove_locks_is_refused(tmp_path):
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots").chmod(0o777)
    with pytest.raises(UserError, match=r"chmod \+t"):
        leases.open_folder(tmp_path / "slots")
    (tmp_path / "slots").chmod(0o700)
    os.close(leases.open_folder(tmp_path / "slots").file)


@pytest.mark.parametrize(("path", "says"), [("a file", "not a directory"), ("none/slots", "no such file")])
def test_a_folder_that_cannot_be_one_is_named(tmp_path, path, says):
    (tmp_path / "a file").touch()
    with pytest.raises(UserError, match=says):
        leases.open_folder(tmp_path / path)


def test_a_link_or_pipe_in_the_place_of_a_lock_is_refused(machine, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = leases.open_folder(machine.slots)
    (machine.slots / "link.lock").symlink_to(precious)
    os.mkfifo(machine.slots / "pipe.lock")
    with pytest.raises(UserError, match=r"link\.lock is a symbolic link"):
        leases._lock(folder, "link.lock", leases.fcntl.LOCK_EX)
    with pytest.raises(UserError, match=r"pipe\.lock is no plain file"):
        leases._lock(folder, "pipe.lock", leases.fcntl.LOCK_EX)
    assert precious.read_text() == "mine"
    os.close(folder.file)


def test_a_lock_on_a_file_that_was_removed_counts_for_nothing(machine, monkeypatch):
    folder = leases.open_folder(machine.slots)
    plain = leases._open

    def removed(where, name):
        file = plain(where, name)
        (machine.slots / name).unlink()
        return file

    monkeypatch.setattr(leases, "_open", removed)
    assert leases._lock(folder, "a.lock", leases.fcntl.LOCK_EX) is None
    monkeypatch.undo()
    os.close(leases._lock(folder, "a.lock", leases.fcntl.LOCK_EX))
    os.close(folder.file)


# What a job does with it


def test_a_job_has_its_device_before_it_imports_torch(machine, tmp_path):
    script = f"""
import os, sys
from types import SimpleNamespace as Names
from shapelens.job import job
rule = Names(log=[{str(tmp_path / "log")!r}], rule="r", scriptdir={str(SCRIPTS)!r}, resources=Names(gpu=1))
rule.input = rule.output = []
with job(rule):
    assert "torch" not in sys.modules
    print(os.environ["CUDA_VISIBLE_DEVICES"], os.environ["CUDA_DEVICE_ORDER"])
"""
    machine.holding(CUDA_VISIBLE_DEVICES="0")
    done = subprocess.run(
        [sys.executable, "-c", script], env=machine.environment, capture_output=True, text=True, timeout=20
    )
    assert done.stdout.split() == ["GPU-1", "PCI_BUS_ID"], done.stderr
    assert (tmp_path / "log").read_text() == "leased GPU 1 (Made up), GPU-1, slot 1 of 1\n"


def test_leases_decide_no_result():
    """No code digest holds them, no spec the jobs per GPU: changing either reruns nothing."""
    code = Code(SCRIPTS)
    for script in SCRIPTS.glob("*.py"):
        assert "machine" not in {path.parent.name for path in code.closure(script)}, script.name
    default, shared = (Plan({**STUDY, "compute": compute}, SCRIPTS) for compute in ({}, {"jobs_per_gpu": 3}))
    job = SimpleNamespace(dataset="cues", model="standard", seed="0", testset="stylised")
    assert (default.resources.jobs_per_gpu(job), shared.resources.jobs_per_gpu(job)) == (1, 3)
    for ask in ("training", "style_networks"):
        assert getattr(default.asks, ask)(job) == getattr(shared.asks, ask)(job), ask
    for instrument in default.studies["cues"].instruments_asked():
        ask, other = (plan.asks.measurement(instrument.name) for plan in (default, shared))
        assert ask(job) == other(job), instrument.name


@pytest.mark.parametrize("profile", sorted(path.name for path in PROFILES.iterdir() if path.name != "default"))
def test_every_profile_keeps_what_decides_staleness(profile):
    """--workflow-profile replaces the default profile."""
    default, other = (yaml.safe_load((PROFILES / name / "config.yaml").read_text()) for name in ("default", profile))
    assert default.items() <= other.items()


def test_profiles_give_a_gpu_to_as_many_jobs_as_they_say():
    resources = {name: yaml.safe_load((PROFILES / name / "config.yaml").read_text())["resources"] for name in GPUS}
    assert resources == GPUS


def split_rules(text):
    """Return the rules of a file, those that a loop makes among them."""
    return [part for part in re.split(r"(?m)^(?= *(?:use )?rule\b.*:?$)", text) if "rule" in part.partition("\n")[0]]


def test_every_rule_of_a_cluster_books_memory_and_time_that_grow():
    """Rules that are not local are jobs of the cluster's: what they book grows with each attempt.

    A rule made from another by ``use rule`` inherits its resources, but not that it is local.
    """
    texts = [textwrap.dedent(part) for file in RULES.glob("*.smk") for part in split_rules(file.read_text())]
    computing = [rule for rule in texts if re.search(r"(?m)^    (params|resources):$", rule)]
    remote = [rule for rule in computing if "    localrule: True\n" not in rule]
    assert {"rule means:", "rule:"} <= {rule.partition("\n")[0] for rule in remote} and len(remote) < len(computing)
    for rule in remote:
        grows = r"plan\.resources\.(mem_mb|runtime|growing\(\d+\)),"
        books = re.search(rf"mem_mb={grows}\n        runtime={grows}", rule)
        assert books, rule.partition("\n")[0]


def test_what_is_booked_grows_with_the_attempt():
    plan = Plan(STUDY, SCRIPTS)
    job = SimpleNamespace(dataset="cues", model="standard", seed="0")
    for grows in (plan.resources.mem_mb, plan.resources.runtime, plan.resources.growing(7)):
        assert [grows(job, attempt) / grows(job, 1) for attempt in (1, 2, 3)] == [1, 2, 3]


def test_every_rule_that_may_use_a_gpu_says_how_many_share_it():
    for file in RULES.glob("*.smk"):
        text = file.read_text()
        both = len(re.findall(r"gpu=plan\.resources\.gpu,\n +jobs_per_gpu=plan\.resources\.jobs_per_gpu,", text))
        assert both == text.count("=plan.resources.gpu,")
