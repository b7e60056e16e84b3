"""The frame around every script: check the library, open the log, lease a GPU, report errors."""

import gc
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import shapelens
from shapelens.artefacts.writing import disk_fault, explained
from shapelens.errors import DamagedFileError, UserError
from shapelens.machine import leases
from shapelens.records.made import forget, write_records
from shapelens.records.verify import set_aside, verify_inputs
from shapelens.spec import Spec

logger = logging.getLogger("shapelens")


STATE_VARIABLE = "SHAPELENS_STATE"
"""Names a folder that outlives jobs which have a disk of their own, such as containers."""


COLLECT_EVERY = 50_000
"""Python objects between two looks for unused ones (Python's own: 700): torch's import makes so many that all stay that
looking costs a fifth of it."""


@contextmanager
def job(snakemake: Any, lease: bool = True) -> Iterator[logging.Logger]:
    """Run an adapter's body: log lines go to the rule's log file and the terminal, tracebacks to the log.

    Before the body every result among the inputs is compared with what its maker recorded, and after it the job's own
    results are recorded. One that differs ends the job and is set aside, so that the same command makes it again.

    The GPUs that the rule asks for are leased before the body runs, and so before it imports torch; not if ``lease`` is
    False, for a body that may find that it needs none and calls ``lease_gpus`` if it does.

    Raises SystemExit after an error meant for the user, and for a library that is not the one beside the script:
    Snakemake appends the script's folder to ``sys.path``, so an installed copy would win unseen by the code digest.
    """
    gc.set_threshold(COLLECT_EVERY)
    path = Path(snakemake.log[0])
    handlers: list[logging.Handler] = [_log_file(path), logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        started = time.time()
        refuse_installed_copy(Path(snakemake.scriptdir))
        forget(snakemake.output)
        verify_inputs(snakemake.input)
        if lease:
            lease_gpus(snakemake)
        yield logger
        write_records(snakemake, started, time.time())
    except DamagedFileError as error:
        aside = ", ".join(map(str, set_aside(error.path, snakemake.input)))
        moved = f". It was moved to {aside}: the command that you gave makes it again, too" if aside else ""
        logger.error("Error in %s: %s%s", snakemake.rule, error, moved)
        raise SystemExit(1) from None
    except Exception as error:
        if text := _in_words(error, path):
            logger.error("Error in %s: %s", snakemake.rule, text)
            raise SystemExit(1) from None
        with suppress(OSError):  # a full disk must not put another error into its place
            handlers[0].stream.write(traceback.format_exc())  # type: ignore[attr-defined]
        raise
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close() if handler is handlers[0] else handler.flush()


def _in_words(error: BaseException | None, path: Path) -> str | None:
    """Return what to tell the user about an error that she can mend, or about what caused it; None for any other."""
    if error is None or isinstance(error, UserError):
        return str(error) if error else None
    if isinstance(error, MemoryError):
        what = f" ({error})" if str(error) else ""
        return (
            f"no memory was left{what}. Let fewer jobs run at once (--cores, or --resources mem_mb=…), lower "
            "compute.batch, or ask for less in the config; on a cluster raise compute.mem_mb"
        )
    return (disk_fault(error, path) if isinstance(error, Exception) else None) or _in_words(error.__cause__, path)


class _Log(logging.FileHandler):
    """A log that says nothing where its disk is full: the terminal has the same lines, and one error is enough."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Pass over a line that cannot be written."""

    def close(self) -> None:
        """Close the file, whatever could not be written of it."""
        with suppress(OSError):
            super().close()


def _log_file(path: Path) -> logging.FileHandler:
    """Open a rule's log file; a disk that takes no file ends the job with a sentence."""
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            # Appending, since a job that a killed Snakemake left may write to the same log.
            return _Log(path, mode="a", encoding="utf-8")
    except UserError as error:
        raise SystemExit(f"Error: {error}") from None


S = TypeVar("S", bound=Spec)


def spec_of(snakemake: Any, kind: type[S]) -> S:
    """Return what a job was given in its parameter ``spec``, as planning wrote it."""
    return kind.model_validate_json(snakemake.params.spec)


def imported(name: str) -> Any:
    """Return what a name such as ``shapelens.training.spatial:spatial_adversary`` stands for.

    By name an adapter imports what only some jobs of its rule need: only their code digests follow that module.
    """
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def state_folder() -> Path:
    """Return the folder of what outlives a job and no rule declares, so that Snakemake never deletes it.

    States of interrupted trainings, and measurements that are not taken yet: losing them costs time, nothing else.
    ``results/.state``, or what the environment variable SHAPELENS_STATE names.
    """
    return Path(os.environ.get(STATE_VARIABLE) or "results/.state")


def is_state_shared() -> bool:
    """Tell whether the state lies in a folder of its own, which every job sees."""
    return bool(os.environ.get(STATE_VARIABLE))


def lease_gpus(snakemake: Any) -> None:
    """Wait for the GPUs that a job asks for and hold them until its process ends; without any the CPU computes."""
    gpus = getattr(snakemake.resources, "gpu", 0)
    if gpus > 0:
        leases.take(gpus, getattr(snakemake.resources, "jobs_per_gpu", 1))


def refuse_installed_copy(script_folder: Path) -> None:
    """Raise UserError if the imported library is not the one beside the workflow's scripts."""
    used = Path(shapelens.__file__).resolve().parent.parent
    if used != script_folder.resolve():
        raise UserError(
            f"the library was imported from {used}, but this workflow's own lies in {script_folder}. Results would not "
            "be those of this checkout: run `pip uninstall shapelens` in the environment that runs Snakemake."
        )
