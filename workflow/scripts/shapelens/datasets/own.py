"""The user's own test sets: other images of the dataset's classes, and cue-conflict stimuli with two labels each."""

import csv
import difflib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.contact_sheet import contact_sheet
from shapelens.artefacts.files import create_npy, open_npy, save_npy, sha256, write_json
from shapelens.artefacts.writing import atomic_path, scratch_folder
from shapelens.datasets.archives import unpack
from shapelens.datasets.class_folders import first_few
from shapelens.datasets.images import BadImageError, Loaded, load_whole
from shapelens.datasets.own_labels import labels_by_pattern, labels_by_table
from shapelens.datasets.own_listing import list_own
from shapelens.datasets.own_spec import ClassesJob, OwnConflicts, OwnSet, OwnSetJob, own_key
from shapelens.datasets.own_words import said_of
from shapelens.datasets.pixels_said import said_of_pixels
from shapelens.datasets.readers import Record
from shapelens.datasets.same_images import same_as_learnt
from shapelens.datasets.splits import mixed_order
from shapelens.datasets.walk import PassedOver, printable
from shapelens.errors import UserError
from shapelens.seeds import generator

logger = logging.getLogger("shapelens")

NOTHING = np.zeros(0, dtype=np.uint8)
UNNAMED = "not in the table of labels"
SHEET_CLASSES = 16
SHEET_IMAGES = 5


@dataclass(frozen=True)
class Stimulus:
    """One image of a source, with its classes as the source calls them."""

    path: Path
    name: str
    """Path inside the source."""
    shape: str
    """Its class; of a cue conflict that of its shape."""
    texture: str | None = None
    """Class of its texture in a cue conflict."""


@dataclass
class Found:
    """What a source holds, and what of it is not measured, by reason."""

    stimuli: list[Stimulus]
    passed_over: PassedOver
    """Files that are no stimuli, by reason."""
    lacking: Counter[str] = field(default_factory=Counter)
    """Images of classes that the study does not have, by class."""
    agreeing: int = 0
    """Images whose shape and texture are of one class, so that no cues conflict."""


def read_own(own: OwnSet | OwnConflicts, source: Path, where: str, known: Sequence[str] = ()) -> Found:
    """List the images of an own test set with their classes, renamed as the set's ``classes`` say.

    Args:
        own: the set.
        source: its folder, unpacked.
        where: its key in the config, for messages.
        known: classes of the study, by which a pattern is read first.

    Raises:
        UserError: if there are no images, or labels that cannot be read.
    """
    listed = list_own(own, source, where)
    pairs: Mapping[str, tuple[str, str | None]]
    if isinstance(own, OwnSet):
        pairs = {name: (label, None) for name, label in listed.folders.items()}
    else:
        pairs = _labelled(own, list(listed.images), where, known)
        for name in listed.images.keys() - pairs.keys():
            listed.passed_over.add(UNNAMED, listed.images[name])
    if not pairs:
        raise UserError(f"{where}.path: no images in {source}{_reasons(listed.passed_over)}")
    called = {label for both in pairs.values() for label in both if label is not None}
    if idle := [name for name in own.classes if name not in called]:
        raise UserError(
            f"{where}.classes: the source has no class {first_few(idle)}; it has {first_few(sorted(called))}. "
            "Leave it out here"
        )

    def ours(theirs: str) -> str:
        return own.classes.get(theirs, theirs)

    stimuli = [
        Stimulus(listed.images[name], name, ours(shape), texture and ours(texture))
        for name, (shape, texture) in sorted(pairs.items())
    ]
    return Found(stimuli, listed.passed_over)


def _labelled(
    own: OwnConflicts, names: Sequence[str], where: str, known: Sequence[str]
) -> Mapping[str, tuple[str, str | None]]:
    if own.pattern is not None:
        return labels_by_pattern(names, own.pattern, {*known, *own.classes}, where)
    return labels_by_table(names, Path(str(own.labels)), where)


def _reasons(passed_over: PassedOver) -> str:
    text = ", ".join(f"{len(names)} {reason}" for reason, names in passed_over.by_reason().items())
    return f"; passed over: {text}" if text else ""


def own_classes(spec: ClassesJob, folder: Path) -> list[str]:
    """Return the classes of a study without training images: as stated, or all that its own test sets have.

    Archives are unpacked below ``folder``, which is emptied again.
    """
    if spec.classes is not None:
        return list(spec.classes)
    names: set[str] = set()
    for name, own in spec.sets.items():
        with scratch_folder(folder) as scratch:
            source = _opened(Path(own.path), scratch / "source", where := _where(name, own))
            for stimulus in read_own(own, source, where).stimuli:
                names |= {stimulus.shape} if stimulus.texture is None else {stimulus.shape, stimulus.texture}
    if len(names) < 2:
        raise UserError(f"the own test sets have one class, {first_few(sorted(names))}; a classifier has at least two")
    return [printable(name) for name in sorted(names)]


