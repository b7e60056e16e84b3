"""Making a dataset's folder: images and labels of each split, an index, a contact sheet and a manifest with hashes."""

import csv
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.contact_sheet import contact_sheet
from shapelens.artefacts.files import create_npy, open_npy, save_npy, sha256, write_json
from shapelens.artefacts.writing import atomic_path, scratch_folder
from shapelens.datasets.archives import unpack
from shapelens.datasets.class_folders import first_few
from shapelens.datasets.cues import Mode, class_names, draw_to
from shapelens.datasets.images import BadImageError, Loaded, load_whole
from shapelens.datasets.pixels_said import Look, said_of_pixels
from shapelens.datasets.readers import Listing, Record, read_listing
from shapelens.datasets.same_images import Content, same_images, tell_same_images
from shapelens.datasets.sources import SOURCES
from shapelens.datasets.spec import (
    Caltech256,
    Cues,
    Dataset,
    ImageFolder,
    NoTraining,
    RealDataset,
    test_side,
    train_side,
)
from shapelens.datasets.splits import choose_classes, hold_out, mixed_order, take
from shapelens.errors import UserError
from shapelens.seeds import generator

logger = logging.getLogger("shapelens")

SPLITS = ("train", "validation", "test")
SHEET_CLASSES = 16
SHEET_IMAGES = 5
CHUNK = 256


@dataclass(frozen=True)
class _Made:
    """A split on disk: its labels, the file that each image came from, digests of its own pixels, and its looks."""

    labels: NDArray[np.int64]
    files: Sequence[str]
    digests: Sequence[bytes] = ()
    looks: Sequence[Look] = ()


def build_dataset(
    spec: Dataset,
    data_seed: int,
    source: str | Path | None,
    folder: str | Path,
    splits: Sequence[str] = SPLITS,
    *,
    cue: Mode = "both",
    workers: int = 1,
) -> dict[str, Any]:
    """Write the images of a dataset and return the manifest.

    Below ``folder``: ``<split>/images.npy`` (uint8 NCHW), ``<split>/labels.npy`` (int64), index.csv,
    contact_sheet.png, manifest.json. Training images of Caltech-256 and image folders are squares of ``resize``,
    validation and test images their centre crops of ``size``. Each split is stored in a random order in which the
    classes alternate, so its first n images are nearly stratified. The same spec, seed and source give the same bytes.

    Args:
        spec: the dataset.
        data_seed: decides drawing, the choice of classes and images, the splits and their order.
        source: folder or archive; None for the drawn images.
        folder: where to write.
        splits: which of train, validation and test.
        cue: for the drawn images: ``both`` cues, or ``shape-only`` or ``random-texture``, images of the shape ruler.
        workers: threads that decode images.

    Raises:
        UserError: if the source is missing or not in the layout of its kind; if images cannot be read (all are listed),
            unless they are to be skipped; if a split would be empty.
    """
    folder = Path(folder)
    if unknown := [name for name in splits if name not in SPLITS]:
        raise UserError(f"unknown split {unknown[0]!r}; allowed: {', '.join(SPLITS)}")
    if isinstance(spec, Cues):
        made = {name: _draw_split(spec, data_seed, name, cue, folder / name) for name in splits}
        names: tuple[str, ...] = class_names(spec)
        skipped: list[dict[str, str]] = []
        about: dict[str, Any] = {"source": {"kind": "drawn", "cue": cue}}
    elif isinstance(spec, NoTraining):
        raise ValueError(f"{spec.name} has no images of its own")
    else:
        if source is None:
            raise UserError(f"dataset {spec.name}: no source; set dataset.path to a folder or an archive")
        source = Path(source)
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder) as scratch:
            listing = read_listing(spec, _opened(source, scratch / "source"))
            _tell(listing, source)
            names, chosen = choose_records(spec, data_seed, listing)
            skipped = []
            made = {}
            for name in splits:
                made[name] = _decode_split(spec, name, chosen[name], folder / name, skipped, workers)
            if skipped and spec.on_bad_image == "error":
                lines = "\n".join(f"  {entry['file']}: {entry['error']}" for entry in skipped)
                raise UserError(
                    f"{len(skipped)} image(s) of {source} cannot be used:\n{lines}\n"
                    "Mend or delete them, or set dataset.on_bad_image: skip"
                )
        _refuse_lost_classes(made, chosen, names)
        about = _about(spec, source, listing, made, names)
    return _finish(spec, data_seed, folder, made, names, skipped, about)


