"""One checkout at a time makes files in a folder of results, also where several checkouts link to the same one.

Snakemake's lock lies in the working folder, so two checkouts do not see each other's: one would remove outputs that the
other reads. Beside the results a file names the checkout that runs, and the kernel holds its lock until that run ends,
however it ends. Two runs of one checkout share it: between them Snakemake's own lock stands.
"""

import fcntl
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from shapelens.errors import UserError

NAME = ".run.lock"
PATIENCE = 2.0
"""Seconds in which another run that begins has written who it is."""


def hold(results: str | Path) -> None:
    """Hold a folder of results for this checkout until the process ends.

    Raises UserError while a run of another checkout holds it, and names that one. Without locks on the file system, and
    without the right to write there, nothing is held.
    """
    path = Path(results) / NAME
    me = f"{Path.cwd().resolve()} on {socket.gethostname()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # It stays open to the end of the process, and is not handed to jobs: a job that outlives its run holds nothing.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError:
        return
    begin = time.monotonic()
    while not _taken(file, me):
        other = _written(file)
        if time.monotonic() - begin > PATIENCE:
            os.close(file)
            raise UserError(
                f"{Path(results).resolve()} is being made by another checkout, {other or 'which has no name'}, and two "
                "would remove each other's files; wait for its end, or give this one results of its own"
            )
        time.sleep(0.1)


def _taken(file: int, me: str) -> bool:
    """Try to lock the file, alone or with other runs of this checkout; True also where nothing can be locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if _written(file) != me:
            return False
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        return False
    except OSError:
        return True
    with suppress(OSError):  # a full disk, or no plain file: the lock holds without its name
        os.ftruncate(file, 0)
        os.pwrite(file, f"{me}\n".encode(), 0)
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return True


def _written(file: int) -> str:
    """Return which checkout the file names."""
    try:
        return os.pread(file, 10_000, 0).decode(errors="replace").strip()
    except OSError:
        return ""
