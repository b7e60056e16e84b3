"""Models trained elsewhere, read once and stored like our own; initial weights for our own training."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shapelens.artefacts.files import write_json, write_text
from shapelens.errors import UserError
from shapelens.models.architectures import build
from shapelens.models.checks import (
    Checked,
    channels_taken,
    check_answers,
    check_normalisation,
    check_outputs,
    outputs_of,
    warn_of_names,
)
from shapelens.models.classifier import Classifier, prepare
from shapelens.models.devices import describe
from shapelens.models.from_libraries import (
    Published,
    timm_published,
    torchvision_published,
    torchvision_state,
)
from shapelens.models.layouts import Statistics
from shapelens.models.normalisation import IMAGENET_MEAN, IMAGENET_STD, normalisation
from shapelens.models.outputs import groups_of
from shapelens.models.programs import Program, own_network
from shapelens.models.spec import Finished, MeanStd, Network, Reading, is_file, library_of
from shapelens.models.store import assemble, save_model
from shapelens.models.weights import fit, kind_of_program, read_checkpoint, read_state, sizes_in
from shapelens.spec import composed

logger = logging.getLogger("shapelens")

HISTORY_HEADER = "epoch,step,lr,loss,validation_accuracy,validation_fgsm,validation_pgd\n"
ALIKE = 1e-3
"""Largest difference of two input normalisations that count as the same."""


def initialise(network: Network, classes: int, mean: Sequence[float], std: Sequence[float], seed: int) -> Classifier:
    """Build the classifier that training starts from: random weights from ``seed``, or those that the spec names.

    ``mean``, ``std``: channel statistics of the training images, in [0, 1] units. A last layer of another size is
    replaced by a random one. Raises UserError for weights that do not fit.
    """
    body = build(network.arch, classes, network.width, receptive_field=network.receptive_field, seed=seed)
    if network.weights is not None:
        fit(body, _initial_state(network.weights), network.weights, arch=network.arch, new_head=True)
    layer = normalisation(*_layer(network.normalisation, mean, std))
    return Classifier(body, layer, input_size=network.input_size)


def _initial_state(weights: str) -> Mapping[str, Tensor]:
    library, name = library_of(weights)
    if library == "timm":
        state: Mapping[str, Tensor] = timm_published(name, None).network.state_dict()
        return state
    return read_state(weights) if is_file(weights) else torchvision_state(name)


def _layer(
    kind: str | MeanStd, mean: Sequence[float], std: Sequence[float]
) -> tuple[str, Sequence[float], Sequence[float]]:
    """Return kind, mean and standard deviation of a normalisation as ``normalisation`` takes them."""
    if isinstance(kind, MeanStd):
        return "dataset", _three(kind.mean), _three(kind.std)
    return kind, mean, std


def _three(values: Sequence[float], channels: int = 3) -> tuple[float, ...]:
    return tuple(values) * channels if len(values) == 1 else tuple(values)


@dataclass
class Read:
    """A model as it was read, and what was said of it."""

    network: nn.Module
    origin: str
    """``library``, ``file``, ``module`` or ``program``."""
    statistics: Statistics | None = None
    """The file's own input normalisation."""
    published: Published | None = None
    channels: int = 3
    source: str | None = None
    program: str | None = None
    said: list[str] = field(default_factory=list)
    names: tuple[str, ...] = ()
    """Names of its outputs, where the file has them."""


def read(finished: Finished) -> Read:
    """Read a model trained elsewhere: from a library, a file of weights, or a program."""
    library, name = library_of(finished.weights)
    if library:
        return _from_library(library, name, finished)
    kind = kind_of_program(finished.weights) if Path(finished.weights).is_file() else None
    if kind:
        program = Program.read(kind, finished.weights)
        if unused := [key for key in ("arch", "module", "prefix") if getattr(finished, key) is not None]:
            raise UserError(f"{unused[0]}: {finished.weights} is a program ({kind}) and needs none; leave the key out")
        return Read(program, "program", program=kind)
    state, names = read_checkpoint(finished.weights)
    said: list[str] = []
    if finished.module is not None:
        network, text = own_network(finished.module)
        fitted = fit(network, state, finished.weights, prefix=finished.prefix)
        return Read(network, "module", fitted.statistics, source=text, said=[*said, *fitted.said], names=names)
    if finished.arch is None:
        raise UserError(
            f"weights: {finished.weights} is a file, so its architecture must be given as `arch`, or as `module` a "
            "file of yours that builds it"
        )
    outputs, channels = sizes_in(
        build(finished.arch, 1000, finished.width), state, finished.weights, arch=finished.arch, prefix=finished.prefix
    )
    network = build(finished.arch, outputs, finished.width, channels=channels)
    fitted = fit(network, state, finished.weights, arch=finished.arch, prefix=finished.prefix)
    return Read(network, "file", fitted.statistics, channels=channels, said=list(fitted.said), names=names)


