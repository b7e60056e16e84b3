"""Say what differs between two result trees: `python tools/compare_results.py OLD/results NEW/results`.

Code digests, checksums, times, hosts and versions may differ; numbers, texts and pictures may not. The exit code is 0
where nothing else differs, 1 where something does, and 2 where the command cannot be understood.
"""

import argparse
import json
import math
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open

MOVED = (("0.1.0", "maps", "saliency"),)
"""Parts of paths that were renamed: the last version with the old name, the old name, the new one."""

MAY_DIFFER = {"code", "sha256", "weights_sha256", "inputs", "path", "compute"}
"""Keys of JSON records: digests of the code, of files that are compared themselves, and what belongs to a machine."""
SOURCES = {"source", "source_sha256"}
"""Keys below which a digest or a name tells what the user brought, so that it must not differ."""
OF_THE_RUN = {"run.json", "provenance.json"}
"""Names of files that say when, where and with which versions something ran."""
WORK = {"logs", "benchmarks"}
PACKAGING = {"ro-crate-metadata.json", "Snakefile"}
"""Files that describe a tree for others: hashes and dates of what is compared itself, and the workflow's file."""
NOT_COMPARED = {".pdf", ".zip"}
REPORT = "report.html"

DAMAGED = (ValueError, OSError, EOFError, KeyError, SyntaxError, zipfile.BadZipFile, SafetensorError)
"""What numpy, pandas, pyarrow, Pillow and the others raise for a file that is cut off or is something else."""
BLOCK = 2**20
"""Values, or bytes, that are compared at a time."""
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]*\w)")
WHOLE = re.compile(r"[-+−]?\d+")
FILES, PLACES, WIDTH = 20, 3, 60
"""Files in a list, places in a file and characters of a text that are shown without ``--all``."""


class Verdict(Enum):
    """What the comparison of one file found."""

    SAME = "the same to the byte"
    ALLOWED = "the same but for what may differ (digests, times, hosts, versions)"
    EQUAL = "the same values in other bytes"
    CLOSE = "the same within the tolerance"
    UNREADABLE = "cannot be read"
    ONLY_OLD = "only in OLD"
    ONLY_NEW = "only in NEW"
    DIFFERENT = "different"
    NOT_COMPARED = "not compared, with other bytes (PDFs, reports)"


FAILURES = (Verdict.UNREADABLE, Verdict.ONLY_OLD, Verdict.ONLY_NEW, Verdict.DIFFERENT)


@dataclass(frozen=True)
class Difference:
    """What differs at one place of a file: in a column, an array, a key or the text.

    ``absolute`` is the largest difference of two numbers there, ``relative`` its share of the largest magnitude at that
    place in either tree; both are infinite where a number stands beside none, or a text beside another.
    """

    place: str
    text: str
    absolute: float = math.inf
    relative: float = math.inf


@dataclass(frozen=True)
class Compared:
    """The verdict on one file; ``path`` as in NEW, or as in OLD where only OLD has it."""

    path: str
    verdict: Verdict
    differences: tuple[Difference, ...] = ()

    @property
    def order(self) -> tuple[float, float, str]:
        """Sort the worst first."""
        worst = max(((d.relative, d.absolute) for d in self.differences), default=(0.0, 0.0))
        return -worst[0], -worst[1], self.path


class UnreadableError(Exception):
    """A file of one tree is damaged."""


@contextmanager
def reading(tree: str) -> Iterator[None]:
    """Turn what a library raises for a damaged file into an UnreadableError that names the tree."""
    try:
        yield
    except DAMAGED as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UnreadableError(f"{tree}: {shortened(reason, 2 * WIDTH)}") from None


