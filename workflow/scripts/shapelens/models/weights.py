"""Reading weights from outside: safetensors and checkpoint files, fitted to a network by name and shape."""

import logging
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from shapelens.errors import UserError
from shapelens.models.inert import boxes_for, is_module, names_of_outputs, tensors_of
from shapelens.models.layouts import (
    COUNTERS,
    UNUSED,
    Place,
    Statistics,
    choose_place,
    find_places,
    renamed,
    statistics_of,
)

log = logging.getLogger("shapelens")

UNSAFE = re.compile(r"weights_only|safe_globals|still be loaded|trust|re-running|pickle_module", re.IGNORECASE)
"""What a sentence of torch's says that advises to load a file unsafely."""


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors file or of a checkpoint, by name; see ``read_checkpoint``."""
    return read_checkpoint(path)[0]


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Read the tensors of a .safetensors file or of a checkpoint, by name, and names of its outputs, if it has some.

    A checkpoint is read by torch's weights-only loader, which runs no code of the file; what else lies in it (a
    Namespace, numpy's numbers, a whole module) is taken as plain data. Names of tensors in nested dictionaries begin
    with the keys that lead there, but for keys that all of them share. Raises UserError for a missing or unreadable
    file.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"weights: {path} is not a file; give a path from the workflow's folder or an absolute one")
    if path.suffix == ".safetensors":
        try:
            return load_file(path), ()
        except SafetensorError as error:
            raise UserError(f"weights: {path} is not a safetensors file: {error}") from None
    if kind := kind_of_program(path):
        raise UserError(
            f"weights: {path} is a program ({kind}), not a file of weights; only a finished model may be one"
        )
    content = _checkpoint(path)
    state = _without_common_key(tensors_of(content), content)
    if not state:
        hint = " (it is a whole module, but an empty one)" if is_module(content) else ""
        raise UserError(f"weights: {path} holds no state dict{hint}; save one by torch.save(model.state_dict(), path)")
    return state, names_of_outputs(content)


def _checkpoint(path: Path) -> Any:
    try:
        with boxes_for(path):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise nearly anything, such as IndexError and UnicodeDecodeError
        raise UserError(
            f"weights: {path} cannot be read as weights only ({reason_of(error)}); save the bare state dict where "
            "the file comes from: torch.save(model.state_dict(), path)"
        ) from None


def reason_of(error: Exception) -> str:
    """Return in one sentence why a file cannot be loaded, without torch's advice to load it in a way that runs it."""
    text = str(error).rpartition("WeightsUnpickler error: ")[2].strip().partition("\n")[0]
    sentences = [one for one in re.split(r"(?<=\.)\s+", text) if not UNSAFE.search(one)]
    return " ".join(sentences).rstrip(".") or type(error).__name__


def kind_of_program(path: str | Path) -> str | None:
    """Return ``TorchScript`` or ``torch.export`` for a file that holds such a program, or None."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()} | set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return None
    if "archive_format" in names or "serialized_exported_program.json" in names:
        return "torch.export"
    return "TorchScript" if "constants.pkl" in names else None


def _without_common_key(state: dict[str, Tensor], content: Any) -> dict[str, Tensor]:
    while isinstance(content, Mapping) and state:
        keys = [key for key in content if isinstance(key, str) and any(n.startswith(f"{key}.") for n in state)]
        if len(keys) != 1 or not isinstance(content[keys[0]], Mapping) or any(key in content for key in state):
            break
        if not all(name.startswith(f"{keys[0]}.") for name in state):
            break
        content = content[keys[0]]
        state = {name[len(keys[0]) + 1 :]: tensor for name, tensor in state.items()}
    return state


@dataclass(frozen=True)
class Fitted:
    """What was loaded into a network, and what lay beside it."""

    prefix: str
    statistics: Statistics | None
    """The file's own input normalisation."""
    said: tuple[str, ...]
    """What was chosen or left out, in sentences."""


