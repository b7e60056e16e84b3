"""Readers of the layouts that datasets come in: each lists the classes and the images, and opens none of them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from shapelens.errors import UserError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
CIFAR_RECORD = 1 + 3 * 32 * 32

Split = Literal["train", "validation", "test", "all"]


@dataclass(frozen=True, slots=True)
class Record:
    """One image of a source."""

    split: Split
    """Its split, ``all`` where the source has none."""
    label: int
    path: Path
    name: str
    """Path inside the source, with ``#n`` for the n-th record of a file."""
    position: int | None = None
    """Number of the record in a CIFAR-10 file; None: the file is an image."""


@dataclass(frozen=True)
class Listing:
    """What a source holds."""

    classes: tuple[str, ...]
    """Names for people."""
    ids: tuple[str, ...]
    """Names of the classes in the source, such as ``n01443537`` or ``001.ak47``."""
    records: tuple[Record, ...]


def read_cifar10(source: Path) -> Listing:
    """List CIFAR-10 in its binary layout: data_batch_*.bin, test_batch.bin, batches.meta.txt.

    Raises:
        UserError: if a file is missing, of a wrong length, or holds a label without a name.
    """
    root = _find_root(
        source, lambda p: (p / "batches.meta.txt").is_file(), "batches.meta.txt (CIFAR-10, binary version)"
    )
    names = tuple(_text(root / "batches.meta.txt").split())
    records: list[Record] = []
    for split, pattern in (("train", "data_batch_*.bin"), ("test", "test_batch.bin")):
        files = sorted(root.glob(pattern))
        if not files:
            raise UserError(f"{root}: no {pattern}; allowed: the binary version of CIFAR-10, complete")
        for file in files:
            size = file.stat().st_size
            if size % CIFAR_RECORD or not size:
                raise UserError(
                    f"{file}: {size} bytes are no whole number of {CIFAR_RECORD}-byte records; fetch it again"
                )
            # Memory-mapped: only one byte of each record is read.
            labels = np.memmap(file, dtype=np.uint8, mode="r")[::CIFAR_RECORD].tolist()
            if max(labels) >= len(names):
                raise UserError(f"{file}: label {max(labels)} has no name in batches.meta.txt ({len(names)} names)")
            records += [
                Record("train" if split == "train" else "test", label, file, f"{file.name}#{n}", n)
                for n, label in enumerate(labels)
            ]
    return _checked(Listing(names, names, tuple(records)), root)


def read_tinyimagenet(source: Path) -> Listing:
    """List Tiny ImageNet in its layout: wnids.txt, words.txt, train/<wnid>/images, val/images, val/val_annotations.txt.

    The official validation images are the test split, since the labels of its test images are not public.

    Raises:
        UserError: if a part is missing, or an annotation names an unknown class.
    """
    root = _find_root(source, lambda p: (p / "wnids.txt").is_file(), "wnids.txt (Tiny ImageNet)")
    annotations = root / "val" / "val_annotations.txt"
    if not annotations.is_file():
        raise UserError(f"{root}: val/val_annotations.txt is missing; the source is incomplete")
    ids = tuple(_text(root / "wnids.txt").split())
    if strange := [wnid for wnid in ids if Path(wnid).name != wnid]:
        raise UserError(f"{root / 'wnids.txt'}: {strange[0][:80]!r} is no name of a folder")
    numbers = {wnid: n for n, wnid in enumerate(ids)}
    records = [
        Record("train", label, file, _inside(file, root))
        for wnid, label in numbers.items()
        for file in _images(root / "train" / wnid / "images")
    ]
    for number, line in enumerate(_text(annotations).splitlines(), start=1):
        if not line.strip():
            continue
        name, wnid, *_ = [*line.split(), ""]
        if wnid not in numbers:
            raise UserError(f"{annotations}, line {number}: class {wnid!r} is not in wnids.txt")
        file = root / "val" / "images" / Path(name).name
        records.append(Record("test", numbers[wnid], file, _inside(file, root)))
    return _checked(Listing(_words(root, ids), ids, tuple(records)), root)