class Numbers:
    """The largest difference between two arrays that come block by block."""

    def __init__(self, place: str, tolerance: float) -> None:
        self.place, self.tolerance = place, tolerance
        self.total = self.different = self.within = 0
        self.scale, self.absolute, self.where, self.values = 0.0, 0.0, 0, ("", "")

    def add(self, old: NDArray[Any], new: NDArray[Any], exact: NDArray[np.bool_] | bool = False) -> None:
        """Compare one more block, both (n,); ``exact`` marks further numbers without tolerance, as whole ones are."""
        first = self.total
        self.total += len(old)
        fractional = all(block.dtype.kind in "fc" for block in (old, new))
        unequal = np.asarray(old != new)
        if fractional:
            unequal &= ~(np.isnan(old) & np.isnan(new))
        numeric = all(block.dtype.kind in "biufc" for block in (old, new))
        if numeric:
            self.scale = max(self.scale, _largest(old), _largest(new))
        at = np.flatnonzero(unequal)
        size = _sizes(old[at], new[at]) if numeric else np.full(len(at), np.inf)
        if fractional:
            close = size <= self.tolerance * _magnitudes(old[at], new[at])
            close &= ~np.broadcast_to(exact, old.shape)[at]
            self.within += int(close.sum())
            at, size = at[~close], size[~close]
        self.different += len(at)
        if size.max(initial=0) > self.absolute:
            worst = int(size.argmax())
            self.absolute, self.where = float(size[worst]), first + int(at[worst])
            self.values = _shown(old[at[worst]]), _shown(new[at[worst]])

    def difference(self, where: Callable[[int], str], counted: str | None = None) -> list[Difference]:
        """Return what was found, or nothing.

        ``where`` names the place of a value by its number; ``counted`` says how many differ of what, if not of values.
        """
        if not self.different:
            return []
        if counted is None:
            counted = f"{self.different:,} of {self.total:,}" if self.total > 1 else ""
        relative = self.absolute / self.scale if self.scale else math.inf
        size = f", by at most {self.absolute:.3g} ({relative:.2g} of the largest)" if self.absolute < math.inf else ""
        place = where(self.where)
        shown = f"{f'at {place}: ' if place else ''}{self.values[0]} → {self.values[1]}"
        text = f"{counted} differ{size}; {shown}" if counted else shown
        return [Difference(self.place, text, self.absolute, relative)]


def _largest(block: NDArray[Any]) -> float:
    """Return the largest magnitude of the finite numbers."""
    return float(np.abs(block[np.isfinite(block)].astype(np.float64)).max(initial=0))


def _sizes(old: NDArray[Any], new: NDArray[Any]) -> NDArray[np.float64]:
    """Return |old − new| of unequal numbers: infinite beside NaN, and at least 1 between whole numbers."""
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(old.astype(np.float64) - new.astype(np.float64))
    size[np.isnan(size)] = np.inf
    if old.dtype.kind in "biu" and new.dtype.kind in "biu":
        size = np.maximum(size, 1)
    return size


def _magnitudes(old: NDArray[Any], new: NDArray[Any]) -> NDArray[np.float64]:
    """Return max(1, |old|, |new|) of finite numbers, else 1."""
    both = np.maximum(np.abs(old.astype(np.float64)), np.abs(new.astype(np.float64)))
    return np.maximum(np.where(np.isfinite(both), both, 1), 1)


def _shown(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, (float, np.floating)) else shortened(str(value))


