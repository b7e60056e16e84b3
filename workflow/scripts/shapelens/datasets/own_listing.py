"""Every image below a folder of the user's, with what is passed over, by reason."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from shapelens.datasets.readers import SPLIT_FOLDERS, SUFFIXES, printable

logger = logging.getLogger("shapelens")


@dataclass
class Listed:
    """What lies below a folder."""

    root: Path
    images: dict[str, Path] = field(default_factory=dict)
    """Images by their path inside ``root``, in alphabetical order; none is opened."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Other files, by reason."""


def list_images(source: Path) -> Listed:
    """List all images below a folder, deeper ones too; folders that only wrap another are left out of their names."""
    root = source
    while len(inner := _visible(root)) == 1 and inner[0].is_dir() and any(path.is_dir() for path in _visible(inner[0])):
        root = inner[0]
    listed = Listed(root)
    _walk(root, listed, (root.resolve(),))
    return listed


def class_folders(listed: Listed) -> dict[str, str]:
    """Return the folder of its class for each image; below the folders of splits, where a source has those.

    An image that lies in no such folder has an empty one.
    """
    tops = {name.split("/")[0] for name in listed.images}
    has_splits = len(tops) > 1 and all(top.lower() in SPLIT_FOLDERS for top in tops)
    if has_splits:
        logger.warning("%s: the images of %s are all measured", listed.root.name, " and ".join(sorted(tops)))
    return {name: _part(name, 1 if has_splits else 0) for name in listed.images}


def _part(name: str, place: int) -> str:
    folders = name.split("/")[:-1]
    return folders[place] if place < len(folders) else ""


def _visible(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if not _is_hidden(path)]


def _is_hidden(path: Path) -> bool:
    # Macs leave ._files and __MACOSX behind.
    return path.name.startswith((".", "__MACOSX"))


def _walk(folder: Path, listed: Listed, above: tuple[Path, ...]) -> None:
    for path in sorted(folder.iterdir()):
        if _is_hidden(path):
            listed.passed_over["hidden"] += 1
        elif path.is_dir():
            # A link to a folder above would be followed for ever.
            if (real := path.resolve()) in above:
                listed.passed_over["a link to a folder above"] += 1
            else:
                _walk(path, listed, (*above, real))
        elif path.suffix.lower() in SUFFIXES:
            listed.images[printable(path.relative_to(listed.root).as_posix())] = path
        else:
            listed.passed_over[f"with the suffix {path.suffix.lower()}" if path.suffix else "without a suffix"] += 1
