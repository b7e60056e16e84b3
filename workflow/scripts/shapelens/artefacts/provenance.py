"""Records of what made an artefact: checkout, packages, machine, config."""

import importlib.metadata
import json
import logging
import os
import platform
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

from shapelens.artefacts.arithmetic import arithmetic_of, arithmetic_words
from shapelens.artefacts.files import read_json, sha256

logger = logging.getLogger("shapelens")


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of the named packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, object]:
    """Return the commit of a checkout and whether it has uncommitted changes; empty outside git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"commit": commit, "changed": bool(git("status", "--porcelain", "--untracked-files=no"))}


PACKAGES = (
    "shapelens", "snakemake", "torch", "torchvision", "safetensors", "numpy", "scipy", "pandas", "pyarrow", "pillow",
    "matplotlib", "seaborn", "pydantic",
)  # fmt: skip


def run_record(results: Path, checkout: Path, config: str, studies: Collection[str]) -> dict[str, Any]:
    """Return what made the results below a folder: checkout, packages, machine, config, and each artefact's record.

    ``config`` is the run's raw config as JSON, ``studies`` are the names of its studies: in the same folder may lie the
    results of others, which are not in this record. Records are the small JSON files that lie beside the artefacts. A
    study whose models were trained with different arithmetic, as on two machines, is warned of.
    """
    artefacts: dict[str, Any] = {}
    for name in ("manifest.json", "spec.json", "selection.json", "run.json", "seed*.json"):
        for path in sorted(path for study in studies for path in (results / study).rglob(name)):
            artefacts[path.relative_to(results).as_posix()] = read_json(path)
    models = [path for study in sorted(studies) if (path := results / study / "models").is_dir()]
    arithmetic = {path.parent.name: arithmetic_of(path) for path in models}
    for study, groups in arithmetic.items():
        if len(groups) > 1:
            logger.warning("%s: %s", study, arithmetic_words(groups))
    folders = [results / study / part for part in ("tables", "claims", "figures") for study in sorted(studies)]
    outputs = [path for folder in folders for path in sorted(folder.glob("*"))]
    return {
        "git": git_state(checkout),
        "packages": versions(*PACKAGES),
        "platform": platform.platform(),
        "processor_count": os.cpu_count(),
        "arithmetic": arithmetic,
        "config": json.loads(config),
        "artefacts": artefacts,
        "sha256": {path.relative_to(results).as_posix(): sha256(path) for path in outputs if path.is_file()},
    }