def shortened(text: str, width: int = WIDTH) -> str:
    """Return a text on one line of at most this width."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


# ---------------------------------------------------------------------------------------------------- kinds of files
# Each of these functions returns the differences of two files, and how many numbers differ within the tolerance.

Found = tuple[list[Difference], int]


def compare_lines(
    old: Sequence[str], new: Sequence[str], tolerance: float, place: str, unit: str, where: Callable[[int], str]
) -> Found:
    """Compare lines of text, or cells: their numbers where they are the same but for them, else as they stand."""
    total = max(len(old), len(new))
    pairs = [(i, a, b) for i, (a, b) in enumerate(zip_longest(old, new, fillvalue="")) if a != b]
    if any(NUMBER.sub("0", a) != NUMBER.sub("0", b) for _, a, b in pairs):
        at = where(pairs[0][0])
        counted = f"{len(pairs):,} of {total:,} {unit} differ; " if total > 1 else ""
        a, b = _around(*pairs[0][1:])
        return [Difference(place, f"{counted}{f'at {at}: ' if at else ''}{a} → {b}")], 0
    numbers = Numbers(place, tolerance)
    lines: list[int] = []
    different = 0
    for i, a, b in pairs:
        before = numbers.different
        one, other = NUMBER.findall(a), NUMBER.findall(b)
        whole = [bool(WHOLE.fullmatch(x) and WHOLE.fullmatch(y)) for x, y in zip(one, other, strict=True)]
        numbers.add(_floats(one), _floats(other), np.array(whole, dtype=np.bool_))
        lines += [i] * len(one)
        different += numbers.different > before
    counted = f"{different:,} of {total:,} {unit}" if total > 1 else ""
    return numbers.difference(lambda i: where(lines[i]), counted), numbers.within


def _floats(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([float(text.replace("−", "-")) for text in texts], dtype=np.float64)


def _around(old: str, new: str) -> tuple[str, str]:
    """Return the parts of two lines from shortly before the place where they part."""
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    first = max(0, same - WIDTH // 3)
    start = "…" if first else ""
    return repr(shortened(start + old[first:])), repr(shortened(start + new[first:]))


def compare_values(old: object, new: object, tolerance: float, place: str = "") -> Found:
    """Compare two values of JSON, key by key; items with an ``id`` are named by it."""
    found: list[Difference] = []
    within = 0
    for key, a, b in _children(old, new):
        here = place + key if key.startswith("[") else f"{place}.{key}".lstrip(".")
        if a is _MISSING or b is _MISSING:
            tree, value = ("NEW", b) if a is _MISSING else ("OLD", a)
            differences, close = [Difference(here, f"only in {tree}: {shortened(json.dumps(value))}")], 0
        else:
            differences, close = compare_values(a, b, tolerance, here)
        found, within = found + differences, within + close
    if found or within or old == new or (isinstance(old, (dict, list)) and type(old) is type(new)):
        return found, within
    if isinstance(old, str) and isinstance(new, str):
        return compare_lines([old], [new], tolerance, place, "texts", lambda i: "")
    if _is_number(old) and _is_number(new):
        numbers = Numbers(place, tolerance)
        numbers.add(np.array([old]), np.array([new]))
        return numbers.difference(lambda i: ""), numbers.within
    return [Difference(place, f"{shortened(json.dumps(old))} → {shortened(json.dumps(new))}")], 0


_MISSING = object()


def _children(old: object, new: object) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield key, old.get(key, _MISSING), new.get(key, _MISSING)
    elif isinstance(old, list) and isinstance(new, list):
        a, b = (_by_name(items) for items in (old, new))
        for key in [*a, *(key for key in b if key not in a)]:
            yield key, a.get(key, _MISSING), b.get(key, _MISSING)


def _by_name(items: list[Any]) -> dict[str, Any]:
    named = {str(item["id"]): item for item in items if isinstance(item, dict) and "id" in item}
    return named if items and len(named) == len(items) else {f"[{i}]": item for i, item in enumerate(items)}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def without_digests(value: Any) -> Any:
    """Return a JSON value without the keys that may differ."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in MAY_DIFFER}
        return {key: item if key in SOURCES else without_digests(item) for key, item in kept.items()}
    return [without_digests(item) for item in value] if isinstance(value, list) else value


def compare_frames(old: pd.DataFrame, new: pd.DataFrame, tolerance: float) -> Found:
    """Compare two tables column by column; rows belong together by the columns that ``row_key`` names."""
    found = [Difference(name, "column only in OLD") for name in old.columns if name not in new.columns]
    found += [Difference(name, "column only in NEW") for name in new.columns if name not in old.columns]
    key = row_key(old, new)
    if key:
        old, new = (frame.set_index(pd.MultiIndex.from_frame(frame[key].astype(str))) for frame in (old, new))
    for tree, one, other in (("OLD", old, new), ("NEW", new, old)):
        alone = one.index.difference(other.index, sort=False)
        if len(alone):
            found.append(Difference("rows", f"{len(alone):,} only in {tree}, the first: {_row(one, key, alone[0])}"))
    common = old.index.intersection(new.index, sort=False)
    if not new.index[new.index.isin(common)].equals(common):
        found.append(Difference("rows", "in another order", 0.0, 0.0))
    old, new = old.loc[common], new.loc[common]
    within = 0
    for name in (name for name in old.columns if name in new.columns and name not in key):
        differences, close = _compare_columns(old, new, str(name), key, tolerance)
        found, within = found + differences, within + close
    return found, within


