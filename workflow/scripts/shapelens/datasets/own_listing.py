"""The images of an own test set, and what of its folder is passed over, by reason; none of them is opened."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shapelens.datasets.class_folders import first_few, read_class_folders, unwrapped
from shapelens.datasets.own_spec import OwnConflicts, OwnSet
from shapelens.datasets.walk import OUTSIDE, PassedOver, look, pass_over_rest, printable
from shapelens.errors import UserError


@dataclass(frozen=True)
class Listed:
    """What lies below a folder."""

    images: dict[str, Path]
    """Images by their path inside the folder that holds all of them, in alphabetical order."""
    folders: dict[str, str]
    """The class folder of each image; empty for cue-conflict stimuli, whose folders say nothing of themselves."""
    passed_over: PassedOver


def list_own(own: OwnSet | OwnConflicts, source: Path, where: str) -> Listed:
    """List the images of an own test set.

    Args:
        own: the set.
        source: its folder, unpacked.
        where: its key in the config, for messages.

    Raises:
        UserError: where images of a set of photographs lie in no class folder, or its folders are no classes.
    """
    return _by_class(source, where) if isinstance(own, OwnSet) else _all_images(source)


def own_files(own: OwnSet | OwnConflicts, source: Path, where: str) -> list[Path]:
    """Return the files of a folder that decide an own test set, for its digest."""
    return list(list_own(own, source, where).images.values())


def _by_class(source: Path, where: str) -> Listed:
    try:
        found = read_class_folders(source)
    except UserError as error:
        raise UserError(f"{where}.path: {error}. Cue-conflict stimuli belong under testsets.own_conflicts") from None
    if loose := found.passed_over.by_reason().get(OUTSIDE):
        raise UserError(
            f"{where}.path: {len(loose)} images lie in no folder of a class: {first_few(loose)}. Put each class into a "
            "folder of its own, or move them away; cue-conflict stimuli belong under testsets.own_conflicts"
        )
    labels = {path: printable(label) for label, paths in found.images.items() for path in paths}
    images = _named(labels, found.root)
    return Listed(images, {name: labels[path] for name, path in images.items()}, found.passed_over)


def _all_images(source: Path) -> Listed:
    tree, passed = look(source)
    root = unwrapped(tree)
    files = root.images()
    pass_over_rest(tree, files, passed)
    return Listed(_named(files, root.path), {}, passed)


def _named(files: Iterable[Path], root: Path) -> dict[str, Path]:
    return {printable(file.relative_to(root).as_posix()): file for file in sorted(files)}