def _from_library(library: str, name: str, finished: Finished) -> Read:
    if finished.prefix is not None:
        raise UserError(f"prefix: {finished.weights} is read by {library}'s own function; leave the key out")
    if library == "timm":
        published = timm_published(name, finished.file)
    else:
        state = read_state(finished.file) if finished.file is not None else torchvision_state(name)
        published = torchvision_published(name, state, finished.file)
    return Read(published.network, "library", published=published, said=list(published.said))


# What the model was trained with


def _normalisation(finished: Finished, read: Read, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """Return the input normalisation: the config's, the file's, or the library's; what is assumed is said."""
    given, own = finished.normalisation, read.statistics
    if given is None:
        layer = _own_normalisation(finished, read)
    elif isinstance(given, MeanStd):
        layer = "dataset", given.mean, given.std
    elif given == "imagenet":
        layer = "dataset", IMAGENET_MEAN, IMAGENET_STD
    elif given == "dataset" and own is not None and own.std:
        layer = "dataset", own.mean, own.std
        read.said.append(f"normalised by the file's own mean and std: {_numbers(own.mean)}; {_numbers(own.std)}")
    else:
        layer = given, mean, std
    if given is not None and own is not None:
        _refuse_contradiction(finished, f"holds its own ({own.names[0]})", own.mean, own.std, layer)
    elif given is not None and read.published is not None:
        published = read.published
        whose = "was published with its own"
        _refuse_contradiction(finished, whose, published.mean, published.std, layer, BARE if finished.file else "")
    kind, centre, spread = layer
    if kind == "dataset" and read.channels == 1 and max(len(centre), len(spread)) == 3:
        raise UserError(
            f"normalisation: {finished.weights} takes images of one channel; give its mean and std as numbers: "
            "`normalisation: {mean: 0.5, std: 0.5}`"
        )
    return normalisation(kind, _three(centre, read.channels), _three(spread, read.channels), read.channels)


BARE = ". A file that was trained further with another is no longer the library's: give it as `weights`, with `arch`"
Layer = tuple[str, Sequence[float], Sequence[float]]
NOTHING: Layer = ("none", (0.0,), (1.0,))


def _own_normalisation(finished: Finished, read: Read) -> Layer:
    own = read.statistics
    if own is not None and not own.std:
        raise UserError(
            f"normalisation: {finished.weights} holds a mean, {own.names[0]}, without a standard deviation; give both: "
            "`normalisation: {mean: …, std: …}`"
        )
    if own is not None:
        read.said.append(
            f"normalised by the file's own mean and std ({own.names[0]}): {_numbers(own.mean)}; {_numbers(own.std)}"
        )
        return "dataset", own.mean, own.std
    if read.published is not None:
        mean, std = read.published.mean, read.published.std
        read.said.append(f"normalised as the library's weights: mean {_numbers(mean)}; std {_numbers(std)}")
        return "dataset", mean, std
    if read.origin == "module":
        read.said.append("given images in [0, 1]: no normalisation is named, and the file holds none")
        return NOTHING
    raise UserError(
        f"normalisation: {finished.weights} does not say how images were normalised in its training; give it: "
        "`normalisation: {mean: …, std: …}`, imagenet, dataset, per-image, or none where the network does it itself"
    )


def _refuse_contradiction(
    finished: Finished, whose: str, mean: Sequence[float], std: Sequence[float], layer: Layer, remedy: str = ""
) -> None:
    """Refuse a normalisation of the config's that is not the model's own, of ``mean`` and, where known, ``std``."""
    kind, centre, spread = layer if layer[0] != "none" else NOTHING
    pairs = [*zip(_three(centre), _three(mean), strict=True)]
    pairs += zip(_three(spread), _three(std), strict=True) if std else ()
    if kind == "per-image" or any(abs(a - b) > ALIKE for a, b in pairs):
        raise UserError(
            f"normalisation: {finished.weights} {whose}, mean {_numbers(mean)} and std {_numbers(std) or 'none'}, and "
            f"the config says otherwise; leave the key out, or write these numbers{remedy}"
        )


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in dict.fromkeys(values))


