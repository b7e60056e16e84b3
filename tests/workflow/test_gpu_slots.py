"""GPU slots as Snakemake meets them: two runs at once on one machine with two made-up devices."""

import json
import os
import shutil
import subprocess
import sys
from itertools import combinations

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.timeout(300)

SNAKEFILE = """
resource_scopes:
    gpu="local",


rule all:
    input:
        expand("job{n}.json", n=range(4)),


rule job:
    output:
        "job{n}.json",
    log:
        "job{n}.log",
    resources:
        gpu=1,
        jobs_per_gpu=1,
    script:
        "scripts/job.py"
"""
SCRIPT = """
import json, os, time
from shapelens.job import job

with job(snakemake):
    begin = time.monotonic()
    time.sleep(0.5)
    span = [begin, time.monotonic(), os.environ.get("CUDA_VISIBLE_DEVICES")]
    open(snakemake.output[0], "w").write(json.dumps(span))
"""


@pytest.fixture
def machine(tmp_path):
    """Two folders with a workflow of four jobs each, and the environment of a host with two made-up devices."""
    for name in ("one", "two"):
        folder = tmp_path / name
        library = ROOT / "workflow" / "scripts" / "shapelens"
        shutil.copytree(library, folder / "scripts" / "shapelens", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "Snakefile").write_text(SNAKEFILE)
        (folder / "scripts" / "job.py").write_text(SCRIPT)
    (tmp_path / "bin").mkdir()
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: Made up (UUID: GPU-a)'\necho 'GPU 1: Made up (UUID: GPU-b)'\n")
    smi.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CUDA", "SLURM"))}
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    return {**environment, "SHAPELENS_SLOTS": str(tmp_path / "slots")}


def start(folder, environment, *arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "4", "--scheduler", "greedy", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(*runs):
    for run in runs:
        out, _ = run.communicate()
        assert run.returncode == 0, out[-4000:]


def test_two_runs_at_once_share_no_device(machine, tmp_path):
    finish(*(start(tmp_path / name, machine) for name in ("one", "two")))
    spans = [json.loads(file.read_text()) for file in tmp_path.glob("*/job?.json")]
    assert len(spans) == 8 and {gpu for _, _, gpu in spans} == {"GPU-a", "GPU-b"}
    assert [(a, b) for a, b in combinations(spans, 2) if a[2] == b[2] and a[0] < b[1] and b[0] < a[1]] == []
    assert "leased GPU " in (tmp_path / "one" / "job0.log").read_text()


def test_resources_gpu_0_touches_no_lock(machine, tmp_path):
    finish(start(tmp_path / "one", machine, "--resources", "gpu=0"))
    assert {json.loads(file.read_text())[2] for file in tmp_path.glob("one/job?.json")} == {None}
    assert not (tmp_path / "slots").exists()
