"""CIFAR-10's own files: records of 3,073 bytes (binary version) and pickled batches (python version)."""

import pickle
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError

PIXELS = 3 * 32 * 32
RECORD = 1 + PIXELS
MAX_BATCH = 2**29
"""Bytes of the largest pickled batch that is read; an official one has 31 MB."""


def binary_labels(file: Path) -> list[int]:
    """Return the labels of a binary file.

    Raises:
        UserError: if it is of a wrong length.
    """
    size = file.stat().st_size
    if size % RECORD or not size:
        raise UserError(f"{file}: {size} bytes are no whole number of {RECORD}-byte records; fetch it again")
    # Memory-mapped: only one byte of each record is read.
    labels: list[int] = np.memmap(file, dtype=np.uint8, mode="r")[::RECORD].tolist()
    return labels


def pixels(file: Path, position: int) -> NDArray[np.uint8]:
    """Return one image of a binary or pickled file as uint8 (3, 32, 32)."""
    if file.suffix != ".bin":
        image: NDArray[np.uint8] = _batch(file)[0][position].reshape(3, 32, 32)
        return image
    with open(file, "rb") as stream:
        stream.seek(position * RECORD + 1)
        data = stream.read(PIXELS)
    return np.frombuffer(data, dtype=np.uint8).reshape(3, 32, 32)


def pickled_labels(file: Path) -> list[int]:
    """Return the labels of a pickled batch.

    Raises:
        UserError: if it holds anything but arrays and plain data, or is no batch.
    """
    return list(_batch(file)[1])


def pickled_names(file: Path) -> tuple[str, ...]:
    """Return the names of the classes from batches.meta; raises UserError where they are not there."""
    names = _entry(unpickled(file), "label_names")
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise UserError(f"{file}: holds no label_names; allowed: batches.meta of CIFAR-10, python version")
    return tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names)


# An image at a time is asked for, in a random order: all six batches stay open.
@lru_cache(maxsize=8)
def _batch(file: Path) -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    """Return the images, uint8 (N, 3072), and labels of a pickled batch."""
    loaded = unpickled(file)
    data, labels = _entry(loaded, "data"), _entry(loaded, "labels")
    if isinstance(labels, np.ndarray):
        labels = labels.tolist()
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != PIXELS:
        raise UserError(f"{file}: its data are no bytes of (N, {PIXELS}); allowed: a batch of CIFAR-10, python version")
    if not isinstance(labels, list) or not all(type(label) is int and label >= 0 for label in labels):
        raise UserError(f"{file}: holds no labels; allowed: a batch of CIFAR-10, python version")
    if len(labels) != len(data) or not labels:
        raise UserError(f"{file}: {len(data)} images but {len(labels)} labels; fetch it again")
    return data, tuple(labels)


def _entry(loaded: Any, key: str) -> Any:
    """Return an entry of a dict whose keys are text, or bytes as Python 2 wrote them."""
    return loaded.get(key, loaded.get(key.encode())) if isinstance(loaded, dict) else None


def unpickled(file: Path) -> Any:
    """Return what a pickle holds: numbers, text, bytes, lists, dicts and arrays of numbers, and nothing else.

    No code of the file's choice runs: the few names that pickled arrays call stand for functions of this module.

    Raises:
        UserError: if it names anything else, is damaged, or too large.
    """
    if file.stat().st_size > MAX_BATCH:
        raise UserError(f"{file}: more than {MAX_BATCH:,} bytes; no batch of CIFAR-10 is so large")
    try:
        with open(file, "rb") as stream:
            return _finished(_Unpickler(stream, encoding="bytes").load())
    except UserError as error:
        raise UserError(f"{file}: {error}; nothing of it was run. Fetch the file again from its source") from None
    except Exception as error:  # damaged pickles raise nearly anything
        raise UserError(f"{file}: cannot be read as arrays and plain data ({type(error).__name__}: {error})") from None


class _Type:
    """A pickled dtype, of numbers only."""

    def __init__(self, name: str | bytes, *_: Any) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else str(name)

    def __setstate__(self, state: Sequence[Any]) -> None:
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        self.name = ("" if order == "|" else order) + self.name

    def numbers(self) -> np.dtype[Any]:
        found = np.dtype(self.name)
        if found.kind not in "biuf":
            raise UserError(f"it holds an array of {self.name!r}, not of numbers")
        return found


class _Array:
    """A pickled array, rebuilt from its bytes; its place is taken by an array afterwards."""

    def __init__(self, *_: Any) -> None:
        self.array: NDArray[Any] = np.empty(0)

    def __setstate__(self, state: Sequence[Any]) -> None:
        _, shape, kind, fortran, data = state
        self.array = np.frombuffer(data, dtype=kind.numbers()).reshape(shape, order="F" if fortran else "C")


def _from_buffer(data: Any, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    """As NumPy's ``_frombuffer``, which stands in pickles of protocol 5."""
    made = _Array()
    made.array = np.frombuffer(data, dtype=kind.numbers()).reshape(shape, order="F" if order == "F" else "C")
    return made


def _number(kind: _Type, data: bytes) -> int | float:
    """As NumPy's ``scalar``."""
    value: int | float = np.frombuffer(data, dtype=kind.numbers())[0].item()
    return value


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in {"latin1", "latin-1"}:
        raise UserError(f"it encodes text as {encoding!r}")
    return text.encode("latin-1")


_STANDS_FOR: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
    **{
        (f"numpy.{core}.{module}", name): ours
        for core in ("core", "_core")
        for module, name, ours in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", _number),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}


class _Unpickler(pickle.Unpickler):  # every name that it calls is one of ours
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STANDS_FOR:
            raise UserError(f"it asks to run {module}.{name}, which is neither an array nor plain data")
        return _STANDS_FOR[module, name]


def _finished(value: Any) -> Any:
    """Return plain data with arrays in their places, two levels deep, as batches are."""
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, dict):
        return {key: item.array if isinstance(item, _Array) else item for key, item in value.items()}
    return value
