"""The files of a config as they lie, before anything that Snakemake has read from them is used."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from shapelens.errors import UserError

TEMPLATE = "__use_yte__"
"""The key that makes YAML a template, whose Python Snakemake runs when it reads the file."""
MISREAD = re.compile(r"[-+]?0[0-7_]*[0-7]|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+")
"""Octal numbers, and numbers to the base of sixty, as YAML 1.1 reads them."""
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_files(paths: Iterable[str | Path]) -> None:
    """Raise UserError for a config file that is a template, in which a key stands twice, or that is no UTF-8 text.

    So also for one with a number that YAML reads otherwise than it is written: 010 as 8, 1:30 as 90.

    A file that is not there, and one that is neither JSON nor YAML, are left to Snakemake, which says so.
    """
    for path in map(Path, paths):
        if path.is_file():
            _check(path)


def _check(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path} is no UTF-8 text; have the editor save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); ls -l shows its owner and rights") from None
    for key, place, twice in _keys(text):
        if key == TEMPLATE:
            raise UserError(
                f"{path}: {TEMPLATE} makes a config a program, whose Python Snakemake runs when it reads the file. A "
                "study is plain YAML: write the values out, and run no such file that you have not read"
            )
        if twice:
            raise UserError(
                f"{path}{place}: the key {key!r} stands twice in one mapping, and only the last would be taken; remove "
                "one of them, or put both values under one key"
            )
    _refuse_misread(path, text)


def _refuse_misread(path: Path, text: str) -> None:
    try:
        for token in yaml.scan(text):
            if isinstance(token, yaml.ScalarToken) and token.plain and MISREAD.fullmatch(token.value):
                raise UserError(
                    f"{path}: line {token.start_mark.line + 1}: YAML reads {token.value} as "
                    f"{yaml.safe_load(token.value)}; put quotes round it if it is a name, or write that number"
                )
    except yaml.YAMLError:
        return  # Snakemake reads it, as JSON perhaps, or says what is wrong


def _keys(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield every key of a file with its place, and whether its mapping had it before; JSON first, like Snakemake."""
    found: list[tuple[str, str, bool]] = []

    def pairs(members: list[tuple[str, Any]]) -> None:
        known: set[str] = set()
        for name, _ in members:
            found.append((name, "", name in known))
            known.add(name)

    try:
        json.loads(text, object_pairs_hook=pairs)
        return iter(found)
    except (ValueError, RecursionError):
        return _yaml_keys(text)


def _yaml_keys(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the same of YAML, whose nodes are looked at and no values made of them."""
    try:
        pending = [yaml.compose(text, Loader=LOADER)]
    except (yaml.YAMLError, RecursionError):
        return
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if node is None or id(node) in seen:  # an anchor may be named many times, also inside what it names
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            pending += node.value
        elif isinstance(node, yaml.MappingNode):
            known: set[str] = set()
            for key, value in node.value:
                name = _name(key)
                yield name, f", line {key.start_mark.line + 1}", name in known
                known.add(name)
                pending += (key, value)


def _name(key: yaml.Node) -> str:
    """Return a key as the loaded mapping has it: ``10`` and ``0xA`` are one."""
    if not isinstance(key, yaml.ScalarNode):
        return f"the one in line {key.start_mark.line + 1}, column {key.start_mark.column + 1}"
    try:
        return str(SafeConstructor().construct_object(key))
    except (yaml.YAMLError, ValueError):
        return str(key.value)
