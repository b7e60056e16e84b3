"""What a config may be made of: mappings, lists, text, numbers, true and false, and nothing at all.

YAML can say more (dates, sets, NaN, values that contain themselves), and what reads configs from elsewhere may, too.
"""

import math
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

DEPTH = 32
"""Levels of nesting; the schema has seven."""
VALUES = 500_000
"""Values in all, repeated anchors counted each time: a thousand models have about ten thousand."""
LARGEST = 2**63 - 1


def problems(config: object, most: int = 20) -> list[str]:
    """Return what no config may hold, each as ``path: what is wrong``; at most the first ``most``."""
    return list(islice(_walk(config, "", (), [0]), most))


def _walk(value: object, path: str, above: tuple[int, ...], count: list[int]) -> Iterator[str]:
    count[0] += 1
    if count[0] > VALUES:
        if count[0] == VALUES + 1:
            yield f"{path}: the config has more than {VALUES:,} values; are YAML anchors repeated within each other?"
    elif isinstance(value, Mapping | list | tuple):
        if id(value) in above:
            yield f"{path}: contains itself; a YAML anchor must not stand inside what it names"
        elif len(above) >= DEPTH:
            yield f"{path}: is nested deeper than {DEPTH} levels"
        else:
            for name, inner in _items(value):
                yield from _walk(inner, f"{path}.{name}" if path else name, (*above, id(value)), count)
            yield from _keys(value, path)
    elif problem := _scalar(value):
        yield f"{path}: {problem}"


def _items(value: Any) -> Iterator[tuple[str, object]]:
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
    return ((_shown(key), inner) for key, inner in pairs)


def _keys(value: Any, path: str) -> Iterator[str]:
    """Yield what is wrong with a mapping's keys: they become text, which must be theirs alone and writable."""
    seen: set[str] = set()
    for key in value if isinstance(value, Mapping) else ():
        where = f"{path}.{_shown(key)}" if path else _shown(key)
        problem = _scalar(key) if isinstance(key, str | int | float | None) else "a key must be text or a number"
        if not problem and isinstance(key, bool | float | None):
            problem = "YAML reads this name as {}; put quotes round it".format(
                "nothing" if key is None else "true or false" if isinstance(key, bool) else "a number"
            )
        if problem:
            yield f"{where}: {problem}"
        elif str(key) in seen:
            yield f"{where}: two keys read the same; put quotes round neither, or rename one"
        else:
            seen.add(str(key))


def _scalar(value: object) -> str:
    """Return what is wrong with a single value, or nothing."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return "" if abs(value) <= LARGEST else f"an integer beyond ±{LARGEST} has no use here"
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{value} is not a finite number"
    if isinstance(value, str):
        if "\0" in value or not _is_text(value):
            return f"{_shown(value)!r} holds characters that no file can be named by or written with"
        if steering := next((one for one in value if unicodedata.category(one) == "Cc" and one not in "\t\r\n"), None):
            return f"{_shown(value)!r} holds the control character {steering!r}, which is no text; take it out"
        return ""
    return f"a {type(value).__name__} is no text and no number; put quotes round it if text is meant"


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(key: object) -> str:
    # A number of thousands of digits has no text in Python.
    text = "a large number" if isinstance(key, int) and abs(key) > LARGEST else str(key)[:200]
    return text if text.isprintable() and text.strip() else repr(text).encode(errors="backslashreplace").decode()
