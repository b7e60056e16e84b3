"""Before a job uses a result, its bytes are compared with what its maker recorded; after, what differs is set aside."""

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from shapelens.artefacts.files import rebuild, sha256
from shapelens.errors import DamagedFileError
from shapelens.records.made import FOLDER, SUFFIX, is_result, read_record, record_path

logger = logging.getLogger("shapelens")

WAITS = (0.0, 1.0, 4.0)
"""Seconds before each look at a file that differs: on a network disk another machine's record may show up late."""
ARRAYS = (".npy", ".npz", ".parquet", ".safetensors")
"""Suffixes of what may be too large to be read for a summary; whoever uses such a file compares it."""


def verify_inputs(inputs: Iterable[str]) -> None:
    """Raise DamagedFileError for the first input of a job that is not what its maker recorded.

    What lies outside ``results/`` is nobody's record. A result without a record is used, and named in the log: only
    one that Snakemake was told to take as it is has none.
    """
    for path in filter(is_result, map(str, inputs)):
        for wait in WAITS:
            time.sleep(wait)
            if (problem := difference(path)) is None:
                break
        else:
            raise DamagedFileError(path, f"{problem}. {rebuild(path)}")


def verify_small(results: Path) -> None:
    """Raise DamagedFileError for the first result below a folder, arrays left out, that is not what its maker recorded.

    For jobs that sum up all results: they read more small files than their rules could name.
    """
    records = sorted(results.rglob(f"{FOLDER}/*{SUFFIX}"))
    paths = [record.parent.parent / record.name.removesuffix(SUFFIX) for record in records]
    verify_inputs(str(path) for path in paths if path.suffix not in ARRAYS and path.is_file())


def difference(path: str) -> str | None:
    """Say in which way a result is not what its maker recorded, or return None."""
    try:
        made = read_record(path)
    except ValueError:
        return f"{path}: its record {record_path(path)} cannot be read, so nothing says that the file is whole"
    if made is None:
        logger.warning("%s has no record of what it was made from: it is used as it is", path)
        return None
    if not Path(path).is_file():
        return f"{path} is missing; the rule {made.rule} had made it"
    if path not in made.sha256:
        return f"{path}: its record is that of another file, {', '.join(made.outputs)[:200]}"
    if (found := sha256(path)) != made.sha256[path]:
        return (
            f"{path}: its sha256 is {found}, but the rule {made.rule} recorded {made.sha256[path]}; the file was "
            "changed or cut off after it was made, or comes from another run"
        )
    return None


def set_aside(damaged: Path, inputs: Iterable[str]) -> list[Path]:
    """Move a damaged result aside, so that Snakemake finds it missing and makes it again; return where it is now.

    ``inputs``: those of the job that met it. If the damaged file is none of them, those that its maker made go with it:
    they stand for it, and Snakemake looks for nothing else.
    """
    if not is_result(damaged):
        return []
    inputs = list(map(str, inputs))
    going = [damaged]
    if str(damaged) not in inputs:
        with suppress(ValueError):
            made = read_record(damaged)
            going += [Path(path) for path in inputs if made is not None and path in made.outputs]
    found = []
    for path in going:
        with suppress(OSError):  # another job was first, or this user may not write there
            found.append(path.rename(_free_name(path)))
    return found


def _free_name(path: Path) -> Path:
    """Return a name beside a file that nothing has yet: nothing that was set aside before is lost."""
    number = 1
    while (name := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return name
