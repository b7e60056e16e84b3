"""GPU leases: a process locks the devices it computes on, before it imports torch, and the kernel frees them.

Every device has a lock file in a folder of the host. The lock is the kernel's (flock), not the file: it ends with the
process that holds it, however that ends, so a file left behind means nothing and none is ever removed. Nothing is
written to the files, and they are only read, so users need no rights to each other's.

A job with ``jobs_per_gpu`` 1 locks its device exclusively. With n > 1 it shares the device's lock with others of its
kind and locks one of n slots beside it, so jobs that share never meet one that does not. Devices are taken all at once
or not at all: a job that waits holds nothing, and no two can wait for each other.
"""

import fcntl
import logging
import os
import pwd
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from shapelens.errors import UserError
from shapelens.machine.gpus import Gpu, visible_gpus

logger = logging.getLogger("shapelens")

# Not $TMPDIR: two runs or users may have different ones, and would then not see each other's locks.
FOLDER = Path("/tmp/shapelens-slots")
"""Where locks lie unless SHAPELENS_SLOTS names another folder; it must be on a disk of this host."""
ELSEWHERE = "name another folder, the same for every user, in the environment variable SHAPELENS_SLOTS"
REMINDER = 600.0
"""Seconds between two lines that say that a job still waits."""


class Folder(NamedTuple):
    """The folder of the locks, open."""

    path: Path
    file: int


@dataclass(frozen=True)
class Lease:
    """Devices that this process has locked."""

    gpus: tuple[Gpu, ...]
    slots: tuple[int, ...]
    """The slot of each device, counted from 1."""
    jobs_per_gpu: int
    files: tuple[int, ...]
    """Open lock files; only the end of the process closes them, after its memory on the device is freed."""

    def __str__(self) -> str:
        slots = zip(self.gpus, self.slots, strict=True)
        return "; ".join(f"{gpu}, slot {slot} of {self.jobs_per_gpu}" for gpu, slot in slots)


_HELD: ContextVar[Lease | None] = ContextVar("held", default=None)


def held() -> Lease | None:
    """Return what this process has leased."""
    return _HELD.get()


def take(gpus: int, jobs_per_gpu: int = 1) -> Lease | None:
    """Lease ``gpus`` of the visible devices for the rest of this process, and show CUDA no others.

    Waits until they are free; never for more than are visible. Call it before torch is imported. Returns None, and
    touches no file, if ``gpus`` is 0 or no device is visible.
    Raises UserError for a lock folder that cannot be used or trusted.
    """
    if gpus < 1:
        return None
    candidates = visible_gpus()
    if not candidates:
        logger.info("no GPU is visible: this job computes on the CPU")
        return None
    wanted = min(gpus, len(candidates))
    if wanted < gpus:
        logger.warning("%d GPUs were asked for, and %d visible: this job takes %d", gpus, len(candidates), wanted)
    folder = open_folder(Path(os.environ.get("SHAPELENS_SLOTS") or FOLDER))
    lease = _wait(folder, candidates, wanted, jobs_per_gpu)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.visible for gpu in lease.gpus)
    # CUDA then numbers devices as nvidia-smi does, whose list is used here.
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    _HELD.set(lease)
    return lease


def give_back() -> Lease | None:
    """Release what this process has leased, before it ends; returns what that was."""
    lease = _HELD.get()
    for file in lease.files if lease else ():
        os.close(file)
    _HELD.set(None)
    return lease


def _wait(folder: Folder, candidates: Sequence[Gpu], wanted: int, jobs_per_gpu: int) -> Lease:
    begin = said = time.monotonic()
    waited = False
    while (lease := _try(folder, candidates, wanted, jobs_per_gpu)) is None:
        now = time.monotonic()
        if not waited or now - said >= REMINDER:
            names = "; ".join(gpu.label for gpu in candidates)
            logger.info("waiting for %d free of: %s%s", wanted, names, f" ({now - begin:.0f} s)" if waited else "")
            waited, said = True, now
        # The kernel cannot wait for any of several locks; pauses differ by process, so that no two try in step.
        time.sleep(0.2 + os.getpid() % 64 / 320)
    logger.info("leased %s%s", lease, f", after {time.monotonic() - begin:.0f} s" if waited else "")
    return lease


