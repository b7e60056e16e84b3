"""Networks and published weights of torchvision and timm, built by the libraries' own functions."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shapelens.errors import UserError
from shapelens.models.weights import fit, read_state, reason_of

log = logging.getLogger("shapelens")


@dataclass(frozen=True)
class Published:
    """A network with its published weights, and what they were trained with."""

    network: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    """Side of the images that the weights were published for."""
    categories: tuple[str, ...] = ()
    """Names of its outputs, where the library has them."""
    said: tuple[str, ...] = ()
    timm: dict[str, Any] | None = None
    """Arguments with which timm builds the network again."""


# torchvision


def torchvision_network(name: str, outputs: int) -> nn.Module:
    """Build any of torchvision's classifiers by name, with random weights."""
    models = _torchvision(name)
    if name not in models.list_models(module=models):
        raise UserError(_unknown("arch", f"torchvision:{name}", name, models.list_models(module=models)))
    network: nn.Module = models.get_model(name, weights=None, num_classes=outputs)
    return network


def torchvision_state(name: str) -> dict[str, Tensor]:
    """Fetch torchvision's weights by their enum's name (from its cache if there); the file's hash is checked."""
    weights = torchvision_weights(name)
    state: dict[str, Tensor] = _fetched(weights)
    return state


def torchvision_weights(name: str) -> Any:
    """Return an entry of torchvision's enums of weights."""
    models = _torchvision(name)
    try:
        return models.get_weight(name)
    except (ValueError, AttributeError, KeyError):
        raise UserError(
            f"weights: {name!r} is neither a .safetensors or .pth file nor one of torchvision's weights, such as "
            "ResNet18_Weights.IMAGENET1K_V1"
        ) from None


def torchvision_published(name: str, state: Mapping[str, Tensor], file: str | None) -> Published:
    """Build a network of torchvision by its own function, with its published weights ``state``, of ``file`` if named.

    So what the function does besides is done: GoogLeNet's input transform, DenseNet's older names.
    """
    weights = torchvision_weights(name)
    try:
        network = _by_own_function(weights, lambda: dict(state))
    except RuntimeError as error:
        raise UserError(
            f"{f'file: {file}' if file else f'weights: {name}'} does not hold these weights: {_first_lines(error)}; "
            "for weights of your own give `weights: FILE, arch: torchvision:NAME`"
        ) from None
    transforms = weights.transforms()
    return Published(
        network,
        tuple(transforms.mean),
        tuple(transforms.std),
        int(transforms.crop_size[0]),
        tuple(weights.meta.get("categories", ())),
    )


def torchvision_skeleton(name: str) -> nn.Module:
    """Build the network of published weights as its own function does, with nothing loaded into it."""
    weights = torchvision_weights(name)
    with _replaced(nn.Module, "load_state_dict", lambda *_arguments, **_named: None):
        return _by_own_function(weights, dict)


def _by_own_function(weights: Any, state: Callable[[], Mapping[str, Tensor]]) -> nn.Module:
    from torchvision import models

    builder = next(name for name in models.list_models() if models.get_model_weights(name) is type(weights))
    with (
        torch.random.fork_rng(devices=[]),
        _replaced(type(weights), "get_state_dict", lambda *_arguments, **_named: state()),
    ):
        torch.manual_seed(0)
        network: nn.Module = models.get_model(builder, weights=weights)
    return network


def _fetched(weights: Any) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            weights.url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except OSError as error:
        raise UserError(
            f"weights: {weights} cannot be fetched ({error}); download {weights.url} elsewhere and name it as `file`, "
            f"or lay it into {Path(torch.hub.get_dir()) / 'checkpoints'}"
        ) from None
    except Exception as error:  # what lies in the cache, or came, may be anything
        kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise UserError(f"weights: {kept} cannot be read as weights only ({reason_of(error)}); delete it") from None
    return state


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Let an attribute have another value for a while."""
    had, old = name in vars(owner), getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if had:
            setattr(owner, name, old)
        else:
            delattr(owner, name)


def _torchvision(name: str) -> Any:
    try:
        from torchvision import models
    except ImportError:
        raise UserError(f"{name}: needs the package torchvision; install shapelens[torchvision]") from None
    return models


# timm


def timm_network(name: str, **arguments: Any) -> nn.Module:
    """Build one of timm's models with random weights; ``pretrained=True`` fetches its weights."""
    try:
        import timm
    except ImportError:
        raise UserError(f"weights: timm:{name} needs the package timm; install it into the models' environment") from (
            None
        )
    try:
        network: nn.Module = timm.create_model(name, **{"pretrained": False, **arguments})
    except (RuntimeError, TypeError, ValueError, KeyError, AssertionError) as error:
        raise UserError(
            f"weights: timm:{name}: {_first_lines(error)}; timm.list_models() names what there is"
        ) from None
    except OSError as error:  # every failure of a download, and a missing local folder
        raise UserError(
            f"weights: timm:{name} cannot be fetched ({_first_lines(error)}); download its file elsewhere and name it "
            f"as `file`, or the folder as `timm:local-dir:FOLDER`"
        ) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("huggingface_hub", "httpx", "requests", "httpcore"):
            raise
        raise UserError(
            f"weights: timm:{name} cannot be fetched ({_first_lines(error)}); download its file elsewhere and name it "
            "as `file`"
        ) from None
    return network


def timm_published(name: str, file: str | None) -> Published:
    """Build a model of timm with its weights, fetched, from a local folder (``local-dir:``) or from a local file."""
    said: list[str] = []
    if file is not None:
        network = _timm_from_file(name, file, said)
    else:
        network = timm_network(name, pretrained=True)
        if name.startswith("local-dir:"):
            said.append(f"timm read the weights from the folder {name.removeprefix('local-dir:')}")
        else:
            said.append(
                "timm fetched these weights, and no hash of them is published here; selection.json has the sha256 of "
                "what came (weights_sha256)"
            )
            log.warning("timm:%s: %s", name, said[-1])
    settings = getattr(network, "pretrained_cfg", {})
    return Published(
        network,
        tuple(settings["mean"]),
        tuple(settings["std"]),
        int(settings.get("input_size", (3, 224, 224))[-1]),
        tuple(settings.get("label_names") or ()),
        tuple(said),
        _timm_arguments(network, name),
    )


def _timm_from_file(name: str, file: str, said: list[str]) -> nn.Module:
    """Load a local file with timm's own function, under the file's own names or those of other code bases."""
    state = read_state(file)
    network = timm_network(name)
    try:
        return timm_network(name, pretrained=True, pretrained_cfg_overlay={"state_dict": dict(state), "file": None})
    except UserError as refused:
        try:
            said += fit(network, state, file, arch=f"timm:{name}").said
        except UserError as error:
            raise UserError(
                f"file: {str(error).removeprefix('weights: ')}. For weights of your own give `weights: FILE, arch: "
                f"timm:{name}`. (timm: {refused})"
            ) from None
    return network


def _timm_arguments(network: nn.Module, name: str) -> dict[str, Any]:
    settings = getattr(network, "pretrained_cfg", {})
    if ":" not in name:
        return {"name": name}
    # The settings of a hub's or folder's model are not there when it is built again.
    found: dict[str, Any] = {"name": settings["architecture"], "num_classes": getattr(network, "num_classes", 1000)}
    more = getattr(network, "_model_args", {})
    return {**{k: v for k, v in more.items() if isinstance(v, str | int | float | bool)}, **found}


def _first_lines(error: BaseException) -> str:
    """Return an error's text in one line of bearable length."""
    text = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]} …"


def _unknown(key: str, shown: str, name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{key}: {shown} is not known to the library{hint}"
