"""One run at a time in a folder, and one process at a time for a job's files, whoever is killed and when."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shapelens.errors import UserError
from shapelens.machine.runs import JOBS, RUN, TOKEN, begin, hold

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
BEGIN = "import time; from shapelens.machine.runs import begin; begin(); print('ready', flush=True); time.sleep(60)"
JOB = """
import signal, sys, time
from shapelens.machine.runs import hold
if {stubborn}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with hold("results/log"):
    print("ready", flush=True)
    time.sleep({seconds})
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory; what ``begin`` leaves in the environment is taken back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(TOKEN, "")
    Path(".snakemake").mkdir()
    return tmp_path


@pytest.fixture
def start(folder):
    """Start Python code and wait until it says that it is ready; all of it is killed in the end."""
    started = []

    def start(code, run=None, ready=True):
        environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)} | ({TOKEN: run} if run else {})
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=folder, stdout=-1, stderr=-1, text=True, env=environment
        )
        started.append(process)
        assert not ready or process.stdout.readline() == "ready\n", process.stderr.read()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def orphan(start, stubborn=False, seconds=60):
    return start(JOB.format(stubborn=stubborn, seconds=seconds), run="a run that was killed")


def test_a_second_run_is_refused_by_name_and_a_killed_one_is_in_nobodys_way(folder, start):
    first = start(BEGIN)
    host = socket.gethostname()
    for _ in range(2):
        with pytest.raises(UserError, match=f"another run is going on in .*process {first.pid} on {host}, since"):
            begin()
    first.kill()
    first.wait()
    assert begin() == []
    with pytest.raises(UserError, match=f"process {os.getpid()} "):
        begin()


def test_what_earlier_runs_left_in_the_lock_is_harmless(folder):
    for text in ("", "[]", '{"run": 3}', '{"pid": 1, "host'):
        Path(".snakemake", RUN).write_text(text)
        process = subprocess.run(
            [sys.executable, "-c", "from shapelens.machine.runs import begin; begin()"],
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
            capture_output=True,
            text=True,
        )
        assert process.returncode == 0, process.stderr


def test_jobs_of_a_killed_run_are_ended(folder, start):
    job = orphan(start)
    said = begin()
    assert len(said) == 1 and f"ended a job that a killed run had left: process {job.pid} " in said[0]
    assert job.wait(5) == -signal.SIGTERM
    assert not list(Path(".snakemake", JOBS).iterdir())


def test_a_job_that_does_not_end_is_killed(folder, start):
    job = orphan(start, stubborn=True)
    begin(grace=0.3)
    assert job.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"started": "1"}, {"started": None}])
def test_no_process_is_ended_that_may_be_another(folder, start, change):
    job = orphan(start)
    (lock,) = Path(".snakemake", JOBS).iterdir()
    lock.write_text(json.dumps({**json.loads(lock.read_text()), **change}))
    (said,) = begin()
    assert "still works" in said and "waits for it" in said
    assert job.poll() is None


def test_a_job_waits_for_another_process_that_makes_its_files(folder, start, caplog):
    orphan(start, seconds=0.7)
    begun = time.monotonic()
    with caplog.at_level("INFO", logger="shapelens"), hold("results/log"):
        assert time.monotonic() - begun > 0.4
    assert "waiting for the end of another process that makes these files: process" in caplog.text
    with hold("results/log"), hold("another job"):
        pass


def test_a_job_whose_run_was_killed_does_not_write_after_a_newer_one(folder, start):
    begin()
    late = start(JOB.format(stubborn=False, seconds=0), run="a run that was killed", ready=False)
    _, errors = late.communicate(timeout=30)
    assert late.returncode and "another has begun since" in errors
    with hold("results/log"):  # this run's own
        pass


def test_a_killed_job_frees_its_files_at_once(folder, start):
    job = orphan(start)
    job.kill()
    job.wait()
    begun = time.monotonic()
    with hold("results/log"):
        assert time.monotonic() - begun < 0.2


def test_without_snakemake_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with hold("results/log"):
        assert not list(tmp_path.iterdir())
