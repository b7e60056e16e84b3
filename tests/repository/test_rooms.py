"""The rooms of the library are those of docs/explanation/architecture.md, in its order: none imports a later one."""

import ast
import re

import pytest

from ..workflow.conftest import ROOT

LIBRARY = ROOT / "workflow" / "scripts" / "shapelens"
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
ROOMS = [
    room
    for row in re.findall(r"^\| (`[a-z`, ]+) \|", PAGE.partition("## The rooms of the library")[2], re.MULTILINE)
    for room in re.findall(r"`(\w+)`", row)
]
LOOSE = {"__init__", "errors", "job", "seeds", "spec"}


def rooms_imported(path):
    """Return the rooms that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    parts = [name.split(".") for name in names if name.startswith("shapelens.")]
    return {part[1] for part in parts if part[1] not in LOOSE}


def test_the_page_names_every_room_and_no_other():
    assert sorted(ROOMS) == sorted(path.name for path in LIBRARY.iterdir() if (path / "__init__.py").is_file())
    assert {path.stem for path in LIBRARY.glob("*.py")} == LOOSE


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_a_later_one(room):
    for path in (LIBRARY / room).rglob("*.py"):
        later = {name for name in rooms_imported(path) if ROOMS.index(name) > ROOMS.index(room)}
        assert not later, path.relative_to(LIBRARY)


def test_an_import_of_a_later_room_is_seen(tmp_path):
    file = tmp_path / "a.py"
    file.write_text("def f():\n    from shapelens.planning.plan import Plan\n")
    assert rooms_imported(file) == {"planning"}
