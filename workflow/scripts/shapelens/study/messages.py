"""What a refused config is told: every wrong key by its path, what is allowed, and the nearest spelling."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shapelens.attacks.spec import NORM_TAG, SPATIAL_TAG
from shapelens.datasets.spec import EACH_TAG, NAME, ONE_TAG
from shapelens.errors import UserError
from shapelens.models.spec import GIVEN_TAG, KIND_TAG

NAMED = (("models",), ("testsets", "own"), ("testsets", "own_conflicts"), ("display", "labels"), ("expected",))
"""Sections whose keys are names of the user's."""
MEMBER = re.compile(r"int|float|bool|str|literal\[.*\]|(?:tuple|list|dict)\[.*\]")
"""How pydantic names a member of a union in a place."""
CHECKED = re.compile(r"function-\w+\[\w+\(\), (\w+)\]")
"""How pydantic names a type of which more is checked."""
SINGLE = {
    "int": "a whole number",
    "float": "a number or a fraction such as 8/255",
    "str": "text",
    "bool": "true or false",
}
MOST_LINES = 30
"""Problems of a config that are told at once."""
LISTED = {"int": "whole numbers", "float": "numbers", "str": "names"}
EXPECTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), SINGLE["int"]),
    **dict.fromkeys(("float_type", "float_parsing"), SINGLE["float"]),
    **dict.fromkeys(("bool_type", "bool_parsing"), SINGLE["bool"]),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a mapping of keys, such as {key: value}"),
    "string_type": "text",
}
"""What is expected, by pydantic's kind of problem."""


