"""Reading and writing artefacts: atomically, never pickled, with hashes."""

import hashlib
import json
import os
import shlex
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.writing import atomic_path, reserve
from shapelens.errors import DamagedFileError

TICK = 0.02
"""Seconds within which two changes of a file may bear the same time."""
LARGE = 10_000_000
"""Bytes above which waiting a tick is cheaper than hashing twice."""
_hashed: dict[tuple[int, ...], str] = {}


def sha256(path: str | Path) -> str:
    """Return the sha256 of a file, in hex. One that this process has hashed, and nobody changed, is not read again."""
    with open(path, "rb") as file:
        state = os.fstat(file.fileno())
        changed = max(state.st_mtime, state.st_ctime)
        if state.st_size > LARGE and 0 <= time.time() - changed <= TICK:
            time.sleep(TICK)
        # Younger than a tick, it could change once more and look the same.
        settled = time.time() - changed > TICK
        key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        if settled and key in _hashed:
            return _hashed[key]
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if settled:
            _hashed[key] = found
        return found


def write_text(path: str | Path, text: str) -> None:
    """Write text atomically, in UTF-8 with Unix line ends."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: object) -> None:
    """Write plain data as sorted, indented JSON; NaN is refused."""
    write_text(
        path,
        json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
    )


def read_json(path: str | Path) -> Any:
    """Read a JSON file; raises DamagedFileError where it is cut off or otherwise damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(
            path, f"{path}: is not JSON ({error}); it was changed or cut off. {rebuild(path)}"
        ) from None


def rebuild(path: str | Path) -> str:
    """Return a sentence with the command that makes a file of the workflow again."""
    return (
        f"To make it again: snakemake {shlex.quote(str(path))} --cores 1 --force"
        " (and the --configfile of the study, where it has one)"
    )


def check_sha256(path: str | Path, expected: object, record: str | Path) -> None:
    """Raise DamagedFileError unless a file has the sha256 that a record names for it."""
    if not Path(path).is_file():
        raise DamagedFileError(path, f"{path} is missing, but {record} names it. {rebuild(path)}")
    found = sha256(path)
    if found != expected:
        raise DamagedFileError(
            path,
            f"{path}: its sha256 is {found}, but {Path(record).name} names {expected}; the file was changed or cut off "
            f"after it was made, or comes from another run. {rebuild(path)}",
        )


def verified(path: str | Path) -> Path:
    """Return the path of a measured file whose bytes are still those that its record names.

    The record lies beside it, of the same name with the suffix .json; a file without one is taken as it is. Raises
    DamagedFileError for another hash, or a damaged record. Reads the whole file once, in constant memory.
    """
    path = Path(path)
    record = path.with_suffix(".json")
    if record.exists():
        check_sha256(path, _entry(record, "sha256", path.name), record)
    return path


def verified_set(folder: str | Path) -> Path:
    """Return the folder of a test set, a split or style images whose arrays are still those that its manifest names.

    The manifest lies in the folder or, for the splits of a dataset, in the one above. Raises DamagedFileError for a
    missing or damaged manifest, and for a missing array or another hash. Reads the arrays once, in constant memory.
    """
    folder = Path(folder)
    own = (folder / "manifest.json").exists()
    record = folder / "manifest.json" if own else folder.parent / "manifest.json"
    if not record.exists():
        missing = folder / "manifest.json"
        raise DamagedFileError(missing, f"{missing} is missing. {rebuild(missing)}")
    named = _entry(record, "sha256") if own else _entry(record, "splits", folder.name, "sha256")
    if not isinstance(named, dict):
        raise DamagedFileError(record, f"{record} does not name the files of {folder} by sha256. {rebuild(record)}")
    for name, expected in named.items():
        check_sha256(folder / name, expected, record)
    return folder


def _entry(record: Path, *keys: str) -> Any:
    value = read_json(record)
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def save_npy(path: str | Path, array: NDArray[Any]) -> None:
    """Write an array as .npy, atomically and without pickling."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=False)


def create_npy(path: str | Path, dtype: Any, shape: tuple[int, ...]) -> "np.memmap[Any, Any]":
    """Make a new .npy file for an array and open it memory-mapped, to be filled in parts; its space is allocated.

    Raises OSError for a disk that is too full for it.
    """
    array: np.memmap[Any, Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    reserve(path)
    return array


def save_npz(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as .npz, atomically, without pickling or timestamps: equal arrays give equal bytes."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # The earliest date that zip knows; zipfile would write the current time.
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def open_npy(path: str | Path) -> NDArray[Any]:
    """Open an array memory-mapped and read-only; raises DamagedFileError for anything else, pickled objects too."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DamagedFileError(path, f"{path}: is no array that can be opened ({error}). {rebuild(path)}") from None
    return array


@dataclass(frozen=True)
class ImageSet:
    """A test set or split: images NCHW (uint8, or float32 around [0, 1]) with their classes.

    ``textures`` holds the class of the texture where it is a cue of its own, else −1.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    textures: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def open_image_set(folder: str | Path) -> ImageSet:
    """Open the arrays of a split or test set; raises DamagedFileError where their lengths differ."""
    folder = Path(folder)
    images = open_npy(folder / "images.npy")
    labels = np.asarray(open_npy(folder / "labels.npy"))
    textures = folder / "textures.npy"
    kinds = np.asarray(open_npy(textures)) if textures.exists() else np.full_like(labels, -1)
    if not len(images) == len(labels) == len(kinds):
        text = f"{folder}: {len(images)} images but {len(labels)} labels. {rebuild(folder / 'images.npy')}"
        raise DamagedFileError(folder / "images.npy", text)
    return ImageSet(images, labels, kinds)


def as_float(images: NDArray[Any]) -> NDArray[np.float32]:
    """Return images as float32, uint8 divided by 255."""
    if images.dtype == np.uint8:
        return np.asarray(images, dtype=np.float32) / np.float32(255)
    return np.asarray(images, dtype=np.float32)