def _where(name: str, own: OwnSet | OwnConflicts) -> str:
    return f"testsets.{own_key(own)}.{name}"


def _opened(source: Path, scratch: Path, where: str) -> Path:
    if source.is_dir():
        return source
    if not source.exists():
        raise UserError(f"{where}.path: {source}: no such folder or archive")
    return unpack(source, scratch)


def check_own_set(own: OwnSet | OwnConflicts, where: str, classes: Sequence[str] | None) -> None:
    """Raise UserError for what is wrong with the names in an own set's folder; no image is opened.

    ``where``: its key in the config; ``classes``: of the study, None where they are not known.
    """
    found = read_own(own, Path(own.path), where, classes or ())
    if classes is not None:
        _keep_known(found, own, classes, where)
    _leave_out_agreeing(found, where)


def write_own_set(
    spec: OwnSetJob, classes: Sequence[str], folder: str | Path, learnt: Mapping[bytes, str] | None = None
) -> dict[str, Any]:
    """Write an own test set and return its manifest.

    Below ``folder``: images.npy (uint8 NCHW: the short side resized, the centre cut out), labels.npy and textures.npy
    (int64; a texture of −1 stands for none), index.csv with each image's file, contact_sheet.png, manifest.json. Images
    are stored in a random order in which the classes alternate. The manifest says what is not measured and why.

    Args:
        spec: the set.
        classes: names of the study's classes, in the order of their labels.
        folder: is made if needed.
        learnt: files of the study's training and validation images by their digest, among which the set's are sought.

    Raises:
        UserError: if no image has a class of the study, a class is called nearly like one of the study, labels cannot
            be read, or images cannot be read and are not to be skipped.
    """
    folder, source, where = Path(folder), Path(spec.own.path), _where(spec.name, spec.own)
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder) as scratch:
        found = read_own(spec.own, _opened(source, scratch / "source", where), where, classes)
        _keep_known(found, spec.own, classes, where)
        _leave_out_agreeing(found, where)
        numbers = {name: n for n, name in enumerate(classes)}
        order = mixed_order(
            np.array([numbers[one.shape] for one in found.stimuli], dtype=np.int64),
            generator(spec.data_seed, "own", spec.name),
        )
        kept, skipped, about = _decode([found.stimuli[i] for i in order], spec, folder / "images.npy")
    if skipped and spec.own.on_bad_image == "error":
        lines = "\n".join(f"  {entry['file']}: {entry['error']}" for entry in skipped)
        raise UserError(
            f"{len(skipped)} image(s) of {source} cannot be used:\n{lines}\nMend or delete them, or set "
            f"{where}.on_bad_image: skip"
        )
    labels = np.array([numbers[one.shape] for one in kept], dtype=np.int64)
    textures = np.array([-1 if one.texture is None else numbers[one.texture] for one in kept], dtype=np.int64)
    save_npy(folder / "labels.npy", labels)
    save_npy(folder / "textures.npy", textures)
    _write_index(folder / "index.csv", kept, labels)
    _write_sheet(folder, kept, labels)
    arrays = ("images.npy", "labels.npy", "textures.npy")
    used = {one.shape for one in kept} | {one.texture for one in kept}
    manifest: dict[str, Any] = {
        "testset": spec.name,
        "spec": spec.own.model_dump(mode="json"),
        "data_seed": spec.data_seed,
        "images": len(kept),
        "shape": [3, spec.size, spec.size],
        "dtype": "uint8",
        "left_out": {
            "labels_agree": found.agreeing,
            "classes_not_in_the_study": dict(sorted(found.lacking.items())),
            "passed_over": found.passed_over.summary(),
            "unreadable": skipped,
        },
        "same_images": same_as_learnt([one.name for one in kept], [one.digest for one in about], learnt or {}),
        "said": said_of_pixels([one.look for one in about], spec.resize),
        "classes_without_images": [name for name in classes if name not in used],
        "source": {
            "kind": "folder" if source.is_dir() else "archive",
            "name": source.name,
            **({"sha256": sha256(source)} if source.is_file() else {}),
        },
        "sha256": {name: sha256(folder / name) for name in arrays},
    }
    for line in said_of(manifest):
        logger.warning("%s: %s", spec.name, line)
    logger.info("%s: %d images of %d classes", spec.name, len(kept), len(set(labels.tolist())))
    write_json(folder / "manifest.json", manifest)
    return manifest