def _words(root: Path, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first word for each class; classes that share it have their ids beside it."""
    words = {}
    if (root / "words.txt").is_file():
        for line in _text(root / "words.txt").splitlines():
            wnid, _, text = line.partition("\t")
            words[wnid] = text.split(",")[0].strip()
    names = [words.get(wnid) or wnid for wnid in ids]
    return tuple(f"{name} ({wnid})" if names.count(name) > 1 else name for name, wnid in zip(names, ids, strict=True))


def read_caltech256(source: Path) -> Listing:
    """List Caltech-256 in its layout, 256_ObjectCategories/NNN.name/NNN_MMMM.jpg; clutter is a class like the others.

    Folders inside a category and files of other kinds, both of which the official archive holds by mistake, are passed
    over.

    Raises:
        UserError: if there are no such folders, or one of them has no images.
    """
    pattern = re.compile(r"\d{3}\.\S+")

    def fits(path: Path) -> bool:
        return sum(bool(pattern.fullmatch(p.name)) for p in _folders(path)) >= 2

    root = _find_root(source, fits, "folders such as 001.ak47 (Caltech-256)")
    folders = [p for p in _folders(root) if pattern.fullmatch(p.name)]
    records = [
        Record("all", label, file, _inside(file, root))
        for label, folder in enumerate(folders)
        for file in _images(folder)
    ]
    ids = tuple(p.name for p in folders)
    return _checked(Listing(tuple(name.partition(".")[2] for name in ids), ids, tuple(records)), root)


def read_image_folder(source: Path) -> Listing:
    """List one's own images: ``class/image``, or such trees in ``train/`` and ``test/``, perhaps also ``val/``.

    Folders inside a class belong to it. Of ``train/`` and ``val/`` without ``test/``, the second is the test split.

    Raises:
        UserError: if there are no images, a class is empty, or a class of another split is missing in ``train/``.
    """
    root = source
    while len(inner := _folders(root)) == 1 and not _images(root) and _folders(inner[0]):
        root = inner[0]
    splits = _split_folders(root)
    trees = {path: {p.name: p for p in _folders(path)} for path in splits}
    training = next(path for path, split in splits.items() if split in {"train", "all"})
    ids = tuple(sorted(trees[training]))
    numbers = {name: n for n, name in enumerate(ids)}
    records = []
    for path, tree in trees.items():
        if strange := sorted(set(tree) - set(ids)):
            raise UserError(f"{path}: {_some(strange)} missing in {training}; every class needs training images")
        for name, folder in sorted(tree.items()):
            files = _images(folder, deep=True)
            if not files:
                raise UserError(
                    f"{folder}: no images; allowed: {', '.join(sorted(SUFFIXES))}. Fill or delete the folder"
                )
            records += [Record(splits[path], numbers[name], file, _inside(file, root)) for file in files]
    return _checked(Listing(ids, ids, tuple(records)), root)


def _split_folders(root: Path) -> dict[Path, Split]:
    """Return the folders that hold trees of classes: the splits', or the root itself."""
    parts = {p: SPLIT_FOLDERS.get(p.name.lower()) for p in _folders(root)}
    kinds = [kind for kind in parts.values() if kind]
    # A single such folder is a class: a train is a vehicle, too.
    if len(kinds) < 2:
        return {root: "all"}
    if "train" not in kinds or len(set(kinds)) < len(parts):
        names = ", ".join(p.name for p in parts)
        raise UserError(f"{root}: its folders are {names}; allowed: train and test (and val), or one for each class")
    final: Split = "validation" if "test" in kinds else "test"
    meaning: dict[str | None, Split] = {"train": "train", "test": "test", "validation": final}
    return {p: meaning[kind] for p, kind in parts.items()}


def _checked(listing: Listing, root: Path) -> Listing:
    """Refuse sources without images, with one class, or with a class that cannot be trained on."""
    if not listing.records:
        raise UserError(f"{root}: no images; allowed: {', '.join(sorted(SUFFIXES))} in one folder for each class")
    if len(listing.ids) < 2:
        raise UserError(f"{root}: one class, {listing.ids[0]}; a classifier needs at least two folders of images")
    trained = {record.label for record in listing.records if record.split in {"train", "all"}}
    if empty := [name for n, name in enumerate(listing.ids) if n not in trained]:
        raise UserError(f"{root}: no training images for {_some(empty)}")
    return replace(listing, classes=tuple(map(printable, listing.classes)), ids=tuple(map(printable, listing.ids)))


def _find_root(source: Path, fits: Callable[[Path], bool], what: str) -> Path:
    """Return the folder that fits: the source, or one at most two levels inside it."""
    level = [source]
    for _ in range(3):
        for path in level:
            if fits(path):
                return path
        level = [inner for path in level for inner in _folders(path)]
    raise UserError(f"{source}: no {what} here or up to two folders deeper; check dataset.kind and dataset.path")


def _visible(paths: Iterable[Path]) -> list[Path]:
    # Macs leave ._files and __MACOSX behind.
    return sorted(p for p in paths if not p.name.startswith((".", "__MACOSX")))


def _folders(path: Path) -> list[Path]:
    return [p for p in _visible(path.iterdir()) if p.is_dir()]


def _images(folder: Path, *, deep: bool = False) -> list[Path]:
    if not folder.is_dir():
        return []
    own = [p for p in _visible(folder.iterdir()) if p.suffix.lower() in SUFFIXES and p.is_file()]
    inner = [file for within in _folders(folder) for file in _images(within, deep=True)] if deep else []
    return sorted(own + inner)


def _inside(file: Path, root: Path) -> str:
    return printable(file.relative_to(root).as_posix())


def _text(path: Path) -> str:
    # A name with a damaged letter matches no folder, and that is reported.
    return path.read_text(encoding="utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def printable(name: str) -> str:
    r"""Return a file's name as text: bytes of another encoding, which old archives hold, become \xe9 and the like."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _some(names: list[str], most: int = 8) -> str:
    text = ", ".join(names[:most])
    return f"{text} and {len(names) - most} more" if len(names) > most else text
