"""What lies below a folder: every file once, which of them are images, and why the others are passed over."""

import logging
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapelens.errors import UserError
from shapelens.names.text import visible

logger = logging.getLogger("shapelens")

_WORD = re.compile(r"\w+")
SUFFIXES = frozenset(
    f".{name}"
    for name in _WORD.findall("jpg jpeg jpe jfif jif mpo png apng bmp gif tif tiff webp avif ppm pgm pbm pnm")
)
UNREAD = frozenset(
    f".{name}"
    for name in _WORD.findall(
        "heic heif hif jxl jp2 j2k jpf jpx jpc jxr wdp svg psd xcf tga exr hdr ico icns pcx eps dcm "
        "dng raw cr2 cr3 nef arw orf rw2 raf pef srw"
    )
)
"""Suffixes of images that are not opened."""
SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin", "lost+found"})
EXAMPLES = 5

HIDDEN = "hidden, or left by the system"
LINKED_AGAIN = "a link to a folder that is read already"
OUTSIDE = "an image outside the class folders"
NOT_REGULAR = "no regular file"
NO_IMAGE = "no suffix, and no image by its content"

# The first bytes of the formats that are opened.
_SIGNATURES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM.{4}\0\0\0\0|II\*\0|MM\0\*|RIFF.{4}WEBP|P[1-6]\s|.{4}ftypavi[fs]",
    flags=re.DOTALL,
)


@dataclass(frozen=True, eq=False)
class Folder:
    """A folder as it is reached, perhaps through a link."""

    path: Path
    folders: tuple["Folder", ...]
    """Sorted by name, links to folders among them."""
    pictures: tuple[Path, ...]
    """Its images, sorted. Links that lead nowhere are among them: they are bad images, not none."""
    others: Mapping[Path, str]
    """Its other files, with the reason why each is no image."""

    @property
    def name(self) -> str:
        """Its last name."""
        return self.path.name

    def below(self) -> Iterator["Folder"]:
        """Yield the folder itself and all below it."""
        waiting = [self]
        while waiting:
            folder = waiting.pop()
            yield folder
            waiting += reversed(folder.folders)

    def images(self) -> list[Path]:
        """Return the images here and below, sorted."""
        return sorted(file for folder in self.below() for file in folder.pictures)

    def has_images(self) -> bool:
        """Tell whether there is an image here or below."""
        return any(folder.pictures for folder in self.below())