def _tell(listing: Listing, source: Path) -> None:
    """Log what the reader took for granted, and what it passed over."""
    for sentence in listing.said:
        logger.info("%s: %s", source, sentence)
    listing.passed_over.tell(source)


def _about(
    spec: RealDataset, source: Path, listing: Listing, made: Mapping[str, _Made], names: Sequence[str]
) -> dict[str, Any]:
    """Return what the manifest says of a source: where it comes from, and what of it is not as one expects."""
    same = same_images({name: Content(part.labels.tolist(), part.files, part.digests) for name, part in made.items()})
    tell_same_images(same, spec.name)
    seen = said_of_pixels([look for part in made.values() for look in part.looks], train_side(spec))
    for sentence in seen:
        logger.warning("%s: %s", spec.name, sentence)
    without = {
        name: [names[n] for n in sorted(set(range(len(names))) - set(part.labels.tolist()))]
        for name, part in made.items()
        if len(part.labels)
    }
    for name, classes in without.items():
        if classes:
            logger.warning("%s: no %s images of %s", spec.name, name, first_few(classes))
    return {
        "source": _origin(spec, source),
        "said": [*listing.said, *seen],
        "passed_over": listing.passed_over.summary(),
        "same_images": same,
        "classes_without_images": without,
    }


def _opened(source: Path, scratch: Path) -> Path:
    if source.is_dir():
        return source
    if not source.exists():
        raise UserError(f"{source}: no such folder or archive; check dataset.path")
    return unpack(source, scratch)


