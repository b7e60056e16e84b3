"""What a refused config is told: every wrong key by its path, what is allowed, and the nearest spelling."""

import difflib
import re
from typing import Any

from shapelens.attacks.spec import NORM_TAG, SPATIAL_TAG
from shapelens.datasets.spec import EACH_TAG, ONE_TAG
from shapelens.errors import UserError
from shapelens.models.spec import GIVEN_TAG, KIND_TAG


def refusal(lines: list[str]) -> UserError:
    """Return the error that lists what is wrong with a config."""
    return UserError(
        "the config has {} problem{}:\n{}\nEvery key is described in docs/reference/config.md.".format(
            len(lines), "s" if len(lines) > 1 else "", "\n".join(f"  {line}" for line in lines)
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
        return [f"{prefix}{path}: the key `kind` is missing"]
    if problem["type"] == "literal_error":
        expected = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        value = str(problem["input"])[:200]
        return [f"{prefix}{path}: {value!r} is unknown; allowed: {', '.join(expected)}{nearest(value, expected)}"]
    if problem["type"] == "missing":
        return [f"{prefix}{path}: this key is missing"]
    return [f"{prefix}{path}: {message[0].lower()}{message[1:]}, not {shown(problem['input'])}"]


def nearest(name: str, known: Any) -> str:
    """Return ``; did you mean …?`` for the nearest known spelling, or an empty text."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""