def _keep_known(found: Found, own: OwnSet | OwnConflicts, classes: Sequence[str], where: str) -> None:
    """Leave out, and count, images of classes that the study lacks."""
    known = set(classes)
    present = [name for one in found.stimuli for name in (one.shape, one.texture) if name is not None]
    strange = Counter(name for name in present if name not in known)
    # A name that ``classes`` gives is meant as it is.
    doubtful = set(strange) - set(own.classes.values())
    _refuse_near_names(doubtful, classes, present, where)
    kept = [one for one in found.stimuli if one.shape in known and (one.texture is None or one.texture in known)]
    if not kept:
        raise UserError(
            f"{where}: none of its images is of the study's classes. It has {first_few(sorted(strange))}; the "
            f"study has {first_few(list(classes))}. Rename its folders or labels, or map them in {where}.classes: "
            f"{{{next(iter(sorted(strange)))}: {classes[0]}, …}}"
        )
    for one in found.stimuli:
        if one.shape not in known:
            found.lacking[printable(one.shape)] += 1
        elif one.texture is not None and one.texture not in known:
            found.lacking[printable(one.texture)] += 1
    found.stimuli = kept


def _refuse_near_names(strange: Iterable[str], classes: Sequence[str], present: Sequence[str], where: str) -> None:
    """Refuse a class that is spelt nearly like one of the study's: leaving it out would measure another set.

    Of classes that have images here only capitals, blanks and the like count as nearly.
    """
    plain = {_plain(name): name for name in classes}
    missing = [name for name in classes if name not in set(present)]
    pairs = {}
    for name in sorted(strange):
        close = plain.get(_plain(name)) or next(iter(difflib.get_close_matches(name, missing, n=1, cutoff=0.85)), None)
        if close is not None:
            pairs[name] = close
    if pairs:
        said = ", ".join(f"{theirs!r} (the study's {ours!r}?)" for theirs, ours in pairs.items())
        mapping = ", ".join(f"{theirs}: {ours}" for theirs, ours in pairs.items())
        raise UserError(
            f"{where}: it has classes that the study lacks, spelt nearly like ones that it has: {said}. "
            f"If they are the same: {where}.classes: {{{mapping}}}; if not, map them to their own names: "
            f"{{{', '.join(f'{theirs}: {theirs}' for theirs in pairs)}}}"
        )


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _leave_out_agreeing(found: Found, where: str) -> None:
    """Leave out, and count, stimuli whose two labels agree."""
    kept = [one for one in found.stimuli if one.texture != one.shape]
    found.agreeing = len(found.stimuli) - len(kept)
    if not kept:
        raise UserError(
            f"{where}: shape and texture agree in all of its {len(found.stimuli)} images, so no cues conflict; check "
            "its pattern or labels"
        )
    found.stimuli = kept


def _decode(
    stimuli: Sequence[Stimulus], spec: OwnSetJob, path: Path
) -> tuple[list[Stimulus], list[dict[str, str]], list[Loaded]]:
    """Write images straight to disk; returns those that could be read, the others with their reasons, and more of both.

    The last list has digests and looks of those that could be read, their pixels left out.
    """
    kept: list[Stimulus] = []
    about: list[Loaded] = []
    skipped: list[dict[str, str]] = []
    shape = (3, spec.size, spec.size)
    with atomic_path(path) as whole:
        images = create_npy(whole, np.uint8, (len(stimuli), *shape))
        for one in stimuli:
            try:
                record = Record("all", 0, one.path, one.name)
                loaded = load_whole(record, fit="square", resize=spec.resize, size=spec.size)
            except BadImageError as error:
                skipped.append({"file": one.name, "error": str(error)})
                continue
            images[len(kept)] = loaded.pixels
            kept.append(one)
            about.append(loaded._replace(pixels=NOTHING))
        images.flush()
        if skipped and kept:
            # The header states the number of images.
            part = np.array(images[: len(kept)])
            del images
            np.save(whole, part, allow_pickle=False)
    if not kept:
        raise UserError(f"none of the {len(stimuli)} images of {spec.own.path} can be read: {skipped[0]['error']}")
    return kept, skipped, about


def _write_index(path: Path, kept: Sequence[Stimulus], labels: NDArray[np.int64]) -> None:
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "label", "class", "texture", "file"])
        for i, (one, label) in enumerate(zip(kept, labels.tolist(), strict=True)):
            writer.writerow([i, label, one.shape, one.texture or "", one.name])


def _write_sheet(folder: Path, kept: Sequence[Stimulus], labels: NDArray[np.int64]) -> None:
    """Show a few images of each class of shapes (of many classes, some)."""
    images = open_npy(folder / "images.npy")
    present = sorted(set(labels.tolist()))
    step = max(1.0, len(present) / SHEET_CLASSES)
    shown = [present[int(k * step)] for k in range(min(len(present), SHEET_CLASSES))]
    places = [np.flatnonzero(labels == label)[:SHEET_IMAGES] for label in shown]
    contact_sheet(
        [[images[i] for i in own] for own in places],
        folder / "contact_sheet.png",
        row_titles=[kept[own[0]].shape for own in places],
    )