class PassedOver:
    """What was not read of a source, by reason."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._reasons: dict[Path, str] = {}

    def add(self, reason: str, path: Path) -> None:
        """Note a file or folder; the first reason stands."""
        self._reasons.setdefault(path, reason)

    def by_reason(self) -> dict[str, list[str]]:
        """Return the names inside the source by reason, both sorted; a hidden or linked folder is one name."""
        found: dict[str, list[str]] = {}
        for path, reason in sorted(self._reasons.items()):
            found.setdefault(reason, []).append(printable(path.relative_to(self._root).as_posix()))
        return dict(sorted(found.items()))

    def summary(self) -> dict[str, dict[str, Any]]:
        """Return number and a few names by reason, as plain data for a manifest."""
        return {
            reason: {"files": len(names), "examples": names[:EXAMPLES]} for reason, names in self.by_reason().items()
        }

    def tell(self, source: Path) -> None:
        """Log the number of files by reason."""
        for reason, names in self.by_reason().items():
            level = logging.INFO if reason == HIDDEN else logging.WARNING
            logger.log(level, "%s: passed over %d: %s; such as %s", source, len(names), reason, names[0])


def look(source: Path) -> tuple[Folder, PassedOver]:
    """Return what lies below a folder, and what of it is hidden or linked twice.

    Links to folders are followed, each folder is listed once (by device and inode): at its own place if it lies below
    ``source``, else at the first link to it. So a loop of links ends, and multiplies no image.

    Raises:
        UserError: if a folder cannot be listed.
    """
    passed = PassedOver(source)
    inside: dict[Path, tuple[list[Path], list[Path], dict[Path, str]]] = {}
    seen: set[tuple[int, int]] = set()
    links = deque([source])
    while links:
        waiting = [links.popleft()]
        while waiting:
            path = waiting.pop()
            if (identity := _identity(path)) in seen:
                passed.add(LINKED_AGAIN, path)
                continue
            seen.add(identity)
            folders, linked, pictures, others = _entries(path, passed)
            inside[path] = ([*folders, *linked], pictures, others)
            waiting += reversed(folders)
            links += linked
    made: dict[Path, Folder] = {}
    # The deepest first, so that every folder's own folders are made before it.
    for path in sorted(inside, key=lambda path: -len(path.parts)):
        folders, pictures, others = inside[path]
        made[path] = Folder(path, tuple(made[p] for p in sorted(folders) if p in made), tuple(sorted(pictures)), others)
    return made[source], passed


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _entries(path: Path, passed: PassedOver) -> tuple[list[Path], list[Path], list[Path], dict[Path, str]]:
    """Return a folder's folders, links to folders, images, and other files with the reason why they are none."""
    folders, linked, pictures, others = [], [], [], {}
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be listed: {error.strerror}; make it readable, or move it out of the source"
        ) from None
    for entry in entries:
        inner = path / entry.name
        if is_hidden(entry.name):
            passed.add(HIDDEN, inner)
        elif entry.is_dir(follow_symlinks=False):
            folders.append(inner)
        elif entry.is_symlink() and os.path.isdir(inner):  # noqa: PTH112  # Path.is_dir raises for some
            linked.append(inner)
        elif reason := _why_no_image(entry):
            others[inner] = reason
        else:
            pictures.append(inner)
    return folders, linked, pictures, others


def is_hidden(name: str) -> bool:
    """Tell whether a name is a hidden one, or of a file that a system leaves beside the user's."""
    return name.startswith((".", "__MACOSX")) or name.lower() in SYSTEM_FILES


def _why_no_image(file: "os.DirEntry[str]") -> str | None:
    """Return why a file is no image, or None for an image; by its suffix, or by its content where it has none."""
    match = re.search(r"\.[A-Za-z][\w~-]*$", file.name)
    suffix = match[0].lower() if match else ""
    if suffix in UNREAD:
        return f"an image of a format that is not read ({suffix})"
    if suffix and suffix not in SUFFIXES:
        return f"no image by its suffix ({printable(suffix)})"
    if file.is_symlink() and leads_nowhere(Path(file.path)):
        return None
    if not file.is_file():
        return NOT_REGULAR
    return None if suffix or _is_image(Path(file.path)) else NO_IMAGE


def leads_nowhere(path: Path) -> bool:
    """Tell whether a path is a link to something that does not exist."""
    return path.is_symlink() and not os.path.exists(path)  # noqa: PTH110  # Path.exists raises for some


def _is_image(file: Path) -> bool:
    try:
        with open(file, "rb") as stream:
            return _SIGNATURES.match(stream.read(16)) is not None
    except OSError:
        return True  # it will be reported with the images that cannot be read


def all_files(tree: Folder) -> list[Path]:
    """Return every file below a folder but hidden ones, sorted."""
    return sorted(file for folder in tree.below() for file in (*folder.pictures, *folder.others))


def pass_over_rest(tree: Folder, taken: Iterable[Path], passed: PassedOver) -> None:
    """Note every file below a folder that was not taken, by reason."""
    known = set(taken)
    for folder in tree.below():
        for file in folder.pictures:
            if file not in known:
                passed.add(OUTSIDE, file)
        for file, reason in folder.others.items():
            if file not in known:
                passed.add(reason, file)


def printable(name: str) -> str:
    r"""Return a file's name as text in one line: bytes of another encoding, which old archives hold, become \xe9."""
    return visible(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