def _origin(spec: RealDataset, source: Path) -> dict[str, Any]:
    official = SOURCES.get(spec.kind)
    origin: dict[str, Any] = {"kind": "folder" if source.is_dir() else "archive", "name": source.name}
    if source.is_file():
        origin["sha256"] = sha256(source)
        with open(source, "rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        if official is not None and md5 == official.md5:
            origin |= {"kind": "official", "title": official.title, "url": official.url, "md5": md5}
    return origin


def choose_records(
    spec: RealDataset, data_seed: int, listing: Listing
) -> tuple[tuple[str, ...], dict[str, list[Record]]]:
    """Choose classes and images, and divide them into train, validation and test, in the order of storage.

    The test split is the source's own, or a share of each class; validation images come from the training images,
    unless the source has its own; of test images alone nothing else is made. Records are relabelled by the chosen
    classes.
    """
    classes = choose_classes(listing.classes, listing.ids, spec.classes, generator(data_seed, "classes"))
    renumbered = {old: new for new, old in enumerate(classes)}
    records = [record for record in listing.records if record.label in renumbered]
    labels = np.array([renumbered[record.label] for record in records], dtype=np.int64)
    kinds = np.array([record.split for record in records])
    places = {kind: np.flatnonzero(kinds == kind) for kind in ("train", "validation", "test", "all")}
    train, validation, test = places["train"], places["validation"], places["test"]
    if isinstance(spec, Caltech256 | ImageFolder) and len(places["all"]):
        pool = places["all"]
        rest, held = hold_out(labels[pool], spec.test_share, generator(data_seed, "test"))
        train, test = pool[rest], pool[held]
    if spec.limit_test is not None:
        test = test[take(labels[test], spec.limit_test, generator(data_seed, "limit_test"))]
    if len(validation):
        if spec.limit_train is not None:
            part = round(spec.limit_train * len(validation) / (len(train) + len(validation)))
            validation = validation[take(labels[validation], part, generator(data_seed, "limit_validation"))]
            train = train[take(labels[train], spec.limit_train - part, generator(data_seed, "limit_train"))]
    else:
        if spec.limit_train is not None:
            train = train[take(labels[train], spec.limit_train, generator(data_seed, "limit_train"))]
        rest, held = hold_out(labels[train], spec.validation, generator(data_seed, "validation"))
        train, validation = train[rest], train[held]
    trains = bool(len(places["train"]) + len(places["all"]))
    if trains and (missing := sorted(set(range(len(classes))) - set(labels[train].tolist()))):
        names = ", ".join(listing.classes[classes[n]] for n in missing)
        raise UserError(f"dataset {spec.name}: no training images are left for {names}; raise limit_train")
    chosen = {}
    for name, indices in (("train", train), ("validation", validation), ("test", test)):
        if not len(indices) and (trains or name == "test"):
            raise UserError(f"dataset {spec.name}: no images are left for {name}; raise its share or limit")
        order = indices[mixed_order(labels[indices], generator(data_seed, "order", name))] if len(indices) else indices
        chosen[name] = [_relabelled(records[i], int(labels[i])) for i in order]
    return tuple(listing.classes[n] for n in classes), chosen


def _relabelled(record: Record, label: int) -> Record:
    return Record(record.split, label, record.path, record.name, record.position)


def _draw_split(spec: Cues, data_seed: int, name: str, cue: Mode, folder: Path) -> _Made:
    count = {"train": spec.train, "validation": spec.validation, "test": spec.test}[name]
    drawn = draw_to(folder / "images.npy", spec, count=count, stream=name, mode=cue, data_seed=data_seed)
    save_npy(folder / "labels.npy", drawn.labels)
    return _Made(drawn.labels, [""] * count)


def _decode_split(
    spec: RealDataset, name: str, records: Sequence[Record], folder: Path, skipped: list[dict[str, str]], workers: int
) -> _Made:
    """Decode a split straight to disk; images that fail are added to ``skipped`` and left out."""
    resize = train_side(spec)
    size = resize if name == "train" else test_side(spec)
    fit: Any = "square" if isinstance(spec, Caltech256 | ImageFolder) else "native"
    logger.info("%s, %s: %d images of %d×%d", spec.name, name, len(records), size, size)
    decode = partial(_try_load, fit=fit, resize=resize, size=size)
    kept: list[Record] = []
    digests: list[bytes] = []
    looks: list[Look] = []
    with atomic_path(folder / "images.npy") as whole:
        images = create_npy(whole, np.uint8, (len(records), 3, size, size))
        for record, result in _in_order(decode, records, workers):
            if isinstance(result, BadImageError):
                skipped.append({"file": record.name, "error": str(result)})
            else:
                images[len(kept)] = result.pixels
                kept.append(record)
                digests.append(result.digest)
                looks.append(result.look)
        images.flush()
        if len(kept) < len(records):
            _shorten(whole, images, len(kept))
        del images
    labels = np.array([record.label for record in kept], dtype=np.int64)
    save_npy(folder / "labels.npy", labels)
    return _Made(labels, [record.name for record in kept], digests, looks)


def _try_load(record: Record, **how: Any) -> Loaded | BadImageError:
    try:
        return load_whole(record, **how)
    except BadImageError as error:
        return error


def _in_order(decode: Any, records: Sequence[Record], workers: int) -> Iterator[tuple[Record, Any]]:
    if workers == 1:
        yield from ((record, decode(record)) for record in records)
        return
    with ThreadPoolExecutor(workers) as pool:
        # In chunks: with a slow disk, all decoded images would otherwise pile up in memory.
        for start in range(0, len(records), CHUNK):
            chunk = records[start : start + CHUNK]
            yield from zip(chunk, pool.map(decode, chunk), strict=True)


def _shorten(path: Path, images: NDArray[np.uint8], count: int) -> None:
    """Rewrite the file with its first images alone, since the header states their number."""
    with atomic_path(path) as shorter:
        fewer = create_npy(shorter, np.uint8, (count, *images.shape[1:]))
        for start in range(0, count, CHUNK):
            fewer[start : start + CHUNK] = images[start : min(start + CHUNK, count)]
        fewer.flush()


def _refuse_lost_classes(
    made: Mapping[str, _Made], chosen: Mapping[str, Sequence[Record]], names: Sequence[str]
) -> None:
    for split, part in made.items():
        if chosen[split] and not len(part.labels):
            raise UserError(f"none of the images for {split} can be read")
    trained = "train" in made and chosen["train"]
    lost = sorted(set(range(len(names))) - set(made["train"].labels.tolist())) if trained else []
    if lost:
        raise UserError(f"none of the training images of {', '.join(names[n] for n in lost)} can be read")


def _finish(
    spec: Dataset,
    data_seed: int,
    folder: Path,
    made: Mapping[str, _Made],
    names: Sequence[str],
    skipped: list[dict[str, str]],
    about: dict[str, Any],
) -> dict[str, Any]:
    with atomic_path(folder / "index.csv") as path, open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["split", "image", "label", "class", "file", "pixels"])
        for split, part in made.items():
            digests = [digest.hex() for digest in part.digests] or [""] * len(part.labels)
            for i, (label, name, digest) in enumerate(zip(part.labels.tolist(), part.files, digests, strict=True)):
                writer.writerow([split, i, label, names[label], name, digest])
    _write_sheet(folder, made, names)
    manifest: dict[str, Any] = {
        "spec": spec.model_dump(mode="json"),
        "data_seed": data_seed,
        "classes": list(names),
        "splits": {
            split: {
                "images": len(part.labels),
                "shape": list(open_npy(folder / split / "images.npy").shape[1:]),
                "sha256": {name: sha256(folder / split / name) for name in ("images.npy", "labels.npy")},
            }
            for split, part in made.items()
        },
        "skipped": skipped,
        **about,
    }
    if "train" in made:
        manifest["channel_mean"], manifest["channel_std"] = channel_moments(open_npy(folder / "train" / "images.npy"))
    write_json(folder / "manifest.json", manifest)
    return manifest