def row_key(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """Return the shortest run of first columns that tells all rows apart in both tables; empty: rows go by number."""
    key: list[str] = []
    for a, b in zip(old.columns, new.columns, strict=False):
        if a != b or any(frame[a].dtype.kind == "f" for frame in (old, new)):
            return []
        key.append(str(a))
        if not any(frame.duplicated(key).any() for frame in (old, new)):
            return key
    return []


def _row(frame: pd.DataFrame, key: list[str], label: Any) -> str:
    """Name a row by the columns of its key that vary."""
    if not key:
        return f"row {label}"
    parts = label if isinstance(label, tuple) else (label,)
    varying = [
        (name, part) for name, part in zip(key, parts, strict=True) if (frame[name] != frame[name].iloc[0]).any()
    ]
    return ", ".join(f"{name}={part}" for name, part in varying or zip(key, parts, strict=True))


def _compare_columns(old: pd.DataFrame, new: pd.DataFrame, name: str, key: list[str], tolerance: float) -> Found:
    a, b = (frame[name] for frame in (old, new))

    def where(i: int) -> str:
        return _row(old, key, old.index[i])

    if not all(column.dtype.kind in "biuf" for column in (a, b)):
        return compare_lines(a.astype(str).tolist(), b.astype(str).tolist(), tolerance, name, "cells", where)
    numbers = Numbers(name, tolerance)
    numbers.add(a.to_numpy(), b.to_numpy())
    return numbers.difference(where), numbers.within


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV; a column is numeric where every cell that is not empty is a number."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return frame.apply(_numeric)


def _numeric(column: "pd.Series[str]") -> "pd.Series[Any]":
    empty = column == ""
    values = pd.to_numeric(column.mask(empty), errors="coerce")
    if empty.all() or (values.isna() & ~empty & (column.str.lower() != "nan")).any():
        return column
    return (
        values.astype("int64")
        if not empty.any() and column.str.fullmatch(r"[-+]?\d{1,18}").all()
        else values.astype(float)
    )


def compare_arrays(old: dict[str, "Stored"], new: dict[str, "Stored"], tolerance: float) -> Found:
    """Compare arrays of the same name, block by block."""
    found = [Difference(name, "array only in OLD") for name in old if name not in new]
    found += [Difference(name, "array only in NEW") for name in new if name not in old]
    within = 0
    for name in (name for name in old if name in new):
        a, b = old[name], new[name]
        if (a.shape, a.order) != (b.shape, b.order):
            found.append(Difference(name, f"shape {a} → {b}"))
            continue
        if a.dtype != b.dtype:
            found.append(Difference(name, f"type {a.dtype} → {b.dtype}", 0.0, 0.0))
        numbers = Numbers(name, tolerance)
        for block, other in zip(a.blocks(), b.blocks(), strict=True):
            numbers.add(block, other)
        found += numbers.difference(lambda i, a=a: a.place(i))  # type: ignore[misc]
        within += numbers.within
    return found, within


@dataclass(frozen=True)
class Stored:
    """An array in a file, read a block at a time."""

    tree: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], Iterable[NDArray[Any]]]
    order: Literal["C", "F"] = "C"

    def __str__(self) -> str:
        return f"{self.shape}{' in Fortran order' if self.order == 'F' else ''}"

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the array's values (n,) in the order in which they are stored."""
        with reading(self.tree):
            yield from self.read()

    def place(self, number: int) -> str:
        """Return the index of a value by its number."""
        index = np.unravel_index(number, self.shape, order=self.order)
        return str([int(i) for i in index]) if index else ""


def stored_npy(tree: str, open_file: Callable[[], IO[bytes]]) -> Stored:
    """Open an array of the .npy format: its header now, its values when they are asked for."""

    def header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects, which are not read")
        return shape, fortran, dtype

    def values() -> Iterator[NDArray[Any]]:
        with open_file() as file:
            shape, _, dtype = header(file)
            left = math.prod(shape)
            while left:
                count = min(left, BLOCK)
                data = file.read(count * dtype.itemsize)
                if len(data) < count * dtype.itemsize:
                    raise EOFError("it is cut off")
                yield np.frombuffer(data, dtype)
                left -= count

    with reading(tree), open_file() as file:
        shape, fortran, dtype = header(file)
    return Stored(tree, shape, dtype, values, "F" if fortran else "C")


def compare_npy(old: Path, new: Path, tolerance: float) -> Found:
    """Compare two .npy files."""
    a, b = (stored_npy(tree, lambda path=path: path.open("rb")) for tree, path in (("OLD", old), ("NEW", new)))  # type: ignore[misc]
    return compare_arrays({"array": a}, {"array": b}, tolerance)


