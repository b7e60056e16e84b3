"""A tiny study, finished by real Snakemake in a copy of the workflow, and ways to ask what would rerun."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "config.yaml", "rules", "workflow", "envs", "profiles")


@dataclass(frozen=True)
class Folder:
    """A copy of the workflow with its results."""

    path: Path

    def snakemake(self, *arguments, check=True, config="tiny.yaml"):
        """Run Snakemake in the folder; targets come first, since options would eat them."""
        command = [sys.executable, "-m", "snakemake", *arguments]
        if config:
            command += ["--configfile", config]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        done = subprocess.run(command, cwd=self.path, capture_output=True, text=True, env=environment)
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}")
        return done

    def would_run(self, *arguments, config="tiny.yaml"):
        """Return the messages of the jobs that a run would do now."""
        done = self.snakemake(*arguments, "-n", config=config)
        return re.findall(r"^(?:Job \d+|localrule \w+|rule \w+): ?(.*)$", done.stderr + done.stdout, flags=re.MULTILINE)

    def copied(self, path):
        """Return a copy with its results and Snakemake's notes: what all tests share is changed by none."""
        shutil.copytree(self.path, path, symlinks=True, ignore=shutil.ignore_patterns("storage", "source_cache"))
        return Folder(path)

    def study(self):
        """Return the tiny study as plain data."""
        return yaml.safe_load((self.path / "tiny.yaml").read_text())


def all_results() -> list[str]:
    """Return every file below results/ that a job of a finished run made; seen from the folder of the run."""
    files = [path for path in sorted(Path("results").rglob("*")) if path.is_file() and not path.name.startswith(".")]
    return [str(path) for path in files if not set(path.parts) & {"logs", "benchmarks", ".state", ".made"}]


def copy_workflow(path: Path) -> Folder:
    """Copy the workflow and the tiny study, with a folder of images of its own, to a folder."""
    path.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, path / part)
    shutil.copy2(ROOT / "tests" / "workflow" / "tiny.yaml", path / "tiny.yaml")
    rng = np.random.default_rng(0)
    for label, shade in (("dark", 60), ("light", 190)):
        folder = path / "photographs" / label
        folder.mkdir(parents=True)
        for n in range(24):
            pixels = np.clip(rng.normal(shade, 40, (20, 28, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{n:02}.png")
    return Folder(path)


def finish(path: Path) -> Folder:
    """Copy the workflow to a folder and run the tiny study in it."""
    folder = copy_workflow(path)
    folder.snakemake("--cores", "2")
    return folder
