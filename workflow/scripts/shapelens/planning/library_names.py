"""Names of models that torchvision and timm know, read from their sources: importing them would import torch."""

import re
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from shapelens.models.spec import ENUM, library_of

TORCHVISION_BUILDER = re.compile(r"@register_model\(\)(?:\n@\w.*|\n\w.*\(\n(?:    .*\n)*?\))*\ndef (\w+)\(")
TORCHVISION_ENUM = re.compile(r"^class (\w+_Weights)\(WeightsEnum\):\n((?:    .*\n|\n)*)", re.MULTILINE)
ENTRY = re.compile(r"^    (\w+) = ", re.MULTILINE)
TIMM_BUILDER = re.compile(r"@register_model\n(?:@.*\n)*def (\w+)\(")
TIMM_OLD = re.compile(r"^    '(\w+)(?:\.\w+)?': '\w+(?:\.\w+)?',", re.MULTILINE)


def unknown_name(name: str) -> str | None:
    """Return what is wrong with ``timm:NAME``, ``torchvision:NAME`` or an enum of torchvision's weights, or None.

    None too where the library is not installed here, and for what only the library can tell: a hub, a folder, a tag.
    """
    library, own = library_of(name)
    if ENUM.fullmatch(own) and library != "timm":
        library, known = "torchvision", _enums()
    elif library == "torchvision":
        known = _found("torchvision", "models", TORCHVISION_BUILDER)
    elif library == "timm" and ":" not in own and "/" not in own:
        own = own.partition(".")[0]
        known = _found("timm", "models", TIMM_BUILDER) | _found("timm", "models", TIMM_OLD)
    else:
        return None
    if not known or own in known:
        return None
    near = get_close_matches(own, sorted(known), n=1, cutoff=0.5)
    return f"{name} is unknown to the installed {library}" + (f"; did you mean {near[0]}?" if near else "")


@cache
def _found(package: str, folder: str, pattern: re.Pattern[str]) -> frozenset[str]:
    return frozenset(match[1] for text in _sources(package, folder) for match in pattern.finditer(text))


@cache
def _enums() -> frozenset[str]:
    classes = (match for text in _sources("torchvision", "models") for match in TORCHVISION_ENUM.finditer(text))
    return frozenset(f"{match[1]}.{entry}" for match in classes for entry in ENTRY.findall(match[2]))


@cache
def _sources(package: str, folder: str) -> tuple[str, ...]:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return ()
    return tuple(path.read_text(encoding="utf-8") for path in sorted((Path(spec.origin).parent / folder).glob("*.py")))