def refusal(lines: list[str]) -> UserError:
    """Return the error that lists what is wrong with a config."""
    shown_lines = [*lines[:MOST_LINES], *([f"… and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else [])]
    return UserError(
        "the config has {} problem{}:\n{}\nEvery key is described in docs/reference/config.md.".format(
            len(lines), "s" if len(lines) > 1 else "", "\n".join(f"  {line}" for line in shown_lines)
        )
    )


def shown(value: object) -> str:
    """Return a value as it is printed, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]} …"


def _path(loc: tuple[int | str, ...]) -> str:
    """Return a key's path without the tags by which pydantic tells the members of a union."""
    tags = (NORM_TAG, SPATIAL_TAG, ONE_TAG, EACH_TAG, KIND_TAG, GIVEN_TAG)
    parts = [part for part in loc if part not in tags]
    for place, tag in ((("models",), 2), (("dataset",), 1), (("stylisation", "styles"), 2)):
        if tuple(parts[: len(place)]) == place:
            del parts[tag : tag + 1]
    return ".".join(map(str, parts))


def explain_all(problems: Sequence[Mapping[str, Any]], prefix: str) -> list[str]:
    """Turn pydantic's problems into lines, one for each key: of a key that may be of several types it names each."""
    lines: list[str] = []
    union: dict[tuple[int | str, ...], list[Mapping[str, Any]]] = {}
    inner = [one["loc"] for one in problems if one["type"] != "too_short"]
    for problem in problems:
        if problem["type"] == "too_short" and any(loc[: len(problem["loc"])] == problem["loc"] for loc in inner):
            continue  # of what is wrong inside nothing is left
        place = _member(problem["loc"])
        if place is None:
            lines += explain(dict(problem), prefix)
        else:
            union.setdefault(problem["loc"][:place], []).append(problem)
    return lines + [_of_union(loc, parts, prefix) for loc, parts in union.items()]


def _member(loc: tuple[int | str, ...]) -> int | None:
    """Return where the name of a union's member stands in a place; a key of the user's may be called like one."""
    return next(
        (n for n, part in enumerate(loc) if n and loc[:n] not in NAMED and MEMBER.fullmatch(str(part))),
        None,
    )


def _of_union(loc: tuple[int | str, ...], problems: Sequence[Mapping[str, Any]], prefix: str) -> str:
    members = list(dict.fromkeys(CHECKED.sub(r"\1", str(one["loc"][len(loc)])) for one in problems))
    whole = [one["input"] for one in problems if len(one["loc"]) == len(loc) + 1]
    value = whole[0] if whole else problems[0]["input"]
    line = f"{prefix}{_path(loc)}: expected {' or '.join(map(_in_words, members))}, not {shown(value)}"
    if isinstance(value, list) and "tuple[str, ...]" in members:
        return f"{line}; names are text, so write {shown([str(one) for one in value])}"
    if isinstance(value, str) and (hint := nearest(value, _literals(members))):
        return line + hint
    return line


def _literals(members: Sequence[str]) -> list[str]:
    return [word for member in members if member.startswith("literal") for word in re.findall(r"'([^']*)'", member)]


def _in_words(member: str) -> str:
    if member.startswith("literal"):
        return ", ".join(_literals([member]))
    if member.startswith(("tuple", "list")):
        return f"a list of {LISTED.get(member.partition('[')[2].partition(',')[0], 'values')}"
    return SINGLE.get(member, "a mapping of keys")


def explain(problem: dict[str, Any], prefix: str) -> list[str]:
    """Turn one pydantic problem into lines of the form ``path: what is wrong; what is allowed``."""
    path = _path(problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "value_error":
        # Most of these lines begin with a key; those that begin with a quoted value are about the key itself.
        return [
            prefix + (line if not path else f"{path}: {line}" if line[:1] in "'\"" else f"{path}.{line}")
            for line in message.split("\n")
        ]
    if problem["type"] == "union_tag_invalid":
        expected = [tag.strip("' ") for tag in problem["ctx"]["expected_tags"].split(",")]
        tag = str(problem["ctx"]["tag"])[:200]
        return [f"{prefix}{path}.kind: {tag!r} is unknown; allowed: {', '.join(expected)}{nearest(tag, expected)}"]
    if problem["type"] == "union_tag_not_found":
        return [f"{prefix}{path}: the key `kind` is missing; docs/reference/config.md has the kinds"]
    if problem["type"] == "literal_error":
        expected = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        value = str(problem["input"])[:200]
        return [f"{prefix}{path}: {value!r} is unknown; allowed: {', '.join(expected)}{nearest(value, expected)}"]
    if problem["type"] == "missing":
        return [f"{prefix}{path}: this key is missing"]
    value = problem["input"]
    if problem["type"] == "too_short":
        least = problem["ctx"]["min_length"]
        return [f"{prefix}{path}: expected at least {least} {'entry' if least == 1 else 'entries'}, not {shown(value)}"]
    if problem["type"] == "string_pattern_mismatch" and problem["ctx"]["pattern"] == NAME:
        return [f"{prefix}{path}: {shown(value)}: a name has letters, digits and dashes only, and begins with a letter"]
    if problem["type"] in ("tuple_type", "list_type"):
        example = f", such as {[value]}" if isinstance(value, int | float | str) else ""
        example = ", such as [0, 1, 2] for three training seeds" if path == "seeds" else example
        return [f"{prefix}{path}: expected a list{example}, not {shown(value)}"]
    if (wanted := EXPECTED.get(problem["type"])) is not None:
        return [f"{prefix}{path}: expected {wanted}, not {shown(value)}"]
    line = f"{prefix}{path}: {message[0].lower()}{message[1:]}, not {shown(value)}"
    most = problem.get("ctx", {}).get("le", problem.get("ctx", {}).get("lt"))
    if most == 1 and isinstance(value, int | float) and value > 1:
        return [f"{line}; did you mean {value:g}/100, or {value:g}/255?"]
    return [line]


def listed(names: Iterable[str], most: int = 20) -> str:
    """Return names in a list that a reader can take in."""
    known = list(names)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")


def nearest(name: str, known: Any) -> str:
    """Return ``; did you mean …?`` for the nearest known spelling, or an empty text."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""
