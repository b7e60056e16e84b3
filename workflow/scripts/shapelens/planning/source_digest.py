"""Digests of files and folders by content, with a memory of what was hashed before."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shapelens.artefacts.files import sha256
from shapelens.artefacts.memory import recall, remember
from shapelens.datasets.walk import all_files, look


def content_digest(path: Path, cache: Path, files: Sequence[Path] | None = None) -> str:
    """Return a digest of a file's bytes, or of the names and bytes of files below a folder.

    ``files``: those of the folder that count, as its reader lists them; None: all but hidden ones, through links.

    A file whose size and times have not changed since it was last hashed is not read again, as git does it: the clock
    may cause a second reading, never a different digest. ``cache`` is a JSON file; it may be deleted at any time.
    """
    known = recall(cache, _fits)
    if files is None:
        files = [path] if path.is_file() else all_files(look(path)[0])
    fresh: dict[str, list[str]] = {}
    whole = hashlib.sha256()
    for file in files:
        try:
            stat = file.stat()
            key = str(file.resolve())
            state = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
            old = known.get(key)
            digest = old[1] if old and old[0] == state else sha256(file)
            fresh[key] = [state, digest]
        except OSError:  # a link to nothing, or a file that may not be read: its reader says so
            digest = "unreadable"
        name = "" if file == path else file.relative_to(path).as_posix()
        whole.update(f"{name}\0{digest}\0".encode())
    if any(known.get(key) != value for key, value in fresh.items()):
        remember(cache, known | fresh)
    return whole.hexdigest()


def _fits(entry: Any) -> bool:
    """Tell whether an entry is a file's state and its sha256."""
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and all(isinstance(part, str) for part in entry)
        and re.fullmatch("[0-9a-f]{64}", entry[1]) is not None
    )
