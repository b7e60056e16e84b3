"""Checkpoints as data: what a file's pickle names besides tensors is put into boxes that do nothing."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

HARMLESS = (
    *("argparse.Namespace", "types.SimpleNamespace", "functools.partial", "uuid.UUID"),
    *("collections.defaultdict", "collections.deque", "datetime.datetime", "datetime.date", "datetime.timedelta"),
    *("pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath"),
)
"""Names of the standard library that may stand in a checkpoint; a file with any other of its names is refused."""
BUILTINS = ("__builtin__", "__builtins__", "copy_reg", "copyreg")


class Box:
    """Stands for an object of any class: it takes all arguments and does nothing but keep its state."""

    def __new__(cls, *_arguments: Any, **_named: Any) -> "Box":
        """Make a box, whatever the class's own constructor would take."""
        return super().__new__(cls)

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, Mapping):
            self.__dict__.update({str(name): value for name, value in state.items()})


def _arrays() -> list[tuple[Any, str]]:
    """Return what makes numpy's scalars and arrays of numbers, under the names of both major versions."""
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
    made: list[tuple[Any, str]] = [(np.ndarray, "numpy.ndarray"), (np.dtype, "numpy.dtype")]
    for core in ("numpy.core", "numpy._core"):
        made += [(scalar, f"{core}.multiarray.scalar"), (array, f"{core}.multiarray._reconstruct")]
    kinds = [type(np.dtype(code)) for code in "?bBhHiIlLqQefdFD"]
    return made + [(kind, f"numpy.dtypes.{kind.__name__}") for kind in kinds]


@contextmanager
def boxes_for(path: Path) -> Iterator[None]:
    """Let torch's weights-only loader read a file: each of its unknown classes becomes a ``Box``.

    The loader calls nothing else, so no code of the file's or of an installed package's runs. Names of the standard
    library that are not plain data are left to the loader, which refuses them.
    """
    names: list[str] = []
    with contextlib.suppress(Exception):  # older files cannot be asked: they are read without boxes
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    known = {name for _, name in _arrays()}
    boxed = [name for name in names if name not in known and (name in HARMLESS or not _is_standard(name))]
    allowed: list[Any] = [*_arrays(), *((_box(name), name) for name in boxed)]
    with torch.serialization.safe_globals(allowed):
        yield


def _is_standard(name: str) -> bool:
    module = name.partition(".")[0]
    return module in sys.stdlib_module_names or module in BUILTINS


def _box(name: str) -> type[Box]:
    return type(name.rpartition(".")[2], (Box,), {"of": name})


def tensors_of(content: Any) -> dict[str, Tensor]:
    """Return every tensor of nested dictionaries and of modules in boxes, by its path: ``state_dict.conv1.weight``.

    Of optimisers' states nothing is taken. Lists of numbers count as tensors where they are called mean or std, as
    checkpoints name their input normalisation.
    """
    found: dict[str, Tensor] = {}
    _collect(content, "", found, 0)
    return found


DEEPEST = 40
STATISTICS = ("mean", "std", "mu", "sigma")


def _collect(value: Any, name: str, found: dict[str, Tensor], depth: int) -> None:
    if isinstance(value, Tensor):
        found[name] = value
    elif depth > DEEPEST:
        return
    elif isinstance(value, Box):
        for part in ("_parameters", "_buffers", "_modules"):
            _collect(vars(value).get(part), name, found, depth + 1)
    elif isinstance(value, Mapping) and not {"state", "param_groups"} <= value.keys():
        for key, item in value.items():
            if isinstance(key, str):
                _collect(item, f"{name}.{key}" if name else key, found, depth + 1)
    elif name.rpartition(".")[2] in STATISTICS and value is not None:
        with contextlib.suppress(TypeError, ValueError, RuntimeError):
            found[name] = torch.as_tensor(np.asarray(value, dtype=np.float32))


def is_module(content: Any) -> bool:
    """Tell whether what was read is a whole pickled module, or holds one."""
    values = content.values() if isinstance(content, Mapping) else [content]
    return any(isinstance(value, Box) and "_modules" in vars(value) for value in values)


NAMES = ("classes", "class_names", "classnames", "class_to_idx", "idx_to_class", "label2id", "id2label")
"""Keys under which checkpoints keep the names of their outputs, in small letters."""


def names_of_outputs(content: Any) -> tuple[str, ...]:
    """Return the names of a checkpoint's outputs in their order, from a list or mapping called so; empty without one.

    Looked for at the top and one level below it, as in ``{"meta": {"CLASSES": …}}``.
    """
    parts = [content, *(content.values() if isinstance(content, Mapping) else ())]
    for part in parts:
        entries = part if isinstance(part, Mapping) else vars(part) if isinstance(part, Box) else {}
        for key, value in entries.items():
            if str(key).lower() in NAMES and (names := _in_order(value)):
                return names
    return ()


def _in_order(value: Any) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        pairs = {n: name for one in value.items() if (n := _number(one)) is not None and (name := _text(one))}
        value = [pairs[n] for n in range(len(pairs))] if set(pairs) == set(range(len(value))) else ()
    return tuple(value) if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value) else ()


def _number(pair: tuple[Any, Any]) -> int | None:
    numbers = [int(one) for one in pair if isinstance(one, int | np.integer) and not isinstance(one, bool)]
    return numbers[0] if len(numbers) == 1 else None


def _text(pair: tuple[Any, Any]) -> str:
    return next((one for one in pair if isinstance(one, str)), "")
