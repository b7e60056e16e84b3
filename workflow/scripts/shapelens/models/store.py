"""Saving models and loading them again: safetensors beside a spec.json that says how to build the network."""

from collections.abc import Mapping
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
from shapelens.models.classifier import Classifier, LogitOfProbability, OfProbabilities, OneLogit, Pooled
from shapelens.models.from_libraries import timm_network, torchvision_skeleton
from shapelens.models.normalisation import normalisation
from shapelens.models.programs import Program, own_network
from shapelens.models.spec import Finished, Network, Reading, library_of


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
    model = skeleton(read_json(folder / "spec.json")["spec"], state)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{weights} does not fit the network of {folder / 'spec.json'}: {error}") from None
    return model.to(device).to(memory_format=torch.channels_last).eval()


def skeleton(spec: dict[str, Any], state: Mapping[str, torch.Tensor]) -> Classifier:
    """Build the classifier that a spec.json describes, with weights yet to be loaded.

    ``spec``: a training run or a finished model as plain data; ``state``: the stored tensors, among which a program is.
    """
    blank = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    try:
        if "finished" in spec:
            finished, reading = Finished.model_validate(spec["finished"]), Reading.model_validate(spec["reading"])
            network = finished_network(finished, reading, state)
            kind = {"mean and std": "dataset"}.get(reading.normalisation, reading.normalisation)
            layer = normalisation(kind, blank[0][: reading.channels], blank[1][: reading.channels], reading.channels)
            return assemble(network, layer, finished, reading)
        trained = Network.model_validate(spec["network"])
    except (ValidationError, KeyError) as error:
        raise UserError(f"spec.json: not the spec of a model: {error}") from None
    network = build(trained.arch, spec["classes"], trained.width, receptive_field=trained.receptive_field)
    kind = trained.normalisation if isinstance(trained.normalisation, str) else "dataset"
    return Classifier(network, normalisation(kind, *blank), input_size=trained.input_size)


def assemble(network: nn.Module, layer: nn.Module, finished: Finished, reading: Reading) -> Classifier:
    """Put a finished model together: its input normalisation, its network, and the reading of its outputs."""
    parts: list[nn.Module] = []
    if reading.outputs == 1:
        if finished.probabilities:
            parts.append(LogitOfProbability())
        parts.append(OneLogit())
    elif finished.probabilities:
        parts.append(OfProbabilities())
    if reading.groups is not None:
        parts.append(Pooled(reading.groups, finished.pooling))
    answer = nn.Sequential(*parts) if parts else None
    return Classifier(network, layer, answer=answer, input_size=reading.input_size)


def finished_network(finished: Finished, reading: Reading, state: Mapping[str, torch.Tensor]) -> nn.Module:
    """Build the network of a finished model with weights yet to be loaded; a program is read from its stored bytes."""
    library, name = library_of(finished.weights)
    if reading.program is not None:
        return Program(reading.program, state["network.program"])
    if library == "timm":
        return timm_network(**(reading.timm or {"name": name}))
    if library == "torchvision":
        return torchvision_skeleton(name)
    if finished.module is not None:
        return own_network(finished.module, reading.source)[0]
    return build(str(finished.arch), reading.outputs, finished.width, channels=reading.channels)