def _input_size(finished: Finished, read: Read, stored: int | None) -> int | None:
    """Return the side that images are resized to: the config's, or that of the library's weights or the program."""
    own = read.published.size if read.published is not None else None
    fixed = getattr(read.network, "pretrained_cfg", {}).get("fixed_input_size", False)
    if isinstance(read.network, Program) and read.network.side is not None:
        own, fixed = read.network.side, True
    if finished.input_size is None:
        if own is not None and own != stored:
            read.said.append(f"images are resized to {own}×{own}, the size that the model was made for")
        return own
    if own is not None and own != finished.input_size:
        if fixed:
            raise UserError(f"input_size: {finished.weights} takes images of {own}×{own} only; set input_size: {own}")
        warning = f"input_size is {finished.input_size}, but the model was made for images of {own}×{own}"
        logger.warning("%s: %s", finished.weights, warning)
        read.said.append(warning)
    return finished.input_size


def load_finished(
    finished: Finished,
    classes: Sequence[str] | int,
    mean: Sequence[float],
    std: Sequence[float],
    images: Tensor | None = None,
) -> Classifier:
    """Read a model trained elsewhere; see ``convert``."""
    return _load(finished, classes, mean, std, images)[0]


def _load(
    finished: Finished,
    classes: Sequence[str] | int,
    mean: Sequence[float],
    std: Sequence[float],
    images: Tensor | None,
) -> tuple[Classifier, Reading, list[str]]:
    found = read(finished)
    stored = images.shape[-1] if images is not None and len(images) else None
    size = _input_size(finished, found, stored)
    x = torch.rand(2, 3, size or 32, size or 32) if images is None or stored is None else prepare(images[:4], size)
    network = found.network.eval()
    if found.origin in ("module", "program"):
        found.channels = channels_taken(finished, network, x)
    outputs = outputs_of(finished, network, x[:, : found.channels])
    one_logit = outputs == 1
    finished = _with_own_names(finished, found, 2 if one_logit else outputs, classes)
    categories = found.published.categories if found.published is not None else ()
    groups = groups_of(finished, 2 if one_logit else outputs, classes, categories)
    layer = _normalisation(finished, found, mean, std)
    if found.channels == 1:
        found.said.append("takes one channel: colour images are made grey (0.299 R + 0.587 G + 0.114 B)")
    found.said += check_outputs(finished, network, layer, x)
    reading = Reading(
        outputs=outputs,
        groups=groups,
        input_size=size,
        channels=1 if found.channels == 1 else 3,
        normalisation=_kind_of(layer),
        timm=found.published.timm if found.published is not None else None,
        program="TorchScript" if found.program == "TorchScript" else "torch.export" if found.program else None,
        source=found.source,
    )
    found.said += _said_of_outputs(finished, one_logit, groups, classes)
    return assemble(found.network, layer, finished, reading).eval(), reading, found.said


def _with_own_names(finished: Finished, read: Read, outputs: int, classes: Sequence[str] | int) -> Finished:
    """Return the entry with the file's own names of its outputs as ``classes``, where the dataset's are among them.

    Raises UserError where the config names the same classes in another order.
    """
    own = tuple(map(composed, read.names))
    if len(own) != outputs or isinstance(classes, int):
        return finished
    if finished.classes is not None and finished.classes != own and set(finished.classes) == set(own):
        raise UserError(
            f"classes: {finished.weights} has its own class names in another order, [{', '.join(own)}]; leave the key "
            "out, or write these"
        )
    if finished.classes is not None or finished.output_map() is not None:
        return finished
    if not set(classes) <= set(own):
        read.said.append(f"the class names in the file are not the dataset's: {', '.join(own[:6])}")
        return finished
    read.said.append(f"its outputs are in the order of the class names in the file: {', '.join(own[:6])}")
    return finished.model_copy(update={"classes": own})


