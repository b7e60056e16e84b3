"""Models trained elsewhere, read once and stored like our own; initial weights for our own training."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from shapelens.artefacts.files import write_json, write_text
from shapelens.errors import UserError
from shapelens.models.architectures import build
from shapelens.models.classifier import Classifier, predict
from shapelens.models.devices import describe
from shapelens.models.normalisation import Normalise, normalisation
from shapelens.models.spec import Finished, Network
from shapelens.models.store import finished_network, save_model, timm_network
from shapelens.models.weights import fit, read_state

logger = logging.getLogger("shapelens")

VALIDATION_BATCH = 256
HISTORY_HEADER = "epoch,step,lr,loss,validation_accuracy,validation_fgsm,validation_pgd\n"


def initialise(network: Network, classes: int, mean: Sequence[float], std: Sequence[float], seed: int) -> Classifier:
    """Build the classifier that training starts from: random weights from ``seed``, or those that the spec names.

    ``mean``, ``std``: channel statistics of the training images, in [0, 1] units. A last layer of another size is
    replaced by a random one. Raises UserError for weights that do not fit.
    """
    body = build(network.arch, classes, network.width, receptive_field=network.receptive_field, seed=seed)
    if network.weights is not None:
        is_file = Path(network.weights).suffix.lower() in {".safetensors", ".pth", ".pt"}
        state = read_state(network.weights) if is_file else torchvision_state(network.weights)
        fit(body, state, network.weights, new_head=True)
    return Classifier(body, normalisation(network.normalisation, mean, std), input_size=network.input_size)


def torchvision_state(name: str) -> dict[str, Tensor]:
    """Fetch torchvision's weights by their enum's name (from its cache if there); the file's hash is checked."""
    try:
        from torchvision import models
    except ImportError:
        raise UserError(f"weights: {name} needs the package torchvision; install shapelens[torchvision]") from None
    try:
        weights = models.get_weight(name)
    except (ValueError, AttributeError, KeyError):
        raise UserError(
            f"weights: {name!r} is neither a .safetensors or .pth file nor one of torchvision's weights, such as "
            "ResNet18_Weights.IMAGENET1K_V1"
        ) from None
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise UserError(
            f"weights: {name} cannot be fetched ({error}); download {weights.url} elsewhere into "
            f"{Path(torch.hub.get_dir()) / 'checkpoints'}"
        ) from None
    return state


def load_finished(finished: Finished, classes: int, mean: Sequence[float], std: Sequence[float]) -> Classifier:
    """Read a model trained elsewhere; see ``convert``."""
    origin, _, name = finished.weights.partition(":")
    layer = normalisation(finished.normalisation, mean, std)
    if origin == "timm":
        network = timm_network(name, pretrained=True)
        logger.warning(
            "%s: timm fetched these weights, and no hash of them is published here; selection.json has the sha256 of "
            "what came (weights_sha256)",
            finished.weights,
        )
        layer = _timm_normalisation(network, finished)
        outputs = int(getattr(network, "num_classes", classes))
    elif origin == "torchvision":
        state = torchvision_state(name)
        network = finished_network(finished, 0)
        network.load_state_dict(state)
        outputs = len(next(reversed(state.values())))
    else:
        state = read_state(finished.weights)
        network = finished_network(finished, _head_size(state, finished.weights))
        fit(network, state, finished.weights)
        outputs = _head_size(state, finished.weights)
        if "normalise.mean" in state and isinstance(layer, Normalise):
            # A model saved by this project holds the channel statistics that it was trained with.
            layer.load_state_dict({"mean": state["normalise.mean"], "std": state["normalise.std"]})
    check_outputs(finished, outputs, classes)
    return Classifier(network, layer, class_indices=finished.class_indices, input_size=finished.input_size).eval()


def check_outputs(finished: Finished, outputs: int, classes: int) -> None:
    """Raise UserError unless the model's outputs, or those that ``class_indices`` names, are the classes."""
    indices = finished.class_indices
    where = f"weights: {finished.weights} has {outputs} outputs"
    if indices is None:
        if outputs != classes:
            raise UserError(
                f"{where}, but the dataset has {classes} classes; set class_indices to a list of {classes}: for each "
                "class of the dataset, in order, its index among the outputs"
            )
        return
    if len(indices) != classes or not all(0 <= index < outputs for index in indices) or len(set(indices)) < classes:
        raise UserError(
            f"class_indices: {list(indices)} does not name {classes} different outputs, one for each class of the "
            f"dataset; {where}, so each must be from 0 to {outputs - 1}"
        )


def convert(
    finished: Finished,
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    folder: str | Path,
    *,
    model: str,
    code: str,
    validation: tuple[Tensor, Tensor] | None = None,
) -> Classifier:
    """Store a model trained elsewhere as ``model.safetensors``, with the four files that accompany a trained one.

    Its source is a .safetensors or .pth file, ``torchvision:ENUM`` or ``timm:NAME``. ``mean``, ``std``: channel
    statistics of the training images; ``code``: the code digest; ``validation``: stored images (n, 3, H, W) and labels
    (n,), of which selection.json then states the accuracy. Raises UserError where the source cannot be read or its
    outputs are not the dataset's classes.
    """
    folder = Path(folder)
    classifier = load_finished(finished, classes, mean, std)
    accuracy = None
    if validation is not None and len(validation[1]):
        parts = zip(*(torch.split(values, VALIDATION_BATCH) for values in validation), strict=True)
        right = sum(int((predict(classifier, images).argmax(1) == labels).sum()) for images, labels in parts)
        accuracy = right / len(validation[1])
    digest = save_model(classifier, folder / "model.safetensors")
    spec = {"model": model, "seed": 0, "finished": finished.model_dump(mode="json"), "classes": classes}
    write_json(folder / "spec.json", {"spec": spec, "code": code})
    selection = {
        "model": model,
        "seed": 0,
        "step": 0,
        "epoch": 0,
        "criterion": "finished",
        "validation_accuracy": accuracy,
        "validation_fgsm": None,
        "validation_pgd": None,
        "collapsed": False,
        "match": None,
        "weights_sha256": digest,
    }
    write_json(folder / "selection.json", selection)
    write_text(folder / "history.csv", HISTORY_HEADER)
    write_json(folder / "run.json", {**describe(torch.device("cpu")), "weights": finished.weights})
    return classifier


def _head_size(state: dict[str, Tensor], source: str) -> int:
    heads = [
        tensor for name, tensor in state.items() if name.split(".")[-2:] in (["fc", "weight"], ["linear", "weight"])
    ]
    if len(heads) != 1:
        raise UserError(
            f"weights: {source} has no single last layer `fc`; only the architectures of `arch` can be read"
        )
    return len(heads[0])


def _timm_normalisation(network: nn.Module, finished: Finished) -> Normalise:
    """Return the normalisation that a timm model was trained with; refuse a size that it cannot take."""
    settings = getattr(network, "pretrained_cfg", {})
    size = settings.get("input_size", (3, 0, 0))[-1]
    if settings.get("fixed_input_size") and finished.input_size != size:
        raise UserError(f"input_size: {finished.weights} takes images of {size}×{size} only; set input_size: {size}")
    return Normalise(settings["mean"], settings["std"])
