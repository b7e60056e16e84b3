"""Folders of class folders: which folders are classes, which are splits, and which look like neither."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

from shapelens.datasets.walk import SUFFIXES, Folder, PassedOver, leads_nowhere, look, pass_over_rest, printable
from shapelens.errors import UserError
from shapelens.spec import composed

Role = Literal["train", "test", "validation", "unlabelled"]

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation", "holdout"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled"), "unlabelled"),
}
_WORD = re.compile(r"\w+")
_FILLERS = frozenset(_WORD.findall("set sets split splits data dataset seg image images img imgs photo photos folder"))
"""Words beside a split's in the name of its folder, as in ``training_set`` and ``seg_train``."""
_PICTURES = frozenset(
    _WORD.findall("image images img imgs picture pictures photo photos jpegimages rgb input inputs raw")
)
_COMPANIONS = frozenset(
    _WORD.findall(
        "mask masks label labels labelled annotation annotations annots gt groundtruth truth segmentation "
        "segmentations segmentationclass segmentationobject trimaps depth depths edges normals target targets "
        "bbox bboxes"
    )
)
"""Names of folders that hold pictures of pictures: masks and the like."""
LAYOUT = "one folder for each class, or train and test (and val) with one folder for each class in each"


@dataclass(frozen=True)
class ClassFolders:
    """A folder with one folder of images for each class."""

    root: Path
    """The folder that holds the class folders: the given one, or one inside it that holds everything."""
    images: Mapping[str, tuple[Path, ...]]
    """Image files by class, sorted; at least one each. Links that lead nowhere are among them, as bad images."""
    passed_over: PassedOver
    """Every other file of the given folder, by reason."""


def read_class_folders(folder: Path) -> ClassFolders:
    """List a folder of class folders, ``class/image``; folders inside a class belong to it. No image is opened.

    Folders that hold nothing but one other folder are gone through. Hidden files and files that are no images are
    passed over and counted; links to folders are followed, each once.

    Raises:
        UserError: if there is no class folder, one of them has no images, or they look like splits or masks.
    """
    tree, passed = look(folder)
    root = unwrapped(tree)
    if splits := split_folders(root):
        if len(splits) > 1:
            raise UserError(f"{root.path}: {_names(splits.values())} are splits, not classes; give the path of one")
        root = inside_split(*splits.values())
    found = images_by_class(root)
    if not found:
        raise UserError(f"{root.path}: no class folders; allowed: one folder of images for each class")
    pass_over_rest(tree, (file for files in found.values() for file in files), passed)
    return ClassFolders(root.path, {name: tuple(files) for name, files in found.items()}, passed)


def unwrapped(tree: Folder) -> Folder:
    """Return the folder that holds more than one other folder: archives often hold all in one, or in two."""
    while len(tree.folders) == 1 and tree.folders[0].folders and not tree.pictures:
        tree = tree.folders[0]
    return tree


def split_folders(root: Folder) -> dict[Role, Folder]:
    """Return the folders that are splits by their names; none where the folders are classes.

    Raises:
        UserError: if splits stand beside other folders of images, two are of one kind, or one has no images.
    """
    found: dict[Role, Folder] = {}
    for folder in root.folders:
        if kind := role(folder.name):
            if kind in found:
                raise UserError(
                    f"{root.path}: both {printable(found[kind].name)} and {printable(folder.name)} are folders of the "
                    f"{kind} split by their names; allowed: {LAYOUT}"
                )
            found[kind] = folder
    others = [folder for folder in root.folders if role(folder.name) is None and folder.has_images()]
    if others and list(found) == ["train"] and _is_a_class(found["train"]):
        return {}
    if others and found:
        raise UserError(f"{root.path}: its folders are {_names(root.folders)}; allowed: {LAYOUT}")
    if empty := [folder for kind, folder in found.items() if kind != "unlabelled" and not folder.has_images()]:
        raise _no_images(empty[0].path)
    return found


def _is_a_class(folder: Folder) -> bool:
    """Tell whether a folder called train is a class: a train is a vehicle, too."""
    return folder.name.lower() == "train" and not any(inner.has_images() for inner in folder.folders)


def inside_split(folder: Folder) -> Folder:
    """Return the folder that holds a split's classes: ``seg_train/seg_train`` for ``seg_train``."""
    while len(folder.folders) == 1 and not folder.pictures and folder.folders[0].folders:
        words = set(_words(folder.folders[0].name))
        if not words or not words <= _FILLERS | _PICTURES | set(_ROLES):
            break
        folder = folder.folders[0]
    return folder


def images_by_class(root: Folder) -> dict[str, list[Path]]:
    """Return the images of each class folder, by its name with composed accents.

    Raises:
        UserError: if a class has no images, two have one name, or the folders look like splits or masks.
    """
    refuse_broken(root)
    refuse_lookalikes(root)
    refuse_twins(root)
    for folder in root.folders:
        if not folder.has_images():
            raise _no_images(folder.path)
    return {composed(folder.name): folder.images() for folder in root.folders}


