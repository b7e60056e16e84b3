"""What rooms declare wrongly of what they measure, tabulate and claim, with the room's name and what is allowed.

Modules are looked at as text, so that nothing heavy is imported.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from shapelens.claims.spec import function_of
from shapelens.instruments.declare import Instrument, Table
from shapelens.names.metrics import ACCURACY_METRICS, SEED_METRICS
from shapelens.names.models import FAMILIES

TAKEN = (
    *("data", "models", "testsets", "styles", "stylisation", "tables", "figures", "claims", "rulers"),
    *("logs", "benchmarks"),
)
"""Folders below ``results/{dataset}`` that are no instrument's."""


def instrument_problems(
    instruments: Sequence[Instrument], claims: Mapping[str, Mapping[str, str]], library: Path
) -> list[str]:
    """Return everything that rooms declare wrongly of what they measure, tabulate and claim.

    Args:
        instruments: every room's declaration.
        claims: text of every claim by module and id, those of the rooms among them.
        library: folder that holds the package.
    """
    names = [instrument.name for instrument in instruments]
    problems = [f"instruments/{name}: two instruments have this name" for name in _twice(names)]
    for instrument in instruments:
        problems += [f"instruments/{instrument.name}: {found}" for found in _room_problems(instrument, library)]
    tables = [table.id for instrument in instruments for table in instrument.tables]
    problems += [f"table {table}: declared twice" for table in _twice(tables)]
    return [*problems, *_claim_problems(claims, library)]


def _room_problems(instrument: Instrument, library: Path) -> Iterable[str]:
    room = library / "shapelens" / "instruments" / instrument.name
    if instrument.name in TAKEN:
        yield f"results/ has a folder {instrument.name} already; take another name, none of {', '.join(TAKEN)}"
    for family in instrument.families or ():
        if family not in FAMILIES:
            yield f"families: {family!r} is none; allowed: {', '.join(FAMILIES)}"
    if not (room / "measure.py").is_file():
        yield "its room has no measure.py"
        return
    columns = literal(room / "measure.py", "COLUMNS")
    if columns is None:
        yield "measure.py names no COLUMNS, the columns of its rows, as a tuple of texts"
        return
    for what, declared in (
        ("keys", instrument.keys),
        ("metrics", instrument.metrics),
        ("shares", instrument.shares),
    ):
        for name in declared:
            if name not in columns:
                yield f"{what}: no row has a column {name!r}; allowed: {', '.join(columns)}"
    for table in instrument.tables:
        yield from (f"table {table.id}: {problem}" for problem in _table_problems(table, instrument))


def _table_problems(table: Table, instrument: Instrument) -> Iterable[str]:
    known: dict[str, Iterable[str]] = {
        "accuracy": ACCURACY_METRICS,
        "agreement": (),
        "known_answer": (),
        "ruler": (),
        "seed_agreement": SEED_METRICS,
        instrument.name: instrument.metrics,
    }
    if table.needs not in known:
        yield f"needs: {table.needs!r} is nothing that is made; allowed: {', '.join(known)}"
        return
    for metric, _, _ in table.columns:
        if metric not in known[table.needs]:
            yield f"columns: {table.needs} has no metric {metric!r}; allowed: {', '.join(known[table.needs])}"


def _claim_problems(claims: Mapping[str, Mapping[str, str]], library: Path) -> Iterable[str]:
    where: dict[str, str] = {}
    for module, texts in claims.items():
        path = library.joinpath(*module.split(".")).with_suffix(".py")
        functions = _functions(path) if texts else set()
        for claim in texts:
            if (other := where.setdefault(claim, module)) != module:
                yield f"claim {claim}: declared in {other} and in {module}; give it another id"
            wanted = function_of(claim)
            if wanted not in functions:
                found = ", ".join(sorted(name for name in functions if name.startswith("claim_"))) or "none"
                yield f"claim {claim}: {module} has no function {wanted}; it has {found}"


def literal(path: Path, name: str) -> tuple[str, ...] | None:
    """Return a tuple of texts that a module assigns to a name; None where it does not."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            try:
                found = ast.literal_eval(node.value)
            except ValueError:
                return None
            return tuple(map(str, found)) if isinstance(found, tuple) else None
    return None


def _functions(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]
