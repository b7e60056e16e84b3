"""What can be said of finished models before any job: their files, and what their entries leave open."""

import ast
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from shapelens.models.spec import Finished, is_file, local_folder, split_module
from shapelens.planning.library_names import unknown_name
from shapelens.study.messages import nearest


def paths_of(finished: Finished) -> dict[str, str]:
    """Return the files and folders that decide a finished model, by the key that names them."""
    found = {"weights": finished.weights} if is_file(finished.weights) else {}
    if (folder := local_folder(finished.weights)) is not None:
        found["weights"] = folder
    if finished.file is not None:
        found["file"] = finished.file
    if finished.module is not None:
        found["module"] = str(split_module(finished.module)[0])
    return found


def problems_of(finished: Finished, classes: int | None) -> list[str]:
    """Return what is wrong with an entry, by key, of what its job would refuse after the images are made.

    ``classes``: how many the dataset has, where that is known without its images.
    """
    names = {"weights": finished.weights, "arch": finished.arch}
    problems = [f"{key}: {wrong}" for key, name in names.items() if name and (wrong := unknown_name(name))]
    if is_file(finished.weights) and Path(finished.weights).is_dir():
        problems.append(f"weights: {finished.weights} is a folder; give the path of a file in it")
    if finished.module is not None and (wrong := _module_problem(*split_module(finished.module))):
        problems.append(f"module: {wrong}")
    is_bare = is_file(finished.weights) and finished.arch is None and finished.module is None
    if is_bare and not _is_program(finished.weights):
        problems.append(
            f"arch: {finished.weights} is a file of weights, so its architecture must be given: `arch`, or as `module` "
            "a file of yours that builds it"
        )
    wanted = finished.output_map()
    if classes is not None and isinstance(wanted, tuple) and len(wanted) != classes:
        key = "outputs" if finished.outputs is not None else "class_indices"
        problems.append(f"{key}: {len(wanted)} entries, but the dataset has {classes} classes; give one for each")
    return problems


def _module_problem(path: Path, name: str) -> str:
    """Return what is wrong with a function that a Python file should have, or nothing; the file is not run."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        return f"{path} is no Python file that can be read ({error})"
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    # Assignments, imports and branches may define it, too.
    text = path.read_text(encoding="utf-8", errors="replace")
    if name in defined or re.search(rf"\b{re.escape(name)}\b", text) or "import *" in text:
        return ""
    return f"{path} defines no {name}{nearest(name, defined)}"


def _is_program(path: str) -> bool:
    """Tell whether a file is TorchScript or an exported program, which bring their own architecture."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        return False
    return bool(names & {"archive_format", "constants.pkl", "serialized_exported_program.json"})


def problems_of_names(finished: Finished, classes: Sequence[str]) -> list[str]:
    """Return what is wrong with an entry's names of classes, by key; ``classes``: the dataset's, in its order."""
    wanted, own = finished.output_map(), finished.classes
    if problems := problems_of(finished, len(classes)):
        return problems
    if isinstance(wanted, dict):
        strange = [name for name in wanted if name not in classes]
        missing = [
            f"outputs: no entry for the dataset's class {name!r}{nearest(name, strange)}"
            for name in classes
            if name not in wanted
        ]
        return missing or [f"outputs: the dataset has no class {name!r}" for name in strange]
    if own is not None and wanted in (None, "by-name"):
        strange = [name for name in own if name not in classes]
        return [
            f"classes: it lacks the dataset's class {name!r}{_as_number(name, own) or nearest(name, strange)}"
            for name in classes
            if name not in own
        ]
    return []


def _as_number(name: str, own: Sequence[str]) -> str:
    """Return a hint where YAML has read a name such as 010 as the number 8, or 007 as 7."""
    if not name.isdecimal() or not name.startswith("0"):
        return ""
    read = {str(int(name))} | ({str(int(name, 8))} if set(name) <= set("01234567") else set())
    return "; put quotes round names of digits: YAML reads 010 as the number 8" if read & set(own) else ""
