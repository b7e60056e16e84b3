"""Models that bring their own code: exported programs, TorchScript, and networks of the user's own."""

import importlib.util
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shapelens.errors import UserError
from shapelens.models.spec import split_module
from shapelens.models.weights import reason_of


class Program(nn.Module):
    """A TorchScript or exported program with its own bytes, which are what is saved.

    A program that was exported for batches of one size is given batches of that size; the last one is filled up.
    ``side``: of the images that it was exported for, None for any.
    """

    program: Tensor

    def __init__(self, kind: str, content: Tensor) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("program", content)
        module, self.batch, self.side = _open(kind, io.BytesIO(content.numpy().tobytes()))
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        # Not registered: its weights are in the bytes already.
        self.__dict__["_inner"] = module

    @property
    def inner(self) -> nn.Module:
        """The program as a module."""
        module: nn.Module = self.__dict__["_inner"]
        return module

    @classmethod
    def read(cls, kind: str, path: str | Path) -> "Program":
        """Read a program's file; raises UserError where it cannot be run."""
        content = np.frombuffer(Path(path).read_bytes(), dtype=np.uint8).copy()
        if kind == "torch.export":
            refuse_pickles(path)
        try:
            return cls(kind, torch.from_numpy(content))
        except UserError:
            raise
        except Exception as error:  # torch raises nearly anything for a program of another version
            raise UserError(
                f"weights: {path} is a program ({kind}) that this torch, {torch.__version__}, cannot load "
                f"({reason_of(error)}); export it anew, or give its state dict with `arch` or `module`"
            ) from None

    def _apply(self, function: Any, recurse: bool = True) -> "Program":
        super()._apply(function, recurse)  # type: ignore[no-untyped-call]
        self.inner._apply(function)  # type: ignore[no-untyped-call]
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (N, C, H, W) to the program's outputs."""
        if self.batch is None or len(x) == self.batch:
            out: Tensor = self.inner(x)
            return out
        parts = []
        for part in torch.split(x, self.batch):
            filled = torch.cat((part, part[:1].expand(self.batch - len(part), -1, -1, -1)))
            parts.append(self.inner(filled)[: len(part)])
        return torch.cat(parts)


def _open(kind: str, file: io.BytesIO) -> tuple[nn.Module, int | None, int | None]:
    """Return a program as a module, in evaluation mode where it has modes, and the batch and side it is bound to."""
    if kind == "TorchScript":
        module: nn.Module = torch.jit.load(file, map_location="cpu").eval()  # type: ignore[no-untyped-call]
        return module.float(), None, None
    exported = torch.export.load(file)
    images = [node.meta["val"] for node in exported.graph.nodes if node.name in exported.graph_signature.user_inputs]
    if len(images) != 1:
        raise UserError(f"weights: the exported program takes {len(images)} inputs; export it with images alone")
    batch, side = (size if isinstance(size, int) else None for size in (images[0].shape[0], images[0].shape[-1]))
    return exported.module(), batch, side


PLAIN = ("weight_", "tensor_")
"""How the names of an exported program's tensors begin; Python objects and compiled code have other names."""


def refuse_pickles(path: str | Path) -> None:
    """Raise UserError for an exported program that holds Python objects or compiled code: torch would run them."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            configs = [json.loads(archive.read(name)) for name in names if name.endswith("_config.json")]
            inputs = [archive.read(name) for name in names if name.endswith(".pt")]
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise UserError(f"weights: {path} is damaged: {error}") from None
    what = None
    if any(name.endswith("serialized_exported_program.json") for name in names):
        what = "has the format of an older torch, which is pickled"
    elif any("aotinductor" in name or name.endswith(".so") for name in names):
        what = "holds compiled code"
    elif any(_has_object(config) for config in configs) or not all(map(_is_plain, inputs)):
        what = "holds Python objects"
    if what:
        raise UserError(
            f"weights: {path} {what}, and nothing from outside is unpickled here; export the model anew, in evaluation "
            "mode, with torch.export.save"
        )


def _has_object(value: Any) -> bool:
    if isinstance(value, dict):
        named = str(value.get("path_name", PLAIN[0]))
        return value.get("use_pickle") is True or not named.startswith(PLAIN) or any(map(_has_object, value.values()))
    return isinstance(value, list) and any(map(_has_object, value))


def _is_plain(content: bytes) -> bool:
    if not content:
        return True
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception:  # whatever is wrong with it
        return False
    return True


def own_network(module: str, source: str | None = None) -> tuple[nn.Module, str]:
    """Build the network that ``file.py:function`` returns, and return it with the file's text.

    ``source``: the text that the file must have still. The file is run as Python code, as the config asks. Raises
    UserError for a missing or changed file, code that fails, and what is no network.
    """
    path, name = split_module(module)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"module: {path} cannot be read ({error}); give the path of a Python file") from None
    if source is not None and text != source:
        raise UserError(f"module: {path} has changed since the model was read; run the workflow to read it again")
    spec = importlib.util.spec_from_file_location("shapelens_own_network", path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(loaded)
        function = getattr(loaded, name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = function()
    except Exception as error:  # code of the user's own fails in any way
        raise UserError(f"module: {module} fails: {type(error).__name__}: {error}") from None
    if not isinstance(network, nn.Module):
        raise UserError(f"module: {module} returned {type(network).__name__}; it must return a torch.nn.Module")
    return network, text