def compare_npz(old: Path, new: Path, tolerance: float) -> Found:
    """Compare the arrays of two .npz files."""
    with ExitStack() as stack:
        found = []
        for tree, path in (("OLD", old), ("NEW", new)):
            with reading(tree):
                archive = stack.enter_context(zipfile.ZipFile(path))
                names = archive.namelist()
            opened = {name: lambda archive=archive, name=name: archive.open(name) for name in names}
            found.append({name.removesuffix(".npy"): stored_npy(tree, open_file) for name, open_file in opened.items()})
        return compare_arrays(found[0], found[1], tolerance)


def compare_safetensors(old: Path, new: Path, tolerance: float) -> Found:
    """Compare the tensors and the metadata of two files of weights."""
    with ExitStack() as stack:
        tensors, metadata = [], []
        for tree, path in (("OLD", old), ("NEW", new)):
            with reading(tree):
                file = stack.enter_context(safe_open(path, framework="numpy"))
                metadata.append(file.metadata() or {})
                tensors.append({name: _stored_tensor(tree, file, name) for name in file.keys()})  # noqa: SIM118
        found, within = compare_arrays(tensors[0], tensors[1], tolerance)
        differences, close = compare_values(metadata[0], metadata[1], tolerance, "metadata")
        return found + differences, within + close


def _stored_tensor(tree: str, file: Any, name: str) -> Stored:
    def values() -> Iterator[NDArray[Any]]:
        flat = file.get_tensor(name).reshape(-1)
        for first in range(0, len(flat), BLOCK):
            yield flat[first : first + BLOCK]

    part = file.get_slice(name)
    shape = tuple(part.get_shape())
    dtype = (part[:0] if shape else file.get_tensor(name)).dtype
    return Stored(tree, shape, dtype, values)


def compare_pictures(old: Path, new: Path, tolerance: float) -> Found:
    """Compare the pixels of two PNGs."""
    pictures = []
    for tree, path in (("OLD", old), ("NEW", new)):
        with reading(tree), Image.open(path) as picture:
            pictures.append(np.asarray(picture.convert("RGBA")))
    a, b = pictures
    if a.shape != b.shape:
        size = " → ".join(f"{picture.shape[1]} × {picture.shape[0]}" for picture in pictures)
        return [Difference("pixels", f"size {size}")], 0
    numbers = Numbers("pixels", tolerance)
    # One number a pixel: the channel that differs most.
    gap = np.abs(a.astype(np.int16) - b).max(axis=2)
    numbers.add(np.zeros(gap.size, np.int16), gap.reshape(-1))
    if not numbers.different:
        return [], 0
    share = f"{numbers.different:,} of {gap.size:,} differ, by at most {numbers.absolute:.0f} of 255"
    row, column = divmod(numbers.where, gap.shape[1])
    return [
        Difference("pixels", f"{share}; at row {row}, column {column}", numbers.absolute, numbers.absolute / 255)
    ], 0


def compare_json(old: Path, new: Path, tolerance: float) -> Found:
    """Compare two JSON files but for the keys that may differ."""
    a, b = (without_digests(value) for value in _both(old, new, _read_json))
    return compare_values(a, b, tolerance)


def compare_csv(old: Path, new: Path, tolerance: float) -> Found:
    """Compare two CSV tables."""
    a, b = _both(old, new, read_csv)
    return compare_frames(a, b, tolerance)


def compare_parquet(old: Path, new: Path, tolerance: float) -> Found:
    """Compare two parquet tables."""
    a, b = _both(old, new, lambda path: pq.read_table(path, partitioning=None).to_pandas())
    return compare_frames(a, b, tolerance)


def compare_texts(old: Path, new: Path, tolerance: float) -> Found:
    """Compare two text files."""
    a, b = _both(old, new, lambda path: path.read_text(encoding="utf-8").split("\n"))
    return compare_lines(a, b, tolerance, "", "lines", lambda i: f"line {i + 1}")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _both(old: Path, new: Path, read: Callable[[Path], Any]) -> tuple[Any, Any]:
    with reading("OLD"):
        a = read(old)
    with reading("NEW"):
        return a, read(new)


