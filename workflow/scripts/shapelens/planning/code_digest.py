"""Content digests of code: of a script and of every module of the library that it imports, directly or not.

Comments, docstrings and formatting are left out, so that only a change of what is computed changes a digest. So are the
rooms ``machine`` and ``records``: where and when a job computes, and how that is noted, is no part of what it computes.
"""

import ast
import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from shapelens.artefacts.memory import recall, remember
from shapelens.errors import UserError

PACKAGE = "shapelens"
LEFT_OUT = ("shapelens.machine", "shapelens.records")
"""Rooms that no digest follows."""


class Code:
    """The code below a folder, parsed file by file.

    ``library`` holds the package. ``memory`` is a JSON file of what is known of files by the sha256 of their bytes, so
    that a file is parsed once in its life; it may be deleted at any time.
    """

    def __init__(self, library: Path, memory: Path | None = None) -> None:
        self.library = library
        self.memory = memory
        self._facts: dict[Path, tuple[str, list[str]]] = {}
        self._found: dict[str, list[Path]] = {}

    def digest(self, script: Path, *modules: str) -> str:
        """Return the sha256, in hex, of a script's code and of all library modules that it transitively imports.

        ``modules``: dotted names of what the script imports by a name that it is given, such as an instrument's room.
        The digest is the same under every Python version: fields of the syntax tree that are empty are left out.
        Raises UserError for a relative import, and for a module that is not there.
        """
        closure = self.closure(script, *modules)
        files = {script.name: script} | {p.relative_to(self.library).as_posix(): p for p in closure}
        whole = hashlib.sha256()
        for name in sorted(files):
            whole.update(f"{name}\0{self._file(files[name])[0]}\0".encode())
        return whole.hexdigest()

    def closure(self, script: Path, *modules: str) -> tuple[Path, ...]:
        """Return the files of the package that a script and modules beside it transitively import, sorted."""
        found: set[Path] = set()
        for module in modules:
            if not self.library.joinpath(*module.split(".")).with_suffix(".py").is_file():
                raise UserError(f"{module} is no module of the library in {self.library}")
            found.update(self._module_files(module))
        pending = [script, *found]
        while pending:
            for module in self._file(pending.pop())[1]:
                for path in self._module_files(module):
                    if path not in found:
                        found.add(path)
                        pending.append(path)
        return tuple(sorted(found))

    def remember(self) -> None:
        """Write what was parsed to the memory, and nothing that is no longer there."""
        if self.memory is None:
            return
        known = {self._key(path): list(facts) for path, facts in sorted(self._facts.items())}
        if known != self._known:
            remember(self.memory, known)

    def _file(self, path: Path) -> tuple[str, list[str]]:
        """Return the digest of a file's code, and the dotted names of the package that it imports."""
        if path not in self._facts:
            known = self._known.get(self._key(path))
            self._facts[path] = (known[0], known[1]) if known else _parse(path)
        return self._facts[path]

    def _key(self, path: Path) -> str:
        return hashlib.sha256(self._reader + path.read_bytes()).hexdigest()

    @cached_property
    def _reader(self) -> bytes:
        """Bytes of the reader itself: what is known was found by it."""
        return Path(__file__).read_bytes()

    @cached_property
    def _known(self) -> dict[str, list[Any]]:
        """What earlier runs found: digest and imports by the sha256 of a file's bytes."""
        return recall(self.memory, _fits) if self.memory else {}

    def _module_files(self, module: str) -> list[Path]:
        """Return the files that importing a dotted name of the package runs: each package's __init__ and the module."""
        if module not in self._found:
            parts = module.split(".")
            bases = [self.library.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
            places = [path for base in bases for path in (base / "__init__.py", base.with_suffix(".py"))]
            self._found[module] = [path for path in places if path.is_file()]
        return self._found[module]


def _fits(entry: Any) -> bool:
    """Tell whether an entry is a file's digest and the names that it imports."""
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and isinstance(entry[1], list)
        and all(isinstance(name, str) for name in entry[1])
    )


def _parse(path: Path) -> tuple[str, list[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return hashlib.sha256(canonical_code(tree).encode()).hexdigest(), _imports(tree, path)


def _imports(tree: ast.Module, path: Path) -> list[str]:
    """Return the dotted names of the package that a file names in imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise UserError(f"{path}:{node.lineno}: relative import; the code digest needs absolute ones")
            module = node.module or ""
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return sorted(n for n in names if _is_below(n, PACKAGE) and not any(_is_below(n, room) for room in LEFT_OUT))


def _is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def canonical_code(node: object) -> str:
    """Write a syntax tree as text without docstrings, positions, contexts and empty fields."""
    if isinstance(node, ast.AST):
        fields = []
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "kind", "type_comment", "type_ignores") or value is None or value == []:
                continue
            if name == "body" and isinstance(value, list):
                value = [item for item in value if not _is_docstring(item)]
            fields.append(f"{name}={canonical_code(value)}")
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(canonical_code(item) for item in node)}]"
    return repr(node)


def _is_docstring(node: object) -> bool:
    """Tell a bare string statement, which documents but computes nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
