"""Safe unpacking of archives: nothing lands outside the folder, no links, no devices, no bombs, no half results."""

import logging
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from shapelens.artefacts.writing import refusal
from shapelens.errors import UserError

logger = logging.getLogger("shapelens")

MAX_FILES = 5_000_000
MAX_RATIO = 100
ALWAYS_ALLOWED = 2**30
MAX_DEPTH = 50
MAX_HEADER = 2**24


@dataclass(frozen=True)
class _Member:
    name: str
    kind: str
    """``file``, ``folder``, or what else it is, in words."""
    size: int
    open: Callable[[], IO[bytes]]


def is_archive(path: str | Path) -> bool:
    """Tell whether a file is an archive that ``unpack`` reads, by its content."""
    path = Path(path)
    return path.is_file() and (_is_tar(path) or zipfile.is_zipfile(path))


class _Stream:
    """A decompressed stream that refuses to read too much at once.

    tarfile reads a member's names and attributes in one piece, as long as the archive says: a few kilobytes that
    decompress to gigabytes would take that much memory before a single member is seen.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def read(self, size: int = -1) -> Any:
        if size > MAX_HEADER:
            raise UserError(f"it states {size:,} bytes of names and attributes for one member; refused")
        return self.stream.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _Tar(tarfile.TarFile):
    @classmethod
    def taropen(cls, name: Any, mode: Any = "r", fileobj: Any = None, **options: Any) -> Any:
        stream = open(name, "rb") if fileobj is None else fileobj  # noqa: SIM115  # the TarFile closes it
        try:
            return super().taropen(name, mode, _Stream(stream), **options)
        except BaseException:
            stream.close()
            raise


def _open_tar(path: Path) -> tarfile.TarFile:
    try:
        return _Tar.open(path, "r:*")
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _is_tar(path: Path) -> bool:
    try:
        _open_tar(path).close()
    except UserError:
        raise
    except Exception:  # not only TarError: damaged headers raise nearly anything
        return False
    return True


def unpack(
    archive: str | Path, folder: str | Path, *, max_bytes: int | None = None, max_files: int = MAX_FILES
) -> Path:
    """Unpack a .zip or .tar (plain, .gz, .bz2, .xz) archive into a folder that does not exist yet, and return it.

    Only regular files and folders are written, without the owners, modes and times that the archive states. The
    folder appears complete or not at all.

    Args:
        archive: the file; its kind is told by its content.
        folder: the new folder.
        max_bytes: most bytes unpacked; None: 100 times the archive's own size, at least 1 GiB.
        max_files: most files and folders.

    Raises:
        UserError: if the file is no archive, damaged or encrypted; if a member lies outside the folder, is a link or a
            device; if the limits are exceeded; if the folder exists.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise UserError(f"{archive}: no such file")
    if folder.exists():
        raise UserError(f"{folder} exists already; delete it to unpack {archive.name} again")
    if not is_archive(archive):
        raise UserError(f"{archive} is no archive, or cut off; allowed: .tar, .tar.gz, .tar.bz2, .tar.xz, .zip")
    if max_bytes is None:
        max_bytes = max(ALWAYS_ALLOWED, MAX_RATIO * archive.stat().st_size)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        logger.info("unpacking %s", archive.name)
        _write_members(archive, temporary, max_bytes, max_files)
        temporary.chmod(0o755)
        temporary.rename(folder)
    except UserError:
        raise
    except OSError as error:
        reason = refusal(error, folder) or f"{archive} cannot be unpacked: {error}; fetch or pack it again"
        raise UserError(reason) from error
    except Exception as error:  # damaged archives raise nearly anything, such as struct.error and RuntimeError
        raise UserError(
            f"{archive} cannot be unpacked: {error or type(error).__name__}; fetch or pack it again"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _write_members(archive: Path, folder: Path, max_bytes: int, max_files: int) -> None:
    total, parent = 0, folder
    # In this order: a .tar whose last file is a .zip is recognised as a .zip too.
    members = _tar_members(archive) if _is_tar(archive) else _zip_members(archive)
    for count, member in enumerate(members, start=1):
        target = folder / _checked_name(archive, member)
        total += member.size
        if total > max_bytes:
            raise UserError(f"{archive} unpacks to more than {max_bytes:,} bytes; if that is right, unpack it by hand")
        if count > max_files:
            raise UserError(f"{archive} holds more than {max_files:,} files; if that is right, unpack it by hand")
        if member.kind == "folder":
            target.mkdir(parents=True, exist_ok=True)
            continue
        if target.parent != parent:
            parent = target.parent
            parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file, 2**20)
        if target.stat().st_size != member.size:
            raise UserError(f"{archive}: {member.name} is shorter than stated; fetch or pack the archive again")


def _checked_name(archive: Path, member: _Member) -> PurePosixPath:
    name = PurePosixPath(member.name)
    windows = PureWindowsPath(member.name)
    # Both conventions are checked, so that an archive is refused alike on every system.
    if name.is_absolute() or windows.drive or windows.root or ".." in windows.parts or "\0" in member.name:
        raise UserError(f"{archive}: {member.name!r} would be written outside the folder; refused")
    if len(name.parts) > MAX_DEPTH:
        raise UserError(f"{archive}: {member.name[:80]!r} … lies more than {MAX_DEPTH} folders deep; refused")
    if member.kind not in {"file", "folder"}:
        raise UserError(
            f"{archive}: {member.name!r} is a {member.kind}; only files and folders are unpacked. "
            "Pack the archive again with what it points to (tar --dereference)"
        )
    return name


def _tar_members(archive: Path) -> Iterator[_Member]:
    with _open_tar(archive) as tar:
        while (info := tar.next()) is not None:
            # tarfile keeps every member in memory to resolve links, which are refused here.
            tar.members.clear()  # type: ignore[attr-defined]  # typeshed lacks it

            def read(info: tarfile.TarInfo = info) -> IO[bytes]:
                file = tar.extractfile(info)
                assert file is not None  # None only for links and devices, which were refused before
                return file

            yield _Member(info.name, _tar_kind(info), info.size if info.isreg() else 0, read)
        _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Raise EOFError unless a tar, read to its last member, ends as it should.

    tarfile takes a damaged header, or the end of a file that was cut off between two members, for the end of the
    archive, and then never reads the checksum at the end of a compressed one.
    """
    stream: Any = tar.fileobj
    stream.seek(tar.offset)
    block = stream.read(tarfile.BLOCKSIZE)
    if not block or block.strip(b"\0"):
        raise EOFError("it was cut off, or one of its headers is damaged")
    left = ALWAYS_ALLOWED
    while block and left > 0:
        block = stream.read(2**20)
        left -= len(block)


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isreg():
        return "file"
    if info.isdir():
        return "folder"
    if info.issym() or info.islnk():
        return f"link to {info.linkname!r}"
    return "device or pipe"


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            if info.flag_bits & 1:
                raise UserError(f"{archive}: {info.filename} is encrypted; unpack it by hand")
            # Some programs for Windows write backslashes, against the format's rules.
            name = info.filename.replace("\\", "/")
            kind = "folder" if name.endswith("/") and _zip_kind(info) == "file" else _zip_kind(info)
            yield _Member(name, kind, info.file_size, lambda info=info: packed.open(info))  # type: ignore[misc]


def _zip_kind(info: zipfile.ZipInfo) -> str:
    # The upper half of the attributes is a Unix mode; programs that know none leave it zero.
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "device or pipe"
    return "folder" if info.is_dir() else "file"