COMPARE: dict[str, Callable[[Path, Path, float], Found]] = {
    ".json": compare_json,
    ".csv": compare_csv,
    ".parquet": compare_parquet,
    ".npy": compare_npy,
    ".npz": compare_npz,
    ".safetensors": compare_safetensors,
    ".png": compare_pictures,
}
"""By the ending of a file's name; everything else is text."""


# ------------------------------------------------------------------------------------------------------------- trees


def same_bytes(old: Path, new: Path) -> bool:
    """Tell whether two files have the same bytes."""
    if old.stat().st_size != new.stat().st_size:
        return False
    with open(old, "rb") as a, open(new, "rb") as b:
        while block := a.read(BLOCK):
            if block != b.read(BLOCK):
                return False
    return True


def compare_files(path: str, old: Path, new: Path, tolerance: float) -> Compared:
    """Compare one file of both trees."""
    try:
        if same_bytes(old, new):
            return Compared(path, Verdict.SAME)
        if new.name in OF_THE_RUN:
            return Compared(path, Verdict.ALLOWED)
        if new.suffix in NOT_COMPARED or path == REPORT:
            return Compared(path, Verdict.NOT_COMPARED)
        found, within = COMPARE.get(new.suffix, compare_texts)(old, new, tolerance)
    except (UnreadableError, OSError) as error:
        return Compared(path, Verdict.UNREADABLE, (Difference("", str(error)),))
    if found:
        ordered = sorted(found, key=lambda d: (-d.relative, -d.absolute))
        return Compared(path, Verdict.DIFFERENT, tuple(ordered))
    if within:
        return Compared(path, Verdict.CLOSE)
    return Compared(path, Verdict.ALLOWED if new.suffix == ".json" else Verdict.EQUAL)


def results_below(root: Path) -> list[str]:
    """Return the paths of the results in a tree, without logs, benchmarks, hidden files and what describes the tree."""
    paths = [path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file()]
    return [
        path.as_posix()
        for path in paths
        if not WORK & set(path.parts[:-1])
        and not any(part.startswith(".") for part in path.parts)
        and path.as_posix() not in PACKAGING
    ]


def renamed(path: str, old: str, new: str) -> str:
    """Return a path with a run of its parts replaced where it first occurs."""
    before, found, after = f"/{path}/".partition(f"/{old}/")
    return f"{before}/{new}/{after}".strip("/") if found else path


def compare_trees(old: Path, new: Path, renames: Sequence[tuple[str, str]], tolerance: float) -> list[Compared]:
    """Compare every result of two trees; a renamed file of OLD is taken by its old name where NEW still has that."""
    there = set(results_below(new))
    found = []
    for before in results_below(old):
        path = before
        for names in renames:
            path = path if path in there else renamed(path, *names)
        if path in there:
            there.remove(path)
            found.append(compare_files(path, old / before, new / path, tolerance))
        else:
            found.append(Compared(before, Verdict.ONLY_OLD))
    return found + [Compared(path, Verdict.ONLY_NEW) for path in sorted(there)]


def whole_folders(paths: Sequence[str], others: Iterable[str]) -> list[str]:
    """Return the paths, with a folder in place of its files where none of ``others`` lies in it."""
    taken = {str(parent) for path in others for parent in Path(path).parents}
    shown: Counter[str] = Counter()
    for path in paths:
        free = [str(parent) for parent in Path(path).parents if str(parent) not in taken and str(parent) != "."]
        shown[free[-1] + "/" if free else path] += 1
    return [f"{path} ({count} files)" if count > 1 else path for path, count in shown.items()]


def made_with(root: Path) -> dict[str, str]:
    """Return what made a tree, by its provenance: versions of the packages, platform and commit."""
    try:
        record = _read_json(root / "provenance.json")
        return {**record["packages"], "platform": record["platform"], "commit": record["git"].get("commit", "unknown")}
    except (*DAMAGED, TypeError, AttributeError):
        return {}


# ------------------------------------------------------------------------------------------------------------ report


