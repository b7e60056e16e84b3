"""Shape and texture labels of cue-conflict stimuli: from a pattern of the file names, or from a table."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from shapelens.datasets.class_folders import first_few
from shapelens.datasets.walk import SUFFIXES
from shapelens.errors import UserError
from shapelens.spec import composed

COLUMNS = ("file", "shape", "texture")
"""Columns of a table of labels; it may have others."""


class Cues(NamedTuple):
    """Names of the classes of a stimulus, as its source calls them."""

    shape: str
    texture: str


def labels_by_pattern(names: Sequence[str], pattern: str, known: Iterable[str], where: str) -> dict[str, Cues]:
    """Read shape and texture from the names of files.

    Args:
        names: paths inside the source, with slashes.
        pattern: see ``OwnConflicts.pattern``.
        known: names of classes that may stand there. They are tried first, so that a class such as ``polar-bear`` is
            read as a whole; what is none of them is read as the shortest text that fits.
        where: the key of the config, for messages.

    Raises:
        UserError: a name does not fit, or it can be read as two different pairs of known classes.
    """
    ordered = sorted(known, key=lambda name: (-len(name), name))
    # Alternatives are tried in order: where the longest and the shortest known name first give different pairs, the
    # name of the file does not say which is meant.
    readings = [_expression(pattern, order) for order in (ordered, ordered[::-1])] if ordered else []
    anything = _expression(pattern, None)
    found: dict[str, Cues] = {}
    strange, double = [], []
    for name in names:
        text = _compared(name, pattern)
        read = {Cues(m["shape"], m["texture"]) for m in (one.fullmatch(text) for one in readings) if m}
        if len(read) > 1:
            double.append(f"{name} ({' or '.join(sorted(f'{cues.shape}, {cues.texture}' for cues in read))})")
        elif read:
            found[name] = read.pop()
        elif match := anything.fullmatch(text):
            found[name] = Cues(match["shape"], match["texture"])
        else:
            strange.append(name)
    if strange:
        raise UserError(
            f"{where}.pattern: {len(strange)} of {len(names)} images do not fit {pattern!r}: {first_few(strange)}. "
            "Mend the pattern ({shape}, {texture}, {number} for digits, {any} for anything), or give a table in "
            "`labels`"
        )
    if double:
        raise UserError(
            f"{where}.pattern: {pattern!r} can be read in two ways in {len(double)} names: {first_few(double, 4)}. "
            "Give a table in `labels`"
        )
    return found


def _compared(name: str, pattern: str) -> str:
    """Return the part of a path that a pattern speaks of."""
    path = PurePosixPath(composed(name))
    whole = path if PurePosixPath(pattern).suffix.lower() in SUFFIXES else path.with_suffix("")
    return "/".join(whole.parts[-1 - pattern.count("/") :])


def _expression(pattern: str, known: Sequence[str] | None) -> re.Pattern[str]:
    """Return a pattern as a regular expression; ``known``: the classes in the order in which they are tried."""
    name = "[^/]+?" if known is None else "|".join(map(re.escape, known))
    stands_for = {"shape": f"(?P<shape>{name})", "texture": f"(?P<texture>{name})", "number": r"\d+", "any": "[^/]*?"}
    parts = re.split(r"\{(\w+)\}", pattern)
    return re.compile("".join(stands_for[part] if n % 2 else re.escape(part) for n, part in enumerate(parts)))


def labels_by_table(names: Sequence[str], table: Path, where: str) -> dict[str, Cues]:
    """Read shape and texture from a CSV file; images that it does not name are left out of the result.

    Raises:
        UserError: the table lacks a column, names a file twice, or one that is not there or not there once.
    """
    rows = _rows(table, where)
    by_name: dict[str, list[str]] = {}
    for name in names:
        for key in {composed(name), PurePosixPath(composed(name)).name}:
            by_name.setdefault(key, []).append(name)
    found: dict[str, Cues] = {}
    lost, twice = [], []
    for file, cues in rows:
        # Tables made on Windows have folders with backslashes.
        places = by_name.get(file) or by_name.get(file.replace("\\", "/"), [])
        if len(places) != 1:
            lost.append(file + (f" ({len(places)} files of this name)" if places else ""))
        elif places[0] in found:
            twice.append(file)
        else:
            found[places[0]] = cues
    if lost:
        raise UserError(
            f"{where}.labels: {table} names {len(lost)} images that are not in the source: {first_few(lost)}"
        )
    if twice:
        raise UserError(f"{where}.labels: {table} names an image more than once: {first_few(twice)}")
    return found


def _rows(table: Path, where: str) -> list[tuple[str, Cues]]:
    try:
        # Spreadsheets begin a file with a byte order mark.
        with open(table, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [name.strip() for name in reader.fieldnames or ()]
            if lacking := [name for name in COLUMNS if name not in columns]:
                raise UserError(
                    f"{where}.labels: {table} has no column {' and no column '.join(lacking)}; it needs "
                    f"{', '.join(COLUMNS)}, separated by commas, and has {', '.join(columns) or 'nothing'}"
                )
            reader.fieldnames = columns
            rows = [{key: composed(row[key] or "").strip() for key in COLUMNS} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{where}.labels: {table} cannot be read as a CSV file in UTF-8: {error}") from None
    if empty := [str(n) for n, row in enumerate(rows, start=2) if not all(row.values())]:
        raise UserError(f"{where}.labels: {table} lacks a file, shape or texture in line {first_few(empty)}")
    return [(PurePosixPath(row["file"]).as_posix(), Cues(row["shape"], row["texture"])) for row in rows]
