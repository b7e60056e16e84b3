"""Readers of the layouts that datasets come in: each lists the classes and the images, and opens none of them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from shapelens.datasets.cifar import binary_labels, pickled_labels, pickled_names
from shapelens.datasets.class_folders import (
    LAYOUT,
    Role,
    alike,
    first_few,
    images_by_class,
    inside_split,
    role,
    split_folders,
    unwrapped,
)
from shapelens.datasets.spec import Caltech256, Cifar10, ImageFolder, RealDataset, TinyImageNet
from shapelens.datasets.walk import SUFFIXES, Folder, PassedOver, look, pass_over_rest, printable
from shapelens.errors import UserError
from shapelens.spec import composed

LOSSLESS = frozenset({".png", ".bmp", ".ppm"})
"""Suffixes of images that are CIFAR-10's own pixels."""

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
    passed_over: PassedOver
    """Every other file of the source, by reason."""
    texts: tuple[Path, ...] = ()
    """Other files that were read."""
    said: tuple[str, ...] = ()
    """What was taken for granted, for the log."""

    def files(self) -> list[Path]:
        """Return every file that decides the images, sorted."""
        return sorted({*self.texts, *(record.path for record in self.records)})

    def has_training_images(self) -> bool:
        """Tell whether there is anything to train on."""
        return any(record.split in {"train", "all"} for record in self.records)


def read_cifar10(source: Path) -> Listing:
    """List CIFAR-10: its binary or python version, or ``train/class/image`` and ``test/class/image``.

    The binary version has data_batch_*.bin, test_batch.bin, batches.meta.txt; the python version data_batch_*,
    test_batch, batches.meta, which are pickles and read as arrays and plain data only.

    Raises:
        UserError: if a file is missing, of a wrong length, or holds a label without a name.
    """
    tree, passed = look(source)
    if _has_split_folders(tree):
        return _cifar_folders(source)
    root, meta, files = _cifar_files(tree)
    binary = meta.suffix == ".txt"
    names = tuple(_text(meta).split()) if binary else pickled_names(meta)
    records: list[Record] = []
    for split, file in files:
        labels = binary_labels(file) if binary else pickled_labels(file)
        if max(labels) >= len(names):
            raise UserError(f"{file}: label {max(labels)} has no name in {meta.name} ({len(names)} names)")
        records += [Record(split, label, file, f"{file.name}#{n}", n) for n, label in enumerate(labels)]
    return _checked(Listing(names, names, tuple(records), passed, (meta,)), tree, root)


def _has_split_folders(tree: Folder) -> bool:
    return not _fitting(tree, _is_cifar) and any(role(folder.name) for folder in unwrapped(tree).folders)


def _cifar_files(tree: Folder) -> tuple[Folder, Path, list[tuple[Split, Path]]]:
    """Return the folder of CIFAR-10's own files, the file of the classes' names, and the batches with their splits."""
    what = "batches.meta.txt (CIFAR-10, binary version), batches.meta (python version) or train and test folders"
    root = _find_root(tree, _is_cifar, what)
    binary = root.path / "batches.meta.txt" in root.others
    suffix, version = (".bin", "binary") if binary else ("", "python")
    parts: tuple[tuple[Split, str], ...] = (("train", f"data_batch_*{suffix}"), ("test", f"test_batch{suffix}"))
    files: list[tuple[Split, Path]] = []
    for split, pattern in parts:
        found = [file for file in sorted((*root.pictures, *root.others)) if fnmatchcase(file.name, pattern)]
        if not found:
            raise UserError(f"{root.path}: no {pattern}; allowed: the {version} version of CIFAR-10, complete")
        files += [(split, file) for file in found]
    return root, root.path / ("batches.meta.txt" if binary else "batches.meta"), files


def _is_cifar(folder: Folder) -> bool:
    return any(folder.path / name in folder.others for name in ("batches.meta.txt", "batches.meta"))