def report(compared: Sequence[Compared], old: Path, new: Path, everything: bool) -> str:
    """Return the summary, and below it the differences, the worst first."""
    by_verdict = {v: sorted((c for c in compared if c.verdict is v), key=lambda c: c.order) for v in Verdict}
    counts = [(len(by_verdict[v]), v) for v in Verdict if by_verdict[v]]
    lines = [f"OLD {old}", f"NEW {new}", "", *(f"{count:>7,}  {v.value}" for count, v in counts)]
    different = any(by_verdict[v] for v in FAILURES)
    lines += ["", "The results differ." if different else "The results are the same."]
    a, b = made_with(old), made_with(new)
    changed = [f"{name} {a.get(name, '–')} → {b.get(name, '–')}" for name in {**a, **b} if a.get(name) != b.get(name)]
    if different and changed:
        lines += ["Made with: " + "; ".join(changed)]
    for verdict in (Verdict.UNREADABLE, Verdict.ONLY_OLD, Verdict.ONLY_NEW, Verdict.DIFFERENT):
        lines += _section(verdict, by_verdict[verdict], compared, everything)
    if everything:
        for verdict in (Verdict.NOT_COMPARED, Verdict.CLOSE, Verdict.EQUAL, Verdict.ALLOWED):
            lines += _section(verdict, by_verdict[verdict], compared, everything)
    return "\n".join(lines)


def _section(verdict: Verdict, files: Sequence[Compared], compared: Sequence[Compared], everything: bool) -> list[str]:
    if not files:
        return []
    if verdict in (Verdict.ONLY_OLD, Verdict.ONLY_NEW):
        others = [c.path for c in compared if c.verdict is not verdict]
        entries = [[name] for name in whole_folders([file.path for file in files], others)]
    else:
        entries = [[file.path, *_places(file, everything)] for file in files]
    shown = entries if everything else entries[:FILES]
    lines = ["", verdict.value[0].upper() + verdict.value[1:] + ":"]
    lines += [("    " if i else "  ") + line for entry in shown for i, line in enumerate(entry)]
    if len(shown) < len(entries):
        lines.append(f"  … and {len(entries) - len(shown):,} more; --all shows them")
    return lines


def _places(file: Compared, everything: bool) -> list[str]:
    shown = file.differences if everything else file.differences[:PLACES]
    lines = [f"{d.place}: {d.text}" if d.place else d.text for d in shown]
    left = len(file.differences) - len(shown)
    return [*lines, f"… and {left} more"] if left else lines


# ----------------------------------------------------------------------------------------------------------- command


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; ends with code 2 and a message where they cannot be understood."""
    parser = argparse.ArgumentParser(description="Say what differs between two result trees of Shapelens.")
    parser.add_argument("old", metavar="OLD", type=Path, help="a results folder")
    parser.add_argument("new", metavar="NEW", type=Path, help="the results folder to compare with it")
    parser.add_argument(
        "--renamed", metavar="OLD=NEW", action="append", default=[],
        help="a folder, a file or several of them with / between, and their new name (may be given several times)",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", type=float, default=0.0, metavar="T",
        help="two fractional numbers a and b are the same if |a − b| ≤ T · max(1, |a|, |b|); default 0",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="show every difference, not only the worst")
    given = parser.parse_args(arguments)
    if not 0 <= given.tolerance < math.inf:
        parser.error(f"--tolerance is {given.tolerance}; give a number from 0 upward, such as 1e-6")
    for folder in (given.old, given.new):
        if not folder.is_dir():
            parser.error(f"{folder} is not a folder; give two results folders, as in OLD/results NEW/results")
        if (folder / "results").is_dir():
            parser.error(f"{folder} has a results folder in it: give {folder / 'results'}")
        if not results_below(folder):
            parser.error(f"{folder} has no results in it")
    given.renames = []
    for text in given.renamed:
        old, _, new = (part.strip("/") for part in text.partition("="))
        if not old or not new or "=" in new:
            parser.error(f"--renamed {text}: give the old and the new name with one = between, such as maps=saliency")
        if not any(renamed(path, old, "") != path for path in results_below(given.old)):
            parser.error(f"--renamed {text}: no file in {given.old} has {old} in its path")
        given.renames.append((old, new))
    given.renames += [(old, new) for _, old, new in MOVED]
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, and return the exit code."""
    given = parse(arguments)
    compared = compare_trees(given.old, given.new, given.renames, given.tolerance)
    print(report(compared, given.old, given.new, given.all))
    return int(any(c.verdict in FAILURES for c in compared))


if __name__ == "__main__":
    sys.exit(main())
