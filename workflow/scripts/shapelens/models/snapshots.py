"""The weights at some epochs of a training, in one safetensors file: ``epoch{n}/{name of the tensor}``.

While a model trains each snapshot is a file of its own, written once: the state of an interrupted training is written
anew every minute and would grow with them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from shapelens.artefacts.files import check_sha256, read_json, rebuild, sha256
from shapelens.artefacts.writing import atomic_path, remove
from shapelens.errors import UserError
from shapelens.models.store import save_model


def keep_snapshot(model: nn.Module, folder: Path, epoch: int) -> None:
    """Write the model's weights and buffers at the end of an epoch (0: before the first) to a folder."""
    save_model(model, _part(folder, epoch))


def has_snapshot(folder: Path, epoch: int) -> bool:
    """Tell whether the snapshot of an epoch lies whole in the folder."""
    try:
        with safe_open(_part(folder, epoch), framework="pt"):
            return True
    except (OSError, SafetensorError):
        return False


def gather_snapshots(folder: Path, epochs: Iterable[int], path: Path) -> str:
    """Write the snapshots of these epochs from the folder as one file, atomically, and return its sha256.

    The parts are mapped, not read, so that their number takes no memory. Without an epoch the file has no tensors.
    Raises UserError where a part is gone or damaged.
    """
    tensors: dict[str, Tensor] = {}
    for epoch in epochs:
        try:
            with safe_open(_part(folder, epoch), framework="pt") as file:
                tensors |= {f"epoch{epoch}/{name}": file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            raise UserError(
                f"{_part(folder, epoch)} is gone or damaged: another process has finished the same training meanwhile "
                "and removed it, or somebody did. Give the same command again: the model is trained anew"
            ) from None
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)
    return sha256(path)


def drop_snapshots(folder: Path) -> None:
    """Remove the parts of a training that is finished, and the folder if nothing else is in it."""
    for part in folder.glob("epoch*.safetensors"):
        remove(part)


def _part(folder: Path, epoch: int) -> Path:
    return folder / f"epoch{epoch}.safetensors"


class Snapshots(Mapping[int, dict[str, Tensor]]):
    """Epochs, in order, and at each the tensors of the model's ``state_dict``, on the CPU, read when they are asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: dict[int, list[str]] = {}
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 (no mapping: it has no __iter__)
                found = re.fullmatch(r"epoch(\d+)/(.+)", key)
                if found is None:
                    raise UserError(f"{path}: {key!r} is no tensor of a snapshot: those are epoch{{n}}/{{parameter}}")
                self._names.setdefault(int(found[1]), []).append(found[2])

    def __getitem__(self, epoch: int) -> dict[str, Tensor]:
        names = self._names[epoch]
        with safe_open(self.path, framework="pt") as file:
            return {name: file.get_tensor(f"epoch{epoch}/{name}") for name in names}

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


def open_snapshots(path: str | Path) -> Snapshots:
    """Open a model's ``snapshots.safetensors``: a mapping from epoch to weights, for ``model.load_state_dict``.

    Where ``selection.json`` lies beside it, it must be the file that is named there by sha256. Raises UserError for a
    missing, changed or unfitting file.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(
            f"{path} is missing; it is made where training.snapshots names epochs, for all models or for this one"
        )
    selection = path.with_name("selection.json")
    if selection.exists():
        record = read_json(selection).get("snapshots") or {}
        check_sha256(path, record.get("sha256"), selection)
    try:
        return Snapshots(path)
    except SafetensorError as error:
        raise UserError(f"{path} is not a safetensors file: {error}. {rebuild(path)}") from None