def _cifar_folders(source: Path) -> Listing:
    listing = read_image_folder(source)
    count = {split: sum(record.split == split for record in listing.records) for split in ("train", "test")}
    if not all(count.values()):
        raise UserError(f"{source}: CIFAR-10 has a test split; allowed: train and test with a folder for each class")
    if lossy := [record.name for record in listing.records if record.path.suffix.lower() not in LOSSLESS]:
        raise UserError(
            f"{source}: {len(lossy)} files, such as {lossy[0]}, may have been compressed with a loss, and are not "
            f"CIFAR-10's pixels; allowed: {', '.join(sorted(LOSSLESS))}. Read them as kind: image_folder"
        )
    said = list(listing.said)
    if (count["train"], count["test"]) != (50_000, 10_000):
        said.append(f"{count['train']} training and {count['test']} test images, where CIFAR-10 has 50,000 and 10,000")
    return replace(listing, said=tuple(said))


def read_tinyimagenet(source: Path) -> Listing:
    """List Tiny ImageNet: wnids.txt, words.txt, train/<wnid>/images, val/images, val/val_annotations.txt.

    Validation images may be sorted into val/<wnid>, as many training scripts do; without wnids.txt the folders in
    train are the classes. The official validation images are the test split, since the labels of its test images are
    not public.

    Raises:
        UserError: if a part is missing, or an annotation names an unknown class.
    """
    tree, passed = look(source)
    root = _find_root(tree, _is_tiny, "wnids.txt (Tiny ImageNet)")
    inner = {folder.name: folder for folder in root.folders}
    trained = {folder.name: folder for folder in inner["train"].folders} if "train" in inner else {}
    texts = [root.path / name for name in ("wnids.txt", "words.txt") if root.path / name in root.others]
    listed = root.path / "wnids.txt" in root.others
    ids = tuple(_text(root.path / "wnids.txt").split()) if listed else tuple(sorted(trained))
    if strange := [wnid for wnid in ids if Path(wnid).name != wnid]:
        raise UserError(f"{root.path / 'wnids.txt'}: {strange[0][:80]!r} is no name of a folder")
    numbers = {wnid: n for n, wnid in enumerate(ids)}
    records = [
        Record("train", label, file, _inside(file, root))
        for wnid, label in numbers.items()
        if wnid in trained
        for file in trained[wnid].images()
    ]
    if "val" not in inner:
        raise UserError(f"{root.path}: the folder val is missing; the source is incomplete")
    sorted_ones = [
        Record("test", numbers[folder.name], file, _inside(file, root))
        for folder in inner["val"].folders
        if folder.name in numbers
        for file in folder.images()
    ]
    annotations = inner["val"].path / "val_annotations.txt"
    records += sorted_ones
    if annotations in inner["val"].others:
        texts.append(annotations)
        there = {record.path.name for record in sorted_ones}
        for name, wnid in _annotated(annotations, numbers):
            if name not in there:
                file = inner["val"].path / "images" / name
                records.append(Record("test", numbers[wnid], file, _inside(file, root)))
    elif not sorted_ones:
        raise UserError(
            f"{root.path}: neither val/val_annotations.txt nor val/<wnid>/ with images; the source is incomplete"
        )
    if "test" in inner:
        for file in inner["test"].images():
            passed.add("a test image, whose class is not public", file)
    return _checked(Listing(_words(root, ids), ids, tuple(records), passed, tuple(texts)), tree, root)


def _is_tiny(folder: Folder) -> bool:
    if folder.path / "wnids.txt" in folder.others:
        return True
    classes = [inner for train in folder.folders if train.name == "train" for inner in train.folders]
    return len(classes) > 1 and all(re.fullmatch(r"n\d{8}", inner.name) for inner in classes)


