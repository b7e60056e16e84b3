"""Which outputs of a model stand for which class of the dataset (torch-free)."""

from collections.abc import Sequence
from difflib import get_close_matches

from shapelens.errors import UserError
from shapelens.models.imagenet import SIXTEEN, WNIDS
from shapelens.models.spec import Finished

Groups = tuple[tuple[int, ...], ...]


def groups_of(
    finished: Finished, outputs: int, classes: Sequence[str] | int, categories: Sequence[str] = ()
) -> Groups | None:
    """Return the outputs that stand for each class of the dataset, in its order; None where they are the classes.

    ``outputs``: of the network; ``classes``: the dataset's, or only their number; ``categories``: names of the outputs,
    where the weights bring some. Raises UserError for outputs that are not there and classes that are left without.
    """
    names = [str(index) for index in range(classes)] if isinstance(classes, int) else list(classes)
    own = finished.classes
    if own is not None and len(own) != outputs:
        raise UserError(f"classes: {len(own)} names, but {finished.weights} has {outputs} outputs; name each of them")
    wanted = finished.output_map()
    if wanted is None and own is not None:
        wanted = "by-name"
    if wanted is None:
        _require_as_many(finished, outputs, names)
        return None
    if wanted == "imagenet-16":
        found = [_sixteen(name, outputs, finished) for name in names]
    else:
        entries = _entries(wanted, names, finished, outputs)
        known = _names_of_outputs(own, categories, outputs)
        found = [_indices(entry, outputs, known, finished) for entry in entries]
    _refuse_shared(found, names, outputs)
    return tuple(found)


def _require_as_many(finished: Finished, outputs: int, names: Sequence[str]) -> None:
    if outputs != len(names):
        more = " (outputs: imagenet-16, by-name or a mapping say it by name)" if outputs == len(WNIDS) else ""
        raise UserError(
            f"weights: {finished.weights} has {outputs} outputs, but the dataset has {len(names)} classes; set "
            f"class_indices to a list of {len(names)}: for each class of the dataset, in order, its index among the "
            f"outputs{more}"
        )


def _sixteen(name: str, outputs: int, finished: Finished) -> tuple[int, ...]:
    if outputs != len(WNIDS):
        raise UserError(
            f"outputs: imagenet-16 is of ImageNet's {len(WNIDS)} outputs, and {finished.weights} has {outputs}"
        )
    if name not in SIXTEEN:
        near = get_close_matches(name, SIXTEEN, n=1)
        raise UserError(
            f"outputs: the dataset's class {name!r} is none of the 16 categories: {', '.join(SIXTEEN)}"
            + (f"; did you mean {near[0]}?" if near else "")
        )
    return SIXTEEN[name]


def _entries(wanted: object, names: Sequence[str], finished: Finished, outputs: int) -> list[tuple[int | str, ...]]:
    """Return the entry of each class, in the dataset's order."""
    if wanted == "by-name":
        return [(name,) for name in names]
    if isinstance(wanted, dict):
        if missing := [name for name in names if name not in wanted]:
            raise UserError(f"outputs: no entry for the dataset's class {missing[0]!r} ({len(missing)} have none)")
        if strange := [name for name in wanted if name not in names]:
            near = get_close_matches(strange[0], names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"outputs: the dataset has no class {strange[0]!r}; it has {_few(names)}{hint}")
        return [wanted[name] for name in names]
    assert isinstance(wanted, tuple)
    if len(wanted) != len(names):
        key = "class_indices" if finished.class_indices is not None else "outputs"
        raise UserError(
            f"{key}: {[list(one) if len(one) > 1 else one[0] for one in wanted]} has {len(wanted)} entries, but the "
            f"dataset has {len(names)} classes; give one for each, in the order {_few(names)}; indices "
            f"are from 0 to {outputs - 1}"
        )
    return list(wanted)


def _names_of_outputs(own: Sequence[str] | None, categories: Sequence[str], outputs: int) -> dict[str, list[int]]:
    """Return the outputs by each of their names: the model's classes, the weights' categories, WordNet ids."""
    named: dict[str, list[int]] = {}
    if own is not None:
        lists: list[Sequence[str]] = [own]
    else:
        lists = [categories if len(categories) == outputs else (), WNIDS if outputs == len(WNIDS) else ()]
    for names in lists:
        for index, name in enumerate(names):
            named.setdefault(name, []).append(index)
    return named


def _indices(
    entry: Sequence[int | str], outputs: int, known: dict[str, list[int]], finished: Finished
) -> tuple[int, ...]:
    found = []
    key = "class_indices" if finished.class_indices is not None else "outputs"
    for one in entry:
        if isinstance(one, int):
            if one >= outputs:
                raise UserError(
                    f"{key}: {one} is no output: {finished.weights} has {outputs} outputs, so each must be from 0 to "
                    f"{outputs - 1}"
                )
            found.append(one)
            continue
        places = known.get(one, [])
        if not places:
            raise UserError(_no_such_name(one, known, finished))
        if len(places) > 1:
            raise UserError(f"{key}: {one!r} names outputs {places[0]} and {places[1]}; give its index")
        found.append(places[0])
    return tuple(found)


def _no_such_name(name: str, known: dict[str, list[int]], finished: Finished) -> str:
    if not known:
        return (
            f"outputs: {name!r} names no output: {finished.weights} brings no names of its outputs; give `classes`, "
            "its own class names in the order of its outputs, or indices"
        )
    key = "classes" if finished.classes is not None and finished.outputs is None else "outputs"
    near = get_close_matches(name, known, n=1)
    return f"{key}: the model has no output named {name!r}; it has {_few(list(known))}" + (
        f"; did you mean {near[0]}?" if near else ""
    )


def _refuse_shared(found: Sequence[tuple[int, ...]], names: Sequence[str], outputs: int) -> None:
    of: dict[int, str] = {}
    for name, group in zip(names, found, strict=True):
        for index in group:
            if index in of:
                raise UserError(
                    f"outputs: output {index} stands for both {of[index]!r} and {name!r}; give each class "
                    f"outputs of its own, from 0 to {outputs - 1}"
                )
            of[index] = name


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