def _kind_of(layer: nn.Module) -> Any:
    names = {type(module).__name__ for module in layer.modules()}
    return "mean and std" if "Normalise" in names else "per-image" if "Standardise" in names else "none"


def _said_of_outputs(finished: Finished, one_logit: bool, groups: Any, classes: Sequence[str] | int) -> list[str]:
    said = []
    if one_logit and finished.classes is None and groups is None:
        names = [str(i) for i in range(classes)] if isinstance(classes, int) else list(classes)
        said.append(f"its one logit is taken for the second class, {names[1]!r}; classes says otherwise")
    if finished.probabilities:
        said.append("its outputs are probabilities, and their logarithm is taken")
    if groups is None and not one_logit and finished.classes is None:
        order = "" if isinstance(classes, int) else f": {', '.join(classes[:6])}{' …' if len(classes) > 6 else ''}"
        said.append(f"its outputs are taken for the dataset's classes in their order{order}")
    if groups is not None and any(len(group) > 1 for group in groups):
        said.append(f"a class of several outputs has the {finished.pooling} of their probabilities")
    return said


def convert(
    finished: Finished,
    classes: Sequence[str] | int,
    mean: Sequence[float],
    std: Sequence[float],
    folder: str | Path,
    *,
    model: str,
    code: str,
    validation: tuple[Tensor, Tensor] | None = None,
) -> Classifier:
    """Store a model trained elsewhere as ``model.safetensors``, with the four files that accompany a trained one.

    Its source is a library, a file of weights, a program, or code of the user's own. ``classes``: the dataset's, by
    name, or only their number. ``mean``, ``std``: channel statistics of the training images; ``code``: the code digest;
    ``validation``: stored images (n, 3, H, W) and labels (n,), on which its answers are checked. selection.json states
    its accuracy on them, what was assumed and what looks wrong. Raises UserError where the source cannot be read, its
    outputs are not the dataset's classes, or its accuracy is not the expected one.
    """
    folder = Path(folder)
    images = None if validation is None else validation[0]
    classifier, reading, said = _load(finished, classes, mean, std, images)
    names = [str(index) for index in range(classes)] if isinstance(classes, int) else list(classes)
    checked = Checked(None, [])
    if validation is not None and len(validation[1]):
        checked = check_answers(finished, classifier, names, *validation)
        if library_of(finished.weights)[0] == "" and reading.channels == 3:
            checked.warnings += check_normalisation(classifier, *validation)
    elif finished.expected_accuracy is not None:
        raise UserError("expected_accuracy: the dataset has no validation images to check it on; leave the key out")
    if not isinstance(classes, int):
        checked.warnings[:0] = warn_of_names(finished, names)
    for text in said:
        logger.info("%s: %s", model, text)
    for text in checked.warnings:
        logger.warning("%s: %s", model, text)
    digest = save_model(classifier, folder / "model.safetensors")
    spec = {
        "model": model,
        "seed": 0,
        "finished": finished.model_dump(mode="json"),
        "classes": classes if isinstance(classes, int) else len(classes),
        "reading": reading.model_dump(mode="json"),
    }
    write_json(folder / "spec.json", {"spec": spec, "code": code})
    selection = {
        "model": model,
        "seed": 0,
        "step": 0,
        "epoch": 0,
        "criterion": "finished",
        "validation_accuracy": checked.accuracy,
        "validation_fgsm": None,
        "validation_pgd": None,
        "collapsed": False,
        "match": None,
        "assumed": said,
        "warnings": checked.warnings,
        "weights_sha256": digest,
    }
    write_json(folder / "selection.json", selection)
    write_text(folder / "history.csv", HISTORY_HEADER)
    write_json(folder / "run.json", {**describe(torch.device("cpu")), "weights": finished.weights})
    return classifier
