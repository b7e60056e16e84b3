"""Atomic writing: files appear whole or not at all; and errors of the disk in words that say what to do."""

import errno
import fcntl
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from shapelens.errors import UserError

AGAIN = "give the same command again: it goes on from what is finished, and nothing half-written was kept"
FAULTS = {
    errno.ENOSPC: f"the disk is full. Make space on it and {AGAIN}",
    errno.EDQUOT: f"the disk quota is used up. Make space within it and {AGAIN}",
    errno.EROFS: "the file system is read-only. Have it mounted for writing, or run in a copy of the folder",
    errno.EACCES: "this user may not write there. Have the rights or the owner put right (ls -ld shows them)",
    errno.EPERM: "this user may not write there. Have the rights or the owner put right (ls -ld shows them)",
    errno.EIO: "the disk reports a fault. Look after the disk (dmesg may say more), then give the same command again",
}
"""What happened and what to do, by the system's error number."""
OUT_OF_PLACE = {
    errno.EISDIR: f"a folder stands where a file belongs. Move it away and {AGAIN}",
    errno.ENOTDIR: f"a file stands where a folder belongs. Move it away and {AGAIN}",
    errno.EEXIST: f"a file stands where a folder belongs. Move it away and {AGAIN}",
    errno.ELOOP: f"its links lead in a circle. Take the link away and {AGAIN}",
    errno.ENAMETOOLONG: "a name is longer than the file system allows. Give a shorter one, or run in another folder",
    errno.ENXIO: f"no plain file stands there. Move it away and {AGAIN}",
}
"""The same of what stands where a file belongs."""
RANDOM = "[a-z0-9_]" * 8
"""The random part that ``tempfile`` puts into a name, as a pattern."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; if the block succeeds, put it on the disk and rename it to ``path``.

    A killed or failed writer leaves no half file under the final name. What killed writers of the same file left
    beside it is removed. Raises UserError for a disk that is full or cannot be written to.
    """
    path = Path(path)
    with explained(path):
        _sweep(path)
        lock, file = _locked_name(path)
        temporary = lock.with_suffix(path.suffix)
        try:
            temporary.touch()
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            _to_disk(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
            os.close(file)


def remove(path: str | Path) -> None:
    """Remove a file, what killed writers left beside it, and its folder if nothing else is in it.

    A process that writes the file at this moment is not disturbed: it keeps its temporary file, and so the folder.
    """
    path = Path(path)
    path.unlink(missing_ok=True)
    _sweep(path)
    with suppress(OSError):
        path.parent.rmdir()


def refuse_read_only(folder: str | Path) -> None:
    """Raise UserError for what is no folder, and for a folder that cannot be written to, it or one below."""
    _refuse_foreign(Path(folder), os.W_OK | os.R_OK | os.X_OK, "written to: it is read-only, or")


def refuse_unreadable(folder: str | Path) -> None:
    """Raise UserError for what is no folder, and for a folder that cannot be listed, it or one below."""
    _refuse_foreign(Path(folder), os.R_OK | os.X_OK, "read: it")


def _refuse_foreign(folder: Path, rights: int, what: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder.absolute()}: {OUT_OF_PLACE[errno.ENOTDIR]}")
    below = (Path(path, name) for path, names, _ in os.walk(folder) for name in names)
    for path in (folder, *below) if folder.exists() else ():
        if not os.access(path, rights):
            raise UserError(
                f"{path.absolute()} cannot be {what} belongs to another user, {_owner(path)}: ls -ld shows its rights. "
                "Have them put right, or run in a folder of your own"
            )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):
        return "who has no name here"


@contextmanager
def explained(path: str | Path) -> Iterator[None]:
    """Turn a disk error, while the block writes ``path``, into a UserError that names the file and what to do."""
    path = Path(path)
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        named = getattr(error, "filename", None)
        if named is not None and Path(os.fsdecode(named)).parent != path.parent:
            raise  # another file, which the block reads
        if text := refusal(error, path):
            raise UserError(text) from error
        raise


def refusal(error: Exception, path: str | Path) -> str | None:
    """Return what to tell the user about a file that could not be written, or None for an error of another kind."""
    number = _number(error) or 0
    if number in OUT_OF_PLACE:
        return f"{path}: {OUT_OF_PLACE[number]}"
    fault = FAULTS.get(number)
    return None if fault is None else f"{path} could not be written ({_free(Path(path))}): {fault}"


def disk_fault(error: Exception, path: str | Path) -> str | None:
    """Return what to tell the user about any other disk error; ``path`` is named where the error names no file."""
    if "No usable temporary directory" in str(error):
        return f"no folder for temporary files can be written to ({tempfile.tempdir or '/tmp'}): is its disk full?"
    place = os.fsdecode(getattr(error, "filename", None) or path)
    if isinstance(error, PermissionError):
        return (
            f"{place}: permission denied. Give this user the right to read and write it (ls -ld shows owner and "
            "rights), then give the same command again"
        )
    return refusal(error, place)


def _number(error: Exception) -> int | None:
    """Return the system's error number: libraries in Rust have it only in their text, and NumPy not even there."""
    if isinstance(error, OSError):
        if error.errno is None and re.fullmatch(r"\d+ requested and \d+ written", str(error)):
            return errno.ENOSPC
        return error.errno
    named = re.search(r"\(os error (\d+)\)", str(error)) if type(error).__name__ == "SafetensorError" else None
    return int(named[1]) if named else None


def _free(path: Path) -> str:
    """Say how much space is free on a file's disk."""
    folder = next((parent for parent in path.absolute().parents if parent.is_dir()), Path("/"))
    try:
        return f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB free"
    except OSError as error:
        return str(error.strerror)


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder below ``folder`` for what is unfinished; it and those that killed jobs left are removed."""
    for left in folder.glob(".unpacked-*"):
        with suppress(OSError), _locked(left):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=folder) as name, ExitStack() as held:
        with suppress(OSError):  # without locks on this file system nothing is swept either
            held.enter_context(_locked(Path(name)))
        yield Path(name)


def _locked_name(path: Path) -> tuple[Path, int]:
    """Make and lock a new file ``.NAME.RANDOM.lock`` beside ``path``, by which others see that its writer lives.

    The temporary file itself would not do: safetensors puts another file into its place.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".lock", dir=path.parent)
        except FileNotFoundError:
            continue  # another process removed the empty folder between the two lines above
        with suppress(OSError):  # without locks on this file system nothing is swept either
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if Path(name).exists():  # nobody swept it between the two lines above
            return Path(name), file
        os.close(file)


def _sweep(path: Path) -> None:
    """Remove the temporary files that killed writers of ``path`` left: those whose lock no process holds."""
    beside = f".{glob.escape(path.name)}.{RANDOM}"
    for lock in path.parent.glob(f"{beside}.lock"):
        with suppress(OSError), _locked(lock):
            lock.with_suffix(path.suffix).unlink(missing_ok=True)
            lock.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file's or folder's lock, without waiting; raises OSError where another process has it."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)


def _to_disk(path: Path) -> None:
    """Wait until a file is on the disk: only then does a network disk say that it is full."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def reserve(path: str | Path) -> None:
    """Allocate a file's whole size on the disk; without that, a full disk kills a process that writes to a memory map.

    Raises OSError where the disk lacks the space. Where the system cannot allocate in advance, nothing is done.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.posix_fallocate(file, 0, os.fstat(file).st_size)
    finally:
        os.close(file)
