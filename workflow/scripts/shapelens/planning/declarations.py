"""Whether what the rooms declare holds together: found out before any job, with the room's name and what is allowed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from shapelens.errors import UserError
from shapelens.instruments.checks import instrument_problems
from shapelens.instruments.declare import Figure, Instrument, Table
from shapelens.instruments.registry import ROOMS, claim_texts
from shapelens.names.metrics import ACCURACY_METRICS
from shapelens.planning.figures import NEEDS
from shapelens.planning.for_readers import allowed_placeholders, unknown_placeholders
from shapelens.plots.registry import PICTURES
from shapelens.plots.spec import OPTIONS
from shapelens.study.messages import nearest

LIBRARY = Path(__file__).resolve().parents[2]
PLOTS = LIBRARY / "shapelens" / "plots"


def check_declarations(
    rooms: Sequence[Instrument] = ROOMS, claims: Mapping[str, Mapping[str, str]] | None = None, library: Path = LIBRARY
) -> None:
    """Raise UserError that lists all that rooms declare wrongly.

    Args:
        rooms: every room's declaration.
        claims: text of every claim by module and id; None: those of the registry.
        library: folder that holds the package.
    """
    instruments = {room.name: room for room in rooms}
    figures = {"plots": PICTURES, **{f"instruments/{name}": one.figures for name, one in instruments.items()}}
    problems = instrument_problems(rooms, claim_texts() if claims is None else claims, library)
    problems += [*_figure_problems(figures, instruments), *_table_problems(instruments)]
    if problems:
        raise UserError("what is declared does not fit together:\n" + "\n".join(f"  {line}" for line in problems))


def _figure_problems(rooms: Mapping[str, Iterable[Figure]], instruments: Mapping[str, Instrument]) -> list[str]:
    problems = []
    homes: dict[str, str] = {}
    for room, figures in rooms.items():
        for entry in figures:
            found = [*_drawing(entry), *_needs(entry, instruments), *_metric(entry, instruments)]
            found += _caption(entry.caption, entry)
            if entry.id in homes:
                found.append(f"{homes[entry.id]} declares a figure of this id, too")
            homes[entry.id] = room
            problems += [f"figure {entry.id} of {room}: {problem}" for problem in found]
    return problems


def _table_problems(instruments: Mapping[str, Instrument]) -> list[str]:
    tables: list[tuple[str, Table]] = [(name, table) for name, one in instruments.items() for table in one.tables]
    return [
        f"table {table.id} of instruments/{name}: {problem}"
        for name, table in tables
        for problem in _caption(table.caption)
    ]


def _drawing(entry: Figure) -> list[str]:
    """Return what is wrong with the function that draws a figure, and with what it is told."""
    module, _, function = entry.draw.partition(":")
    modules = sorted(path.stem for path in PLOTS.glob("*.py") if path.stem != "__init__")
    if module not in modules:
        return [f"draw={entry.draw!r}: plots has no module {module}{nearest(module, modules)}"]
    functions = _functions(PLOTS / f"{module}.py")
    if function not in functions:
        allowed = ", ".join(functions) or "none"
        return [
            f"draw={entry.draw!r}: plots/{module}.py has no function {function}(shown, display)"
            f"{nearest(function, functions)}; it has: {allowed}"
        ]
    if entry.animated and f"{function}_frames" not in functions:
        return [f"animated: plots/{module}.py has no function {function}_frames(shown, display)"]
    if entry.draw not in OPTIONS:
        return [f"options: {entry.draw} takes none"] if entry.options else []
    try:
        OPTIONS[entry.draw].model_validate(dict(entry.options))
    except ValidationError as error:
        return [f"{'.'.join(('options', *map(str, one['loc'])))}: {one['msg']}" for one in error.errors()]
    return []


@cache
def _functions(path: Path) -> list[str]:
    """Return the drawing functions of a module, without importing it and matplotlib with it."""
    return re.findall(
        r"^def ([a-z]\w*)\(\s*shown: \"?Shown\"?,\s*display: Display", path.read_text("utf-8"), re.MULTILINE
    )


def _needs(entry: Figure, instruments: Mapping[str, Instrument]) -> list[str]:
    if not entry.needs:
        return [f"needs: it has no data; allowed: {', '.join(NEEDS)}, an instrument's name, NAME.rows, NAME.arrays"]
    allowed = [*NEEDS, *instruments, *(f"{name}.rows" for name in instruments)]
    allowed += [f"{name}.arrays" for name, one in instruments.items() if one.has_arrays]
    return [
        f"needs: nobody makes {need!r}{nearest(need, allowed)}; allowed: {', '.join(allowed)}"
        for need in entry.needs
        if need not in allowed
    ]


def _metric(entry: Figure, instruments: Mapping[str, Instrument]) -> list[str]:
    """Return what is wrong with the metric that a form is told to draw."""
    metric = entry.options.get("metric")
    known = {"accuracy": ACCURACY_METRICS, **{name: tuple(one.metrics) for name, one in instruments.items()}}
    allowed = [name for need in entry.needs for name in known.get(need, ())]
    if metric is None or metric in allowed:
        return []
    return [f"options: no row has a metric {metric!r}{nearest(metric, allowed)}; allowed: {', '.join(allowed)}"]


def _caption(caption: str, entry: Figure | None = None) -> list[str]:
    try:
        unknown = unknown_placeholders(caption, entry)
    except ValueError as error:
        return [f"caption: {error}; write a brace of the text itself twice"]
    allowed = allowed_placeholders(entry)
    return [
        f"caption: {{{name}}} is no live number{nearest(name, allowed)}; allowed: {', '.join(allowed)}"
        for name in unknown
    ]
