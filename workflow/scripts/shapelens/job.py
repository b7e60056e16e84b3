"""What every adapter does first: the right library, a log, errors that reach it."""

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import shapelens
from shapelens.errors import UserError
from shapelens.writing import disk_fault, explained

logger = logging.getLogger("shapelens")


STATE_VARIABLE = "SHAPELENS_STATE"
"""Names a folder that outlives jobs which have a disk of their own, such as containers."""

LEASES, RUNS = "shapelens.leases", "shapelens.runs"
"""Names, not imports: where and when a job computes is no part of what it computes, and must not enter its code digest.
"""


@contextmanager
def job(snakemake: Any, lease: bool = True) -> Iterator[logging.Logger]:
    """Run an adapter's body: log lines go to the rule's log file and the terminal, tracebacks to the log.

    The GPUs that the rule asks for are leased before the body runs, and so before it imports torch; not if ``lease`` is
    False, for a body that may find that it needs none and calls ``lease_gpus`` if it does.

    Raises SystemExit after an error meant for the user, and for a library that is not the one beside the script:
    Snakemake appends the script's folder to ``sys.path``, so an installed copy would win unseen by the code digest.
    """
    path = Path(snakemake.log[0])
    handlers: list[logging.Handler] = [_log_file(path), logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        refuse_installed_copy(Path(snakemake.scriptdir))
        # A job's log is its own, as its outputs are: one process at a time may write either.
        with importlib.import_module(RUNS).hold(str(path)):
            if lease:
                lease_gpus(snakemake)
            yield logger
    except Exception as error:
        if text := str(error) if isinstance(error, UserError) else disk_fault(error, path):
            logger.error("Error in %s: %s", snakemake.rule, text)
            raise SystemExit(1) from None
        handlers[0].stream.write(traceback.format_exc())  # type: ignore[attr-defined]
        raise
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close() if handler is handlers[0] else handler.flush()


def state_folder() -> Path:
    """Return the folder of what outlives a job and no rule declares, so that Snakemake never deletes it.

    States of interrupted trainings, and measurements that are not taken yet: losing them costs time, nothing else.
    ``results/.state``, or what the environment variable SHAPELENS_STATE names.
    """
    return Path(os.environ.get(STATE_VARIABLE) or "results/.state")


def is_state_shared() -> bool:
    """Tell whether the state lies in a folder of its own, which every job sees."""
    return bool(os.environ.get(STATE_VARIABLE))


def _log_file(path: Path) -> logging.FileHandler:
    """Open a rule's log file; a disk that takes no file ends the job with a sentence."""
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            return logging.FileHandler(path, mode="w", encoding="utf-8")
    except UserError as error:
        raise SystemExit(f"Error: {error}") from None


def lease_gpus(snakemake: Any) -> None:
    """Wait for the GPUs that a job asks for and hold them until its process ends; without any the CPU computes."""
    gpus = getattr(snakemake.resources, "gpu", 0)
    if gpus > 0:
        importlib.import_module(LEASES).take(gpus, getattr(snakemake.resources, "jobs_per_gpu", 1))


def refuse_installed_copy(script_folder: Path) -> None:
    """Raise UserError if the imported library is not the one beside the workflow's scripts."""
    used = Path(shapelens.__file__).resolve().parent.parent
    if used != script_folder.resolve():
        raise UserError(
            f"the library was imported from {used}, but this workflow's own lies in {script_folder}. Results would not "
            "be those of this checkout: run `pip uninstall shapelens` in the environment that runs Snakemake."
        )