def _annotated(annotations: Path, known: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield file name and class of each line of val_annotations.txt."""
    for number, line in enumerate(_text(annotations).splitlines(), start=1):
        if line.strip():
            name, wnid, *_ = [*line.split(), ""]
            if wnid not in known:
                raise UserError(f"{annotations}, line {number}: class {wnid!r} is not in wnids.txt")
            yield Path(name).name, wnid


def _words(root: Folder, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first word for each class; classes that share it have their ids beside it."""
    words = {}
    if (root.path / "words.txt") in root.others:
        for line in _text(root.path / "words.txt").splitlines():
            wnid, _, text = line.partition("\t")
            words[wnid] = text.split(",")[0].strip()
    names = [words.get(wnid) or wnid for wnid in ids]
    return tuple(f"{name} ({wnid})" if names.count(name) > 1 else name for name, wnid in zip(names, ids, strict=True))


def read_caltech256(source: Path) -> Listing:
    """List Caltech-256, 256_ObjectCategories/NNN.name/NNN_MMMM.jpg; clutter is a class like the others.

    Folders inside a category and files of other kinds, both of which the official archive holds by mistake, are passed
    over. Where the categories stand twice, in train and test (and val), these are the splits.

    Raises:
        UserError: if there are no such folders, one of them has no images, or several folders hold categories that are
            no splits by their names.
    """
    tree, passed = look(source)
    parts = _caltech_splits(tree)
    if not parts:
        root = _find_root(tree, _is_caltech, "folders such as 001.ak47 (Caltech-256)")
        alone = role(root.name) if root is not tree else None
        parts = _as_splits({alone: root}) if alone else {root: "all"}
    ids = tuple(sorted({inner.name for folder in parts for inner in _categories(folder)}))
    records = []
    top = next(iter(parts)) if len(parts) == 1 else tree
    for folder, split in parts.items():
        for category in _categories(folder):
            label = ids.index(category.name)
            records += [Record(split, label, file, _inside(file, top)) for file in category.pictures]
    names = tuple(name.partition(".")[2] for name in ids)
    return _checked(Listing(names, ids, tuple(records), passed, said=_said(parts, records)), tree, top)


def _caltech_splits(tree: Folder) -> dict[Folder, Split]:
    """Return the folders train and test (and val) that hold categories; none where there are no such."""
    for parent in _levels(tree):
        found = [(role(folder.name), folder) for folder in parent.folders if _categories(folder)]
        kinds = {kind: folder for kind, folder in found if kind}
        if "train" in kinds and 1 < len(kinds) == len(found):
            return _as_splits(kinds)
    return {}


def _categories(folder: Folder) -> list[Folder]:
    return [inner for inner in folder.folders if re.fullmatch(r"\d{3}\.\S+", inner.name)]


def _is_caltech(folder: Folder) -> bool:
    return len(_categories(folder)) >= 2


def read_image_folder(source: Path) -> Listing:
    """List one's own images: ``class/image``, or such trees in ``train/`` and ``test/``, perhaps also ``val/``.

    Folders inside a class belong to it. Of ``train/`` and ``val/`` without ``test/``, the second is the test split;
    ``test/`` or ``val/`` alone is a test split without training images. Splits may have other usual names, such as
    ``training_set`` and ``seg_test``. Images of a split without class folders are refused, or passed over where they
    are for prediction, or are test images beside a validation split.

    Raises:
        UserError: if there are no images, a class is empty, a class of another split is missing in ``train/``, or the
            folders look like splits or masks and not like classes.
    """
    tree, passed = look(source)
    root, splits = _splits_of(tree)
    if not splits:
        found: dict[Folder, dict[str, list[Path]]] = {root: images_by_class(root)}
        parts: dict[Folder, Split] = {root: "all"}
    else:
        known = _with_classes(splits, passed)
        parts = _as_splits({kind: folder for kind, (folder, _) in known.items()})
        found = dict(known.values())
    training = next((folder for folder, split in parts.items() if split in {"train", "all"}), None)
    ids = tuple(sorted(found[training] if training else {name for classes in found.values() for name in classes}))
    numbers = {name: n for n, name in enumerate(ids)}
    records = []
    for folder, classes in found.items():
        if strange := sorted(set(classes) - set(ids)):
            where = training.path if training else root.path
            pairs = [f"{name} is {other} there" for name in strange if (other := alike(name, ids))]
            hint = f" ({first_few(pairs)}: rename one of the two)" if pairs else ""
            raise UserError(
                f"{folder.path}: {first_few(strange)} missing in {where}; every class needs training images{hint}"
            )
        records += [
            Record(parts[folder], numbers[name], file, _inside(file, root))
            for name, files in sorted(classes.items())
            for file in files
        ]
    listing = Listing(ids, ids, tuple(records), passed, said=_said(parts, records))
    return _checked(listing, tree, root)


def _splits_of(tree: Folder) -> tuple[Folder, dict[Role, Folder]]:
    """Return the folder that holds classes or splits, and its splits; folders that hold only one other are entered."""
    root = tree
    while True:
        splits = split_folders(root)
        only = next(iter(splits.values())) if len(splits) == 1 else None
        if splits and not (only and split_folders(inside_split(only))):
            return root, splits
        if only is None and (len(root.folders) != 1 or not root.folders[0].folders or root.pictures):
            return root, {}
        root = inside_split(only) if only else root.folders[0]


def _with_classes(
    splits: Mapping[Role, Folder], passed: PassedOver
) -> dict[Role, tuple[Folder, dict[str, list[Path]]]]:
    """Return the splits that have class folders, with these; images without a class are passed over or refused."""
    inner = {kind: inside_split(folder) for kind, folder in splits.items() if kind != "unlabelled"}
    trained = {composed(folder.name) for folder in inner["train"].folders} if "train" in inner else None
    flat = {kind for kind, folder in inner.items() if _is_flat(folder, None if kind == "train" else trained)}
    without: set[Role] = {kind for kind in splits if kind == "unlabelled"}
    if "test" in flat and "validation" in inner.keys() - flat:
        without.add("test")
    if refused := sorted(flat - without):
        folder = inner[refused[0]]
        raise UserError(
            f"{folder.path}: its images lie in no class folders, so their classes are not known. Sort them into one "
            "folder for each class, or move the folder out of the source"
        )
    for kind in without:
        for file in splits[kind].images():
            passed.add("an image without a class, in a folder for test or prediction", file)
    known: dict[Role, tuple[Folder, dict[str, list[Path]]]] = {
        kind: (folder, images_by_class(folder)) for kind, folder in inner.items() if kind not in without
    }
    if not known:
        raise UserError(f"{next(iter(splits.values())).path}: no class folders; allowed: {LAYOUT}")
    return known


def _is_flat(folder: Folder, trained: set[str] | None) -> bool:
    """Tell whether a split has no class folders; ``test/images/*.jpg`` is one folder, which is no class."""
    if not any(inner.has_images() for inner in folder.folders):
        return True
    return trained is not None and len(folder.folders) == 1 and composed(folder.folders[0].name) not in trained


def _as_splits(folders: Mapping[Role, Folder]) -> dict[Folder, Split]:
    """Return what each folder is: val is the test split where there is no other, train is divided where it is alone."""
    meaning: dict[str, Split] = {"train": "train", "test": "test", "validation": "validation"}
    if "test" not in folders:
        meaning["validation"] = "test"
    if set(folders) == {"train"}:
        meaning["train"] = "all"
    return {folder: meaning[kind] for kind, folder in folders.items() if kind in meaning}


def _said(parts: Mapping[Folder, Split], records: Sequence[Record]) -> tuple[str, ...]:
    """Return in words what the names of folders were taken for."""
    if list(parts.values()) == ["all"]:
        folder = next(iter(parts))
        return (
            (f"{folder.name}: training images without a test split; a share is held out",) if role(folder.name) else ()
        )
    counts = {folder: sum(record.split == split for record in records) for folder, split in parts.items()}
    said = [f"{folder.name}: {counts[folder]} images of the {split} split" for folder, split in parts.items()]
    if "train" not in parts.values():
        said.append("no training images: nothing can be trained, and all images are measured")
    return tuple(said)


def _batches(spec: RealDataset, source: Path) -> list[Path]:
    """Return the files of CIFAR-10 in batches, without their labels: a pickled batch would be read whole for them."""
    if not isinstance(spec, Cifar10) or _has_split_folders(tree := look(source)[0]):
        return []
    _, meta, files = _cifar_files(tree)
    return sorted([meta, *(file for _, file in files)])


def list_images(spec: RealDataset, source: Path) -> Listing | None:
    """Return the listing of a folder, or None where files would be read for it."""
    return None if _batches(spec, source) else read_listing(spec, source)


def source_files(
    spec: RealDataset, source: Path, *, trains: bool = False, listing: Listing | None = None
) -> list[Path]:
    """Return the files of a source that decide its images, sorted: those that its reader reads.

    ``trains``: whether models are trained on it; ``listing``: of the source, where it was listed already.

    Raises:
        UserError: if the source is not in the layout of its kind, or models are to be trained on test images alone.
    """
    if listing is None and (batches := _batches(spec, source)):
        return batches
    listing = listing or read_listing(spec, source)
    if trains and not listing.has_training_images():
        raise UserError(
            f"{source}: {'; '.join(listing.said)}, but the study trains models. Add a folder train, or name finished "
            "models only, with rulers: false"
        )
    return listing.files()


def read_listing(spec: RealDataset, source: Path) -> Listing:
    """List the images of a folder in the layout of the dataset's kind; raises UserError where it is another."""
    match spec:
        case Cifar10():
            return read_cifar10(source)
        case TinyImageNet():
            return read_tinyimagenet(source)
        case Caltech256():
            return read_caltech256(source)
        case ImageFolder():
            return read_image_folder(source)


def _checked(listing: Listing, tree: Folder, root: Folder) -> Listing:
    """Refuse sources without images, with one class, or with a class that cannot be trained on; note what is left."""
    if not listing.records:
        raise UserError(f"{root.path}: no images; allowed: {', '.join(sorted(SUFFIXES))} in one folder for each class")
    if len(listing.ids) < 2:
        raise UserError(f"{root.path}: one class, {listing.ids[0]}; a classifier needs at least two folders of images")
    trained = {record.label for record in listing.records if record.split in {"train", "all"}}
    if trained and (empty := [name for n, name in enumerate(listing.ids) if n not in trained]):
        raise UserError(f"{root.path}: no training images for {first_few(empty)}")
    pass_over_rest(tree, listing.files(), listing.passed_over)
    return replace(
        listing,
        classes=tuple(map(printable, listing.classes)),
        ids=tuple(map(printable, listing.ids)),
        said=tuple(map(printable, listing.said)),
    )


def _fitting(tree: Folder, fits: Callable[[Folder], bool]) -> list[Folder]:
    """Return the folders that fit on the first level where any does: the source, or at most two levels inside it."""
    level = [tree]
    for _ in range(3):
        if found := [folder for folder in level if fits(folder)]:
            return found
        level = [inner for folder in level for inner in folder.folders]
    return []


def _levels(tree: Folder) -> list[Folder]:
    """Return the source and the folders at most two levels inside it."""
    inner = list(tree.folders)
    return [tree, *inner, *(folder for one in inner for folder in one.folders)]


def _find_root(tree: Folder, fits: Callable[[Folder], bool], what: str) -> Folder:
    """Return the folder that fits; raises UserError where none does, or several do."""
    found = _fitting(tree, fits)
    if not found:
        raise UserError(f"{tree.path}: no {what} here or up to two folders deeper; check dataset.kind and dataset.path")
    if len(found) > 1:
        names = first_few([folder.path.relative_to(tree.path).as_posix() for folder in found])
        raise UserError(
            f"{tree.path}: {len(found)} folders fit {what}: {names}; set dataset.path to one of them, or name them "
            "train and test (and val) where they are splits"
        )
    return found[0]


def _inside(file: Path, root: Folder) -> str:
    return printable(file.relative_to(root.path).as_posix())


def _text(path: Path) -> str:
    # A name with a damaged letter matches no folder, and that is reported.
    return path.read_text(encoding="utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
