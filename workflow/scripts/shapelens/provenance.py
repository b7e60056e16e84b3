"""Content digests of code, and records of what made an artefact.

A digest covers the parsed code of a script and of every module of the library that it imports, directly or not.
Comments, docstrings and formatting are left out, so that only a change of what is computed changes it.
"""

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from shapelens.errors import UserError
from shapelens.files import read_json, sha256

PACKAGE = "shapelens"


@cache
def code_digest(script: Path, library: Path | None = None) -> str:
    """Return the sha256, in hex, of a script's code and of all library modules that it transitively imports.

    ``library`` is the folder that holds the package; by default the script's own. The text is the same under every
    Python version: fields of the syntax tree that are empty are left out.
    """
    library = library or script.parent
    files = {script.name: script} | {str(path.relative_to(library)): path for path in import_closure(script, library)}
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{_file_digest(files[name])}\0".encode())
    return whole.hexdigest()


@cache
def import_closure(script: Path, library: Path) -> tuple[Path, ...]:
    """Return the files of the package below ``library`` that a script transitively imports, sorted."""
    found: set[Path] = set()
    pending = [script]
    while pending:
        for module in _imports(pending.pop()):
            for path in _module_files(module, library):
                if path not in found:
                    found.add(path)
                    pending.append(path)
    return tuple(sorted(found))


def _module_files(module: str, library: Path) -> list[Path]:
    """Return the files that importing a dotted name of the package runs: each package's __init__ and the module."""
    parts = module.split(".")
    files = []
    for length in range(1, len(parts) + 1):
        base = library.joinpath(*parts[:length])
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                files.append(path)
    return files


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """Return the dotted names of the package that a file names in imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise UserError(f"{path}:{node.lineno}: relative import; the code digest needs absolute ones")
            module = node.module or ""
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return tuple(sorted(n for n in names if n == PACKAGE or n.startswith(PACKAGE + ".")))


@cache
def _file_digest(path: Path) -> str:
    return hashlib.sha256(canonical_code(_tree(path)).encode()).hexdigest()


def canonical_code(node: object) -> str:
    """Write a syntax tree as text without docstrings, positions, contexts and empty fields."""
    if isinstance(node, ast.AST):
        fields = []
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "kind", "type_comment", "type_ignores") or value is None or value == []:
                continue
            if name == "body" and isinstance(value, list):
                value = [item for item in value if not _is_docstring(item)]
            fields.append(f"{name}={canonical_code(value)}")
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(canonical_code(item) for item in node)}]"
    return repr(node)


def _is_docstring(node: object) -> bool:
    """Tell a bare string statement, which documents but computes nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


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


def run_record(results: Path, checkout: Path, config: str) -> dict[str, Any]:
    """Return what made the results below a folder: checkout, packages, machine, config, and each artefact's record.

    ``config`` is the run's raw config as JSON. Records are the small JSON files that lie beside the artefacts.
    """
    artefacts: dict[str, Any] = {}
    for name in ("manifest.json", "spec.json", "selection.json", "run.json", "seed*.json"):
        for path in sorted(results.rglob(name)):
            artefacts[path.relative_to(results).as_posix()] = read_json(path)
    outputs = [path for folder in ("tables", "claims", "figures") for path in sorted(results.glob(f"*/{folder}/*"))]
    return {
        "git": git_state(checkout),
        "packages": versions(*PACKAGES),
        "platform": platform.platform(),
        "processor_count": os.cpu_count(),
        "config": json.loads(config),
        "artefacts": artefacts,
        "sha256": {path.relative_to(results).as_posix(): sha256(path) for path in outputs if path.is_file()},
    }
