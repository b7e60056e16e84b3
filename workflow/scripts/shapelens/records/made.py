"""The record of one result: which rule made it, of what, and the hashes of what went in and came out.

Every job writes it beside each of its outputs, in ``.made/NAME.record``, so that it is found from a path alone and is
copied and deleted with the folder. No job computes with it: it is left out of every code digest.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shapelens.artefacts.files import sha256
from shapelens.artefacts.writing import atomic_path, remove

FOLDER = ".made"
SUFFIX = ".record"
RESULTS = "results"


@dataclass(frozen=True)
class Made:
    """What one job made, of what. Paths are those that its rule declares, from the folder that Snakemake runs in.

    ``sha256`` names every output, and every input that is a result itself. ``params`` are Python's text of each, by
    which Snakemake compares them.
    """

    rule: str
    params: Mapping[str, str]
    inputs: list[str]
    outputs: list[str]
    sha256: Mapping[str, str]
    log: list[str]
    started: float
    ended: float


def record_path(path: str | Path) -> Path:
    """Return where the record of a result lies."""
    path = Path(path)
    return path.parent / FOLDER / (path.name + SUFFIX)


def is_result(path: str | Path) -> bool:
    """Tell whether a path is one of a result: below ``results/``, and no storage provider's copy of it.

    Of those copies a job sees nothing but what its rule declares, which records are not.
    """
    parts = Path(path).parts
    return RESULTS in parts[:-1] and ".snakemake" not in parts


def read_record(path: str | Path) -> Made | None:
    """Return the record of a result, or None where there is none; raises ValueError for one that cannot be read."""
    try:
        text = record_path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{record_path(path)}: {error.strerror}") from None
    try:
        found = Made(**json.loads(text))
        texts = [found.rule, *found.params.values(), *found.inputs, *found.outputs, *found.sha256.values()]
        if not all(isinstance(value, str) for value in texts):
            raise TypeError("a value that is no text")
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{record_path(path)}: {error}") from None
    return found


def write_records(job: Any, started: float, ended: float) -> None:
    """Write the record of a finished job beside each of its results.

    ``job``: anything with a rule's name and its ``input``, ``output``, ``params`` and ``log``, as Snakemake hands them
    to a script. Raises OSError where a disk takes no file.
    """
    inputs, outputs = [list(map(str, paths)) for paths in (job.input, job.output)]
    results = [path for path in outputs if is_result(path)]
    if not results:
        return
    known = {path: sha256(path) for path in [*results, *filter(is_result, inputs)]}
    params = {name: repr(value) for name, value in job.params.items()}
    made = Made(str(job.rule), params, inputs, outputs, known, list(map(str, job.log)), started, ended)
    text = json.dumps(asdict(made), ensure_ascii=False) + "\n"
    for path in results:
        with atomic_path(record_path(path)) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")


def forget(outputs: Iterable[str]) -> None:
    """Take away the records of what is about to be made: a job that is killed leaves nothing that looks whole."""
    for path in outputs:
        if is_result(path):
            remove(record_path(path))
