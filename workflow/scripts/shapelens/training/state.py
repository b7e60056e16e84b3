"""The state of an unfinished training: one file, replaced atomically, so a kill at any moment leaves a whole one.

Two processes may share it, where a killed Snakemake left its job at work: each saves whole states of the same training,
and whichever ends first removes the file.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from shapelens.artefacts.writing import atomic_path, remove

log = logging.getLogger("shapelens")

FILE = "state.safetensors"


def save_state(folder: Path, tensors: Mapping[str, Mapping[str, Tensor]], record: Mapping[str, Any]) -> None:
    """Write groups of named tensors, and plain data, as one safetensors file; floats keep every bit."""
    flat = {f"{group}/{name}": tensor for group, named in tensors.items() for name, tensor in named.items()}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in flat.items()}
    with atomic_path(folder / FILE) as temporary:
        save_file(plain, temporary, metadata={"record": json.dumps(record)})


def load_state(folder: Path, device: torch.device) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Return what ``save_state`` wrote, tensors on the device; None where there is no state, or no whole one."""
    path = folder / FILE
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
    groups: dict[str, dict[str, Tensor]] = {}
    with safe_open(path, framework="pt", device=str(device)) as file:
        record = json.loads(file.metadata()["record"])
        for key in file.keys():  # noqa: SIM118 (no mapping: it has no __iter__)
            group, _, name = key.partition("/")
            groups.setdefault(group, {})[name] = file.get_tensor(key)
    return groups, record