def _try(folder: Folder, candidates: Sequence[Gpu], wanted: int, jobs_per_gpu: int) -> Lease | None:
    """Lock ``wanted`` different devices, or none; second slots are taken only where too few first ones are free."""
    with suppress(OSError):
        # Held so that systemd-tmpfiles, which cleans /tmp, leaves the folder and its files alone.
        fcntl.flock(folder.file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    taken: dict[Gpu, tuple[int, tuple[int, ...]]] = {}
    try:
        for slot in range(1, jobs_per_gpu + 1):
            for gpu in candidates:
                if gpu not in taken and (files := _lock_slot(folder, gpu, slot, jobs_per_gpu)):
                    taken[gpu] = slot, files
                if len(taken) == wanted:
                    files = tuple(file for _, held in taken.values() for file in held)
                    slots = tuple(slot for slot, _ in taken.values())
                    return Lease(tuple(taken), slots, jobs_per_gpu, (folder.file, *files))
    except BaseException:
        _close(taken)
        raise
    _close(taken)
    return None


def _close(taken: Mapping[Gpu, tuple[int, tuple[int, ...]]]) -> None:
    for _, files in taken.values():
        for file in files:
            os.close(file)


def _lock_slot(folder: Folder, gpu: Gpu, slot: int, jobs_per_gpu: int) -> tuple[int, ...]:
    """Lock one slot of a device; returns the open files, or nothing where it is taken."""
    name = _scope() + re.sub(r"[^\w.-]", "_", gpu.key)
    whole = _lock(folder, f"{name}.lock", fcntl.LOCK_EX if jobs_per_gpu == 1 else fcntl.LOCK_SH)
    if whole is None or jobs_per_gpu == 1:
        return () if whole is None else (whole,)
    own = _lock(folder, f"{name}.{slot}.lock", fcntl.LOCK_EX)
    if own is None:
        os.close(whole)
        return ()
    return whole, own


def _scope() -> str:
    """Return a prefix for locks inside a Slurm job that was given devices: between jobs, Slurm itself keeps them apart.

    Numbers may mean other devices in another job, and Slurm may share a device between jobs on purpose.
    """
    given = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE")
    job = os.environ.get("SLURM_JOB_ID", "")
    return f"slurm{job}-" if job.isdigit() and any(os.environ.get(name) for name in given) else ""


def open_folder(path: Path) -> Folder:
    """Open the folder of the locks, made if it is not there: every user may add files, and remove only his own.

    Raises UserError for a symbolic link, a folder where others may remove files, and one that cannot be opened.
    """
    try:
        with suppress(FileExistsError), _umask(0):
            os.mkdir(path, 0o1777)  # noqa: PTH102 - pathlib would add nothing
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        _refuse(path, error)
    mode = os.fstat(file).st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        os.close(file)
        raise UserError(f"{path}: others may remove its files, and with them the locks on GPUs; run chmod +t {path}")
    return Folder(path, file)


def _lock(folder: Folder, name: str, kind: int) -> int | None:
    """Lock a file without waiting; returns it open, or None where another process has it."""
    file = _open(folder, name)
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
        # If the file was removed after it was opened, others lock a new one of that name.
        there = os.stat(name, dir_fd=folder.file, follow_symlinks=False)
        if os.path.samestat(there, os.fstat(file)):
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        os.close(file)
        raise UserError(
            f"{folder.path / name} cannot be locked ({error.strerror}): name a folder on a disk of this host in the "
            "environment variable SHAPELENS_SLOTS"
        ) from None
    os.close(file)
    return None


def _open(folder: Folder, name: str) -> int:
    """Open a lock file for reading, made if it is not there. Whatever it is, it is not written to."""
    # Opening must not follow a link, nor wait for the other end of a pipe.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            file = os.open(name, flags, dir_fd=folder.file)
        except FileNotFoundError:
            with suppress(FileExistsError), _umask(0o022):
                os.close(os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder.file))
            file = os.open(name, flags, dir_fd=folder.file)
    except OSError as error:
        _refuse(folder.path / name, error)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise UserError(f"{folder.path / name} is no plain file: remove it, or {ELSEWHERE}")
    return file


def _refuse(path: Path, error: OSError) -> NoReturn:
    """Raise UserError that says what is wrong with a lock file or its folder."""
    if path.is_symlink():
        raise UserError(
            f"{path} is a symbolic link, which GPU locks do not follow: remove it, or {ELSEWHERE}"
        ) from None
    owner = ""
    with suppress(OSError, KeyError):
        owner = f", which belongs to {pwd.getpwuid(path.lstat().st_uid).pw_name}"
    reason = (error.strerror or str(error)).lower()
    raise UserError(f"GPU locks need {path}{owner}: {reason}. Have it put right, or {ELSEWHERE}") from None


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
