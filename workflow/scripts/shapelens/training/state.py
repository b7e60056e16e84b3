"""The state of an unfinished training: one file, replaced atomically, so a kill at any moment leaves a whole one.

Two processes may share it, where a killed Snakemake left its job at work: each saves whole states of the same training,
and whichever ends first removes the file.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from shapelens.artefacts.writing import AGAIN, atomic_path, remove
from shapelens.errors import UserError

log = logging.getLogger("shapelens")

FILE = "state.safetensors"


def save_state(folder: Path, tensors: Mapping[str, Mapping[str, Tensor]], record: Mapping[str, Any]) -> None:
    """Write groups of named tensors, and plain data, as one safetensors file; floats keep every bit."""
    flat = {f"{group}/{name}": tensor for group, named in tensors.items() for name, tensor in named.items()}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in flat.items()}
    text = json.dumps(record)
    with atomic_path(folder / FILE) as temporary:
        save_file(plain, temporary, metadata={"record": text, "sha256": _digest(folder.name, plain, text)})


def load_state(folder: Path, device: torch.device) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Return what ``save_state`` wrote, tensors on the device; None where no whole state of this folder's is.

    Raises UserError where a folder or a pipe stands in its place, and PermissionError where it may not be read.
    """
    path = folder / FILE
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is no plain file, and a training keeps its state there; move it away and {AGAIN}")
    try:
        return _read(path, device)
    except FileNotFoundError:
        return None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        log.warning("%s is damaged (%s): this training begins anew", path, error)
        return None


def drop_state(folder: Path) -> None:
    """Remove the state of a training that is finished, and its folder."""
    remove(folder / FILE)


def _read(path: Path, device: torch.device) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping: it has no __iter__)
    if metadata["sha256"] != _digest(path.parent.name, tensors, metadata["record"]):
        raise ValueError("it is not what was saved for this training")
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, _, name = key.partition("/")
        groups.setdefault(group, {})[name] = tensor.to(device)
    return groups, json.loads(metadata["record"])


def _digest(name: str, tensors: Mapping[str, Tensor], record: str) -> str:
    """Return the sha256 of a state, to which its folder's name belongs: a state of another training is none."""
    whole = hashlib.sha256(f"{name}\0{record}".encode())
    for key in sorted(tensors):
        tensor = tensors[key]
        whole.update(f"\0{key} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()
