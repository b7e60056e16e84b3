"""What every adapter does first: the right library, a log, errors that reach it."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import shapelens
from shapelens.errors import UserError

logger = logging.getLogger("shapelens")


@contextmanager
def job(snakemake: Any) -> Iterator[logging.Logger]:
    """Run an adapter's body: log lines go to the rule's log file and the terminal, tracebacks to the log.

    Raises SystemExit after an error meant for the user, and for a library that is not the one beside the script:
    Snakemake appends the script's folder to ``sys.path``, so an installed copy would win unseen by the code digest.
    """
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.FileHandler(path, mode="w", encoding="utf-8"),
        logging.StreamHandler(sys.stderr),
    ]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        refuse_installed_copy(Path(snakemake.scriptdir))
        yield logger
    except UserError as error:
        logger.error("Error in %s: %s", snakemake.rule, error)
        raise SystemExit(1) from None
    except Exception:
        handlers[0].stream.write(traceback.format_exc())  # type: ignore[attr-defined]
        raise
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close() if handler is handlers[0] else handler.flush()


def refuse_installed_copy(script_folder: Path) -> None:
    """Raise UserError if the imported library is not the one beside the workflow's scripts."""
    used = Path(shapelens.__file__).resolve().parent.parent
    if used != script_folder.resolve():
        raise UserError(
            f"the library was imported from {used}, but this workflow's own lies in {script_folder}. Results would not "
            "be those of this checkout: run `pip uninstall shapelens` in the environment that runs Snakemake."
        )