def fit(
    network: nn.Module,
    state: Mapping[str, Tensor],
    source: str,
    *,
    arch: str = "",
    new_head: bool = False,
    prefix: str | None = None,
) -> Fitted:
    """Load tensors into a network whose names may carry a prefix in the file (``module.``, ``network.``, …).

    ``arch``: its name, for layouts of other code bases. ``prefix``: where the file holds several networks, part of the
    names of the one that is meant; what lies elsewhere is then left out. ``new_head``: a last layer of another size is
    left at its random start, and the log says so. Raises UserError where tensors are missing, of another shape, or left
    over: a tensor that nobody uses may be half of a model.
    """
    said: list[str] = []
    own = network.state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in own.items()}
    head = head_of(expected) if new_head else ()
    places = find_places(state, expected, head)
    if not places[0].fits:
        for other, whose in renamed(state, arch, expected):
            found = find_places(other, expected, head)
            if found[0].fits:
                state, places = other, found
                said.append(f"its tensors have {whose}")
                break
    place = choose_place(state, places, prefix, source, said) if places[0].fits else places[0]
    left = _left_over(state, place, places)
    statistics = statistics_of(state, left, source)
    left = [name for name in left if statistics is None or name not in statistics.names]
    inside = [name for name in left if name in place.extra]
    outside = [name for name in left if name not in inside]
    if place.missing or inside or (outside and prefix is None and not new_head):
        _refuse(source, place, inside or outside, is_beside=not place.missing and not inside)
    if place.wrong:
        name = place.wrong[0]
        raise UserError(
            f"weights: {source}: {name} has shape {tuple(state[place.names[name]].shape)}, but the architecture's has "
            f"{expected[name]}; check `arch` and `width`"
        )
    if outside:
        said.append(f"{len(outside)} tensors outside {place.prefix.rstrip('.') or 'it'} are not used: {_few(outside)}")
    tensors = {name: state[other] for name, other in place.names.items()}
    if any(tuple(tensors[name].shape) != expected[name] for name in head if name in tensors):
        said.append(
            f"its last layer has {len(tensors[head[0]])} outputs, not {expected[head[0]][0]}; a new one is trained"
        )
        tensors.update({name: own[name] for name in head})
    _refuse_no_numbers(tensors, own, source)
    network.load_state_dict(tensors)
    for text in said:
        log.info("%s: %s", source, text)
    return Fitted(place.prefix, statistics, tuple(said))


def _refuse_no_numbers(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str) -> None:
    """Refuse whole numbers where a network has fractions, which would be taken for weights, and what is not finite."""
    for name, tensor in tensors.items():
        if not own[name].is_floating_point():
            continue
        if not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise UserError(
                f"weights: {source}: {name} holds {kind} numbers, as of a quantised network; give the weights before "
                "they were quantised"
            )
        if not bool(torch.isfinite(tensor.float()).all()):
            raise UserError(
                f"weights: {source}: {name} holds values that are not finite (NaN or infinite), as after a training "
                "that diverged; give another checkpoint"
            )


def sizes_in(
    network: nn.Module, state: Mapping[str, Tensor], source: str, *, arch: str = "", prefix: str | None = None
) -> tuple[int, int]:
    """Return the outputs and the image channels of a network in a file; ``network``: one of its architecture."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    head, first = head_of(expected), next(name for name, shape in expected.items() if len(shape) == 4)
    for other in (state, *(names for names, _ in renamed(state, arch, expected))):
        places = find_places(other, expected, (*head, first))
        if places[0].fits:
            place = choose_place(other, places, prefix, source, [])
            return len(other[place.names[head[0]]]), int(other[place.names[first]].shape[1])
    # Whatever is wrong, loading says it.
    return expected[head[0]][0], 3


def _refuse(source: str, place: Place, left: list[str], is_beside: bool) -> None:
    if is_beside:
        raise UserError(
            f"weights: {source} holds a network of this architecture at {place.prefix.rstrip('.') or 'the top'}, and "
            f"beside it {_few(left)}: if that takes no part in its answers, say where the network is: "
            f"`prefix: {place.prefix.rstrip('.')}`; otherwise give a `module` that builds the whole"
        )
    raise UserError(
        f"weights: {source} does not fit the architecture: missing {_few(list(place.missing))}; left over "
        f"{_few(left)}; check `arch` and `width`{_hint(place.missing)}"
    )


def _hint(missing: tuple[str, ...]) -> str:
    if missing and all(name.startswith("bn.") for name in missing):
        return "; without a last batch norm it is preact-resnet18-nobn or -v1, and the file does not say which"
    return ""


def _left_over(state: Mapping[str, Tensor], place: Place, places: list[Place]) -> list[str]:
    """Return the tensors that belong to no place at which the network lies, without those that decide no answer."""
    used = {name for one in [place, *(p for p in places if p.fits)] for name in one.names.values()}
    return [name for name in state if name not in used and not COUNTERS.search(name) and not UNUSED.search(name)]


def head_of(expected: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """Return the names of a network's last layer: its weight, and its bias where it has one."""
    weights = [name for name, shape in expected.items() if name.endswith("weight") and len(shape) >= 2]
    name = weights[-1]
    bias = name.removesuffix("weight") + "bias"
    return (name, bias) if bias in expected else (name,)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "nothing"
