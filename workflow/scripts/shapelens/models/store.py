"""Saving models and loading them again: safetensors beside a spec.json that says how to build the network."""

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from shapelens.artefacts.files import check_sha256, read_json, rebuild, sha256
from shapelens.artefacts.writing import atomic_path
from shapelens.errors import UserError
from shapelens.models.architectures import build
from shapelens.models.classifier import Classifier
from shapelens.models.normalisation import normalisation
from shapelens.models.spec import Finished, Network


def save_model(model: nn.Module, path: str | Path) -> str:
    """Write the model's weights and buffers as safetensors, atomically, and return the file's sha256.

    Equal weights give equal bytes, whatever the device or memory layout they were trained in.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary)
    return sha256(path)


def load_model(folder: str | Path, device: torch.device | str = "cpu") -> Classifier:
    """Load a trained or finished model from its folder, in evaluation mode, its weights laid out channels last.

    Needs ``model.safetensors`` and ``spec.json``; where ``selection.json`` is there, the weights must be the file that
    it names by sha256. Raises UserError for a missing, changed or unfitting file.
    """
    folder = Path(folder)
    weights = folder / "model.safetensors"
    for path in (weights, folder / "spec.json"):
        if not path.exists():
            raise UserError(f"{path} is missing; run the workflow to make it, or copy the model's whole folder")
    selection = folder / "selection.json"
    if selection.exists():
        record = read_json(selection)
        check_sha256(weights, record.get("weights_sha256") if isinstance(record, dict) else None, selection)
    try:
        state = load_file(weights)
    except SafetensorError as error:
        raise UserError(f"{weights} is not a safetensors file: {error}. {rebuild(weights)}") from None
    model = skeleton(read_json(folder / "spec.json")["spec"], {name: tuple(t.shape) for name, t in state.items()})
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{weights} does not fit the network of {folder / 'spec.json'}: {error}") from None
    return model.to(device).to(memory_format=torch.channels_last).eval()


def skeleton(spec: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> Classifier:
    """Build the classifier that a spec.json describes, with weights yet to be loaded.

    ``spec``: a training run or a finished model as plain data; ``shapes``: of the stored tensors.
    """
    blank = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    try:
        if "finished" in spec:
            finished = Finished.model_validate(spec["finished"])
            network = finished_network(finished, shapes.get("network.fc.weight", (spec["classes"],))[0])
            # timm's models bring their own channel statistics, which lie among the stored buffers.
            kind = "dataset" if finished.weights.startswith("timm:") else finished.normalisation
            return Classifier(
                network,
                normalisation(kind, *blank),
                class_indices=finished.class_indices,
                input_size=finished.input_size,
            )
        trained = Network.model_validate(spec["network"])
    except (ValidationError, KeyError) as error:
        raise UserError(f"spec.json: not the spec of a model: {error}") from None
    network = build(trained.arch, spec["classes"], trained.width, receptive_field=trained.receptive_field)
    return Classifier(network, normalisation(trained.normalisation, *blank), input_size=trained.input_size)


def finished_network(finished: Finished, outputs: int) -> nn.Module:
    """Build the network of a finished model with random weights; ``outputs`` counts for a file's architecture only."""
    origin, _, name = finished.weights.partition(":")
    if origin == "timm":
        return timm_network(name, pretrained=False)
    if origin == "torchvision":
        from torchvision import models

        enum = type(models.get_weight(name))
        builder = next(entry for entry in models.list_models() if models.get_model_weights(entry) is enum)
        network: nn.Module = models.get_model(builder, weights=None)
        return network
    if finished.arch is None:
        raise UserError(f"weights: {finished.weights} is a file, so its architecture must be given as `arch`")
    return build(finished.arch, outputs, finished.width)


def timm_network(name: str, pretrained: bool) -> nn.Module:
    """Build one of timm's models; ``pretrained`` fetches its weights."""
    try:
        import timm
    except ImportError:
        raise UserError(f"weights: timm:{name} needs the package timm; install it into the models' environment") from (
            None
        )
    try:
        network: nn.Module = timm.create_model(name, pretrained=pretrained)
    except RuntimeError as error:
        raise UserError(f"weights: timm:{name}: {error}; timm.list_models() names what there is") from None
    return network