def channel_moments(images: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel of uint8 NCHW images, in [0, 1] units, from exact counts.

    Without images both are empty.
    """
    if not len(images):
        return [], []
    counts = np.zeros((images.shape[1], 256), dtype=np.int64)
    for start in range(0, len(images), CHUNK):
        block = np.asarray(images[start : start + CHUNK])
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(block[:, channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean = weights @ values
    variance = (weights * (values - mean[:, None]) ** 2).sum(axis=1)
    return mean.tolist(), np.sqrt(variance).tolist()


def _write_sheet(folder: Path, made: Mapping[str, _Made], names: Sequence[str]) -> None:
    """Show a few images of each class (of many classes, some): training images left, test images right."""
    shown = [split for split in ("train", "test") if split in made] or list(made)
    step = max(1, len(names) / SHEET_CLASSES)
    rows, titles = [], []
    for label in sorted({int(k * step) for k in range(min(len(names), SHEET_CLASSES))}):
        row = []
        for split in shown:
            images = open_npy(folder / split / "images.npy")
            row += [images[i] for i in np.flatnonzero(made[split].labels == label)[:SHEET_IMAGES]]
        if row:
            rows.append(row)
            titles.append(names[label])
    columns = [split for split in shown for _ in range(SHEET_IMAGES)]
    whole = all(len(row) == len(columns) for row in rows)
    contact_sheet(rows, folder / "contact_sheet.png", row_titles=titles, column_titles=columns if whole else ())
