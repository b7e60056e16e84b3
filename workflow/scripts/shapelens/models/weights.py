"""Reading weights from outside: safetensors or .pth files, fitted to a network by name and shape."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from shapelens.errors import UserError

log = logging.getLogger("shapelens")

WRAPPINGS = ("state_dict", "model_state_dict", "model", "net")
HEAD = ("fc.weight", "fc.bias")
# Parts of a ResNet as they are named in widespread CIFAR code, and by torchvision.
ALIASES = (("shortcut.", "downsample."), ("linear.", "fc."))


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors or .pth file.

    A .pth is read by torch's weights-only loader, which runs no code of the file; a state dict wrapped as
    ``{"state_dict": …}`` or the like is unwrapped. Raises UserError for a missing or unreadable file.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"weights: {path} is not a file; give a path from the workflow's folder or an absolute one")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise UserError(f"weights: {path} is not a safetensors file: {error}") from None
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise nearly anything, such as IndexError and UnicodeDecodeError
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"weights: {path} cannot be read as weights only ({reason}); save the bare state dict where the file "
            "comes from: torch.save(model.state_dict(), path)"
        ) from None
    for _ in range(2):
        inner = [content[key] for key in WRAPPINGS if isinstance(content, dict) and isinstance(content.get(key), dict)]
        content = inner[0] if inner else content
    state = {key: value for key, value in content.items() if isinstance(value, Tensor)} if _is_dict(content) else {}
    if not state:
        raise UserError(f"weights: {path} holds no state dict; save one by torch.save(model.state_dict(), path)")
    return state


def _is_dict(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def fit(network: nn.Module, state: Mapping[str, Tensor], source: str, *, new_head: bool = False) -> None:
    """Load tensors into a network whose names may carry a prefix in the file (``module.``, ``network.``, …).

    ``new_head``: a last layer ``fc`` of another size is left at its random start, and the log says so. Raises UserError
    where tensors are missing, left over, or of another shape.
    """
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    needed = [name for name in expected if not name.endswith("num_batches_tracked")]
    prefix = find_prefix(state, needed)
    found = {_alias(name.removeprefix(prefix)): tensor for name, tensor in state.items() if name.startswith(prefix)}
    if new_head and any(name in found and found[name].shape != expected[name] for name in HEAD if name in expected):
        outputs = len(found["fc.weight"])
        log.info("%s: its last layer has %d outputs, not %d; a new one is trained", source, outputs, _outputs(network))
        found.update({name: network.state_dict()[name] for name in HEAD})
    missing = [name for name in needed if name not in found]
    extra = [name for name in found if name not in expected]
    if missing or extra:
        raise UserError(
            f"weights: {source} does not fit the architecture: missing {_few(missing)}; left over {_few(extra)}; "
            "check `arch` and `width`"
        )
    for name, tensor in found.items():
        if tensor.shape != expected[name]:
            raise UserError(
                f"weights: {source}: {name} has shape {tuple(tensor.shape)}, but the architecture's has "
                f"{tuple(expected[name])}; check `arch` and `width`"
            )
    network.load_state_dict(found)


def find_prefix(state: Mapping[str, Tensor], needed: list[str]) -> str:
    """Return the prefix under which most of the needed names are in the state; of equally good ones the shortest."""
    probe = needed[0]
    prefixes = sorted({name.removesuffix(probe) for name in state if name.endswith(probe)} | {""}, key=len)
    return max(prefixes, key=lambda prefix: sum(prefix + name in state for name in needed))


def _alias(name: str) -> str:
    for other, ours in ALIASES:
        name = name.replace(other, ours)
    return name


def _outputs(network: nn.Module) -> int:
    return len(network.state_dict()["fc.weight"])


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "nothing"