def _no_images(folder: Path) -> UserError:
    return UserError(f"{folder}: no images; allowed: {', '.join(sorted(SUFFIXES))}. Fill or delete the folder")


def role(name: str) -> Role | None:
    """Return which split a folder's name stands for, such as ``train`` for ``training_set``, or None."""
    held = _words(name)
    roles = [_ROLES[word] for word in held if word in _ROLES]
    return roles[0] if len(roles) == 1 and all(word in _FILLERS or word in _ROLES for word in held) else None


def _words(name: str) -> list[str]:
    """Return the words of a name in small letters, without numbers: ``testSet2`` is test, set."""
    found = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_A-Za-z]+", name)]
    split = []
    for word in found:
        match = re.fullmatch(r"(train|training|test|testing|val|valid|validation)(set|data|images|imgs|split)", word)
        split += list(match.groups()) if match else [word]
    return split


def refuse_broken(root: Folder) -> None:
    """Refuse links among class folders that lead nowhere: a class would be missing."""
    entries = sorted((*root.pictures, *root.others))
    if broken := [p for p in entries if p.suffix.lower() not in SUFFIXES and leads_nowhere(p)]:
        targets = ", ".join(f"{printable(p.name)} (to {printable(str(p.readlink()))})" for p in broken[:5])
        raise UserError(f"{root.path}: links that lead nowhere: {targets}; mend or delete them")


def refuse_lookalikes(root: Folder) -> None:
    """Refuse folders that would be taken for classes and are splits, copies or masks by their names."""
    folders = [folder for folder in root.folders if folder.has_images()]
    names = [folder.name for folder in folders]
    held = {name: {_ROLES[word] for word in _words(name) if word in _ROLES} for name in names}
    splits = [name for name in names if held[name]]
    if len(set().union(*held.values())) > 1 and len(splits) > 1:
        _refuse(root, splits, "their names are those of splits")
    if any(set(_words(name)) & _PICTURES for name in names) and (
        masks := [name for name in names if set(_words(name)) & _COMPANIONS]
    ):
        others = [name for name in names if name not in masks]
        raise UserError(
            f"{root.path}: {first_few(masks)} beside {first_few(others)}: these look like masks "
            f"and the images they belong to, not like classes. Allowed: {LAYOUT}; move the others away"
        )
    for one, other in combinations([folder for folder in folders if folder.folders], 2):
        if shared := _shared(one, other):
            _refuse(root, [one.name, other.name], f"both hold folders named {first_few(sorted(shared))}")


def refuse_twins(root: Folder) -> None:
    """Refuse class folders whose names are one word: in two ways to write an accent, with blanks, or in capitals.

    Single letters may differ in case alone: they are classes of handwriting.
    """
    known: dict[str, str] = {}
    for folder in root.folders:
        name = composed(folder.name).strip()
        key = name if len(name) == 1 else name.casefold()
        if key in known:
            raise UserError(
                f"{root.path}: {known[key]!r} and {printable(folder.name)!r} would be two classes of one name: they "
                "differ in capitals, blanks or the way an accent is written only. Move their images into one folder, "
                "or rename one of them"
            )
        known[key] = printable(folder.name)


def alike(name: str, known: Iterable[str]) -> str | None:
    """Return the one of some names that differs from ``name`` in capitals and blanks only, or None."""
    return next((other for other in known if other.strip().casefold() == name.strip().casefold()), None)


def _shared(one: Folder, other: Folder) -> set[str]:
    """Return the names of folders that two folders both have, unless it is one that says nothing (cat/images)."""
    shared = {inner.name for inner in one.folders} & {inner.name for inner in other.folders}
    flat = bool(one.pictures and other.pictures)
    says_nothing = all(set(_words(name)) <= _PICTURES | _FILLERS for name in shared)
    return set() if len(shared) < 2 and (flat or says_nothing) else shared


def _refuse(root: Folder, names: Iterable[str], why: str) -> None:
    listed = " and ".join(sorted(map(printable, names))[:4])
    raise UserError(
        f"{root.path}: {listed} look like splits or copies of one dataset, not like classes: {why}. Name the folders "
        "train and test (and val), or give the path of the one to read; images of one class that lie in several "
        "folders go straight into the folder of their class"
    )


def _names(folders: Iterable[Folder]) -> str:
    return first_few(sorted(folder.name for folder in folders))


def first_few(names: list[str], most: int = 8) -> str:
    """Return the first names of a list as text."""
    text = ", ".join(map(printable, names[:most]))
    return f"{text} and {len(names) - most} more" if len(names) > most else text
