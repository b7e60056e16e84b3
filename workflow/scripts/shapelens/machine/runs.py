"""One run at a time in a folder, and one process at a time for the files of a job.

Both are kernel locks (flock) on files below ``.snakemake``: they end with the process that holds them, however that
ends, so nobody has to unlock anything after a kill. Snakemake's own lock is a file that outlives it; the profiles
switch that off (``nolock``).

A run writes a token into the file of its lock and hands it to its jobs in the environment. By it a job knows whether
another run has begun since its own was killed, and the jobs that a killed run left behind are told from those that
live. Without a token (Snakemake was started without this workflow's ``onstart``, as a module is) jobs only wait for
each other.
"""

import fcntl
import hashlib
import json
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from shapelens.errors import UserError

logger = logging.getLogger("shapelens")

FOLDER = Path(".snakemake")
"""Snakemake's own folder, in the working directory of every run and job."""
RUN = "shapelens-run.lock"
JOBS = "shapelens-jobs"
TOKEN = "SHAPELENS_RUN"
"""The environment variable that tells a job its run."""
GRACE = 30.0
"""Seconds that a job left behind has to end after SIGTERM, before it is killed."""
REMINDER = 600.0
"""Seconds between two lines that say that a job still waits."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as its file says."""

    run: str | None
    pid: int
    host: str
    started: str | None
    """When the kernel started the process, in its own count: a process with the same number later differs."""
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def begin(folder: Path = FOLDER, grace: float = GRACE) -> list[str]:
    """Lock the folder for this run until the process ends, and end the jobs that a killed run left; says what was done.

    Raises UserError where another run is going on, and for a results folder that cannot be written to.
    """
    _refuse_read_only(Path("results"))
    path = folder / RUN
    file = _open(path)
    if not _try(file, path):
        raise UserError(
            f"another run is going on in {Path.cwd()}: {_holder(path) or 'an unknown process'}. Wait for its end, or "
            "stop it, and give the command again; dry-runs (-n) are possible meanwhile"
        )
    token = secrets.token_hex(8)
    _sign(file, token)
    os.environ[TOKEN] = token
    return _end_orphans(folder / JOBS, grace)


@contextmanager
def hold(job: str, folder: Path = FOLDER) -> Iterator[None]:
    """Be the only process that makes the files of a job, waiting for another one; ``job`` is a name of its own.

    Raises UserError if another run has begun since the one that this job belongs to.
    """
    if not folder.is_dir():  # no Snakemake here
        yield
        return
    path = folder / JOBS / f"{hashlib.sha256(job.encode()).hexdigest()[:24]}.lock"
    file = _wait(path, folder / RUN)
    try:
        _sign(file, os.environ.get(TOKEN))
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def _wait(path: Path, run: Path) -> int:
    begin, said = time.monotonic(), -REMINDER
    while True:
        _refuse_superseded(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _open(path)
        if _try(file, path):
            return file
        os.close(file)
        if (now := time.monotonic()) - said >= REMINDER:
            who = _holder(path) or "an unknown process"
            logger.info("waiting for the end of another process that makes these files: %s (%.0f s)", who, now - begin)
            said = now
        time.sleep(0.2)


def _refuse_superseded(run: Path) -> None:
    own, last = os.environ.get(TOKEN), _holder(run)
    if own and last and last.run and last.run != own:
        raise UserError(
            "the run that this job belongs to was killed, and another has begun since: it makes these files"
        )


def _end_orphans(folder: Path, grace: float) -> list[str]:
    """End the jobs of killed runs that still work on this host, and name those that work elsewhere."""
    said: list[str] = []
    ending: dict[Path, Holder] = {}
    for path in sorted(folder.glob("*.lock")):
        if (who := _held(path)) is None:
            continue
        if _signal(who, signal.SIGTERM):
            ending[path] = who
            said.append(f"ended a job that a killed run had left: {who}")
        else:
            said.append(f"a job of an earlier run still works: {who}; what makes the same files waits for it")
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(_held(path) for path in ending):
        time.sleep(0.1)
    for path, who in ending.items():
        if _held(path):
            _signal(who, signal.SIGKILL)
    return said


def _held(path: Path) -> Holder | None:
    """Return who holds a job's lock; the file of one that nobody holds is removed."""
    with suppress(FileNotFoundError):
        file = _open(path, create=False)
        try:
            if not _try(file, path):
                return _holder(path)
            path.unlink(missing_ok=True)
        finally:
            os.close(file)
    return None


def _signal(who: Holder, number: signal.Signals) -> bool:
    """Send a signal to a holder that is surely the process meant, and this user's to end; returns whether it was."""
    if who.host != socket.gethostname() or who.started is None or who.started != _started(who.pid):
        return False
    try:
        os.kill(who.pid, number)
    except OSError:
        return False
    return True


def _started(pid: int) -> str | None:
    """Return when a process was started; None where the system does not say."""
    with suppress(OSError):
        # The name, in parentheses, may hold blanks: the fields are counted from behind it.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    return None


def _refuse_read_only(results: Path) -> None:
    if results.exists() and not os.access(results, os.W_OK | os.X_OK):
        raise UserError(
            f"{results.absolute()} cannot be written to: it is read-only, or belongs to another user (ls -ld shows "
            "which). Have that put right, or run in a folder of your own"
        )


def _open(path: Path, create: bool = True) -> int:
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o666)


def _try(file: int, path: Path) -> bool:
    """Lock an open file without waiting; False where another process has it, or its name is no longer its own."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        logger.warning("%s: this file system has no locks (%s); start no second run here", path, error.strerror)
        return True
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file))
    return False


def _sign(file: int, token: str | None) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    holder = Holder(token, os.getpid(), socket.gethostname(), _started(os.getpid()), since)
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(asdict(holder)).encode(), 0)


def _holder(path: Path) -> Holder | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        record = json.loads(path.read_text(encoding="utf-8"))
        return Holder(**{field.name: record[field.name] for field in fields(Holder)})
    return None
