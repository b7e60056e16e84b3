"""Checks of a finished model on images whose answers are known: what a silent fault of reading would show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.errors import UserError
from shapelens.models.classifier import Classifier, predict
from shapelens.models.normalisation import normalisation
from shapelens.models.spec import Finished

BATCH = 256
ABOVE_CHANCE = 0.1
"""Share of the way from chance to 1 below which an accuracy counts as near chance."""
FITS_BETTER = 0.1
"""Accuracy that another order of the classes must win, on images that it was not chosen on, to be named."""
TOLERANCE = 0.02
"""How far below ``expected_accuracy`` an accuracy may lie, besides what the sample explains."""
ALONE = 1e-3
"""Largest difference, in units of the largest output, between an image's outputs alone and beside others."""


FEW = 500
"""Images on which other normalisations are tried."""
FITS_BETTER_BY, SURE = 0.02, 3.3
"""Accuracy that another normalisation must win to be named, and by how many standard deviations of chance."""
USUAL: dict[str, tuple[str, float, float]] = {
    "none": ("none", 0.0, 1.0),
    "imagenet": ("imagenet", 0.0, 1.0),
    "{mean: 0.5, std: 0.5}": ("dataset", 0.5, 0.5),
}
"""Usual input normalisations by how they are written: kind, mean, standard deviation."""


@dataclass
class Checked:
    """Accuracy on the validation images, None without any, and what looks wrong, in sentences."""

    accuracy: float | None
    warnings: list[str]


def channels_taken(finished: Finished, network: nn.Module, x: Tensor) -> int:
    """Return how many channels a network takes of images (n, 3, S, S): three or, if it takes no three, one."""
    failures = []
    for channels in (3, 1):
        try:
            with torch.no_grad():
                network(x[:, :channels])
        except Exception as error:  # any network fails in its own way
            failures.append(error)
        else:
            return channels
    raise _wrong_size(finished, x, failures[0])


def outputs_of(finished: Finished, network: nn.Module, x: Tensor) -> int:
    """Return how many outputs a network has.

    ``x``: a few images (n, C, S, S). Raises UserError for a size that it cannot take, and for what are no rows of
    logits.
    """
    try:
        with torch.no_grad():
            out = network(x)
    except Exception as error:  # any network fails in its own way
        raise _wrong_size(finished, x, error) from None
    if not isinstance(out, Tensor):
        raise UserError(
            f"weights: {finished.weights} answers with a {type(out).__name__}, not with a tensor of logits; give a "
            "`module` whose network returns the logits alone"
        )
    if out.ndim not in (1, 2) or len(out) != len(x):
        raise UserError(
            f"weights: {finished.weights} answers {len(x)} images with a tensor of shape {tuple(out.shape)}; it must "
            "be one row of logits for each image"
        )
    return out.shape[1] if out.ndim == 2 else 1


def _wrong_size(finished: Finished, x: Tensor, error: Exception) -> UserError:
    reason = str(error).strip().rpartition("\n")[2] or type(error).__name__
    return UserError(
        f"weights: {finished.weights} cannot take images of {x.shape[-1]}×{x.shape[-1]} ({reason[:200]}); give its own "
        "input_size"
    )


def check_outputs(finished: Finished, network: nn.Module, layer: nn.Module, x: Tensor) -> list[str]:
    """Refuse outputs that depend on the other images of a batch or on chance, or that no gradient leads back from.

    ``layer``: the input normalisation; ``x``: a few images (n, 3, S, S) in [0, 1]. Raises UserError for probabilities
    that are not called so, too. Returns what else is odd about them, in sentences.
    """
    x = x.clone().requires_grad_(True)
    out = network(layer(x))
    out = out[:, None] if out.ndim == 1 else out
    if not bool(torch.isfinite(out).all()):
        raise UserError(
            f"weights: {finished.weights} answers with values that are not finite (NaN or infinite); check the "
            "normalisation, or give another checkpoint"
        )
    _check_gradient(finished, out, x)
    values = out.detach().float()
    _check_independence(finished, network, layer, x.detach(), values)
    _check_probabilities(finished, values)
    return _said_of_range(finished, values)


def _check_gradient(finished: Finished, out: Tensor, x: Tensor) -> None:
    gradient = torch.autograd.grad(out.float().square().sum(), x, allow_unused=True)[0] if out.requires_grad else None
    if gradient is None or not bool(torch.isfinite(gradient).all()) or float(gradient.abs().sum()) == 0:
        raise UserError(
            f"weights: no gradient passes through {finished.weights} to its images, so attacks and saliency maps would "
            "be wrong; export it without no_grad, rounding or argmax"
        )


def _check_independence(finished: Finished, network: nn.Module, layer: nn.Module, x: Tensor, out: Tensor) -> None:
    with torch.no_grad():
        alone = network(layer(x[:1])).float().reshape(1, -1)
    if float((alone - out[:1]).abs().max()) > ALONE * max(1e-6, float(out.abs().max())):
        raise UserError(
            f"weights: {finished.weights} answers an image differently when it is alone: it was saved in training mode "
            "(dropout, or batch norm over the batch); call .eval() before it is exported"
        )


def _check_probabilities(finished: Finished, out: Tensor) -> None:
    sums = out.sum(1) if out.shape[1] > 1 else torch.ones(len(out))
    total = float(sums[0])
    # Per cent are probabilities as well: their logarithm differs by a constant, which no softmax sees.
    are = bool((out >= 0).all() and (out <= total + 1e-3).all() and (sums - total).abs().max() < 1e-3 * total)
    if are and not finished.probabilities and out.shape[1] > 1:
        raise UserError(
            f"probabilities: the outputs of {finished.weights} are not negative and sum to {total:.4g} for every "
            "image; if they are probabilities and not logits, set probabilities: true, or attacks and saliency maps "
            "would be wrong"
        )
    if not are and finished.probabilities:
        raise UserError(
            f"probabilities: the outputs of {finished.weights} are no probabilities (from {out.min():.3g} to "
            f"{out.max():.3g}); leave the key out"
        )


def _said_of_range(finished: Finished, outputs: Tensor) -> list[str]:
    """Return a warning where outputs (n, m) that are said to be logits all lie in [0, 1], as sigmoids do."""
    if finished.probabilities or float(outputs.min()) < 0 or float(outputs.max()) > 1:
        return []
    remedy = "set probabilities: true" if outputs.shape[1] == 1 else "give a `module` that returns what is before them"
    return [f"all outputs on the first images lie between 0 and 1: if they are sigmoids and not logits, {remedy}"]


def check_answers(
    finished: Finished, classifier: Classifier, names: Sequence[str], images: Tensor, labels: Tensor
) -> Checked:
    """Compare a model's answers with the labels, and say what looks wrong.

    ``images`` (n, 3, H, W) stored, ``labels`` (n,). Raises UserError where the accuracy is below the expected one.
    """
    labels = labels.long()
    answers = torch.cat([predict(classifier, part).argmax(1) for part in torch.split(images, BATCH)]).cpu()
    accuracy = float((answers == labels).double().mean())
    _require(finished, accuracy, len(labels))
    true, said = labels.numpy(), answers.numpy()
    warnings = []
    chance = max(1 / len(names), float(np.bincount(true).max()) / len(true))
    if accuracy < chance + ABOVE_CHANCE * (1 - chance):
        warnings.append(
            f"accuracy on the validation images is {accuracy:.1%}, near chance ({chance:.1%}): check the "
            "normalisation, the input size, the architecture, and the order of the classes"
        )
    order = better_order(true, said, len(names))
    if order is not None:
        warnings.append(_order_warning(finished, names, accuracy, *order))
    return Checked(accuracy, warnings)


def check_normalisation(classifier: Classifier, images: Tensor, labels: Tensor) -> list[str]:
    """Return a warning where a usual input normalisation gives a far better accuracy than the model's own.

    ``images`` (n, 3, H, W) stored, ``labels`` (n,); the first ``FEW`` are looked at.
    """
    images, labels, own = images[:FEW], labels[:FEW].long(), classifier.normalise
    right = _right(classifier, images, labels)
    found: dict[str, float] = {}
    try:
        for name, (kind, mean, std) in USUAL.items():
            classifier.normalise = normalisation(kind, (mean,) * 3, (std,) * 3)
            other = _right(classifier, images, labels)
            won, lost = int((other & ~right).sum()), int((right & ~other).sum())
            # Of images that only one of the two names rightly, chance alone splits the half.
            if won - lost > max(FITS_BETTER_BY * len(labels), SURE * math.sqrt(won + lost)):
                found[name] = float(other.double().mean())
    finally:
        classifier.normalise = own
    if not found:
        return []
    best = max(found, key=lambda name: found[name])
    return [
        f"another input normalisation fits better: accuracy {found[best]:.1%} instead of "
        f"{float(right.double().mean()):.1%} on {len(labels)} validation images with `normalisation: {best}`"
    ]


def _right(classifier: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    return torch.cat([predict(classifier, part).argmax(1) for part in torch.split(images, BATCH)]).cpu() == labels


def _require(finished: Finished, accuracy: float, n: int) -> None:
    expected = finished.expected_accuracy
    if expected is None:
        return
    slack = TOLERANCE + 3 * math.sqrt(expected * (1 - expected) / n)
    if accuracy < expected - slack:
        raise UserError(
            f"expected_accuracy: {expected:.1%} is expected, but on {n} validation images it is {accuracy:.1%}; check "
            "normalisation, input_size, arch, the order of the classes, and which network of the file was read"
        )


def better_order(
    true: NDArray[np.integer], said: NDArray[np.integer], classes: int
) -> tuple[NDArray[np.intp], float] | None:
    """Return the order of outputs that fits the labels far better, and its accuracy, or None.

    The order, ``order[output] = class``, is chosen on every second image of each class and must win on the others, so
    that many classes with few images do not fit by chance.
    """
    place = np.zeros(len(true), dtype=int)
    for label in np.unique(true):
        rows = np.flatnonzero(true == label)
        place[rows] = np.arange(len(rows)) % 2
    gains = []
    for part in (0, 1):
        order = _assignment(true[place == part], said[place == part], classes)
        rest = place != part
        if not rest.any():
            return None
        gains.append(float((order[said[rest]] == true[rest]).mean() - (said[rest] == true[rest]).mean()))
    if min(gains) <= FITS_BETTER:
        return None
    order = _assignment(true, said, classes)
    return order, float((order[said] == true).mean())


def _assignment(true: NDArray[np.integer], said: NDArray[np.integer], classes: int) -> NDArray[np.intp]:
    """Return a class for each output, each class once: the commonest pairs of answer and label first."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (said, true), 1)
    # Of equally common pairs those that leave a class where it is; outputs that never answer stay where there is room.
    counts += 1e-6 * np.eye(classes)
    order = np.full(classes, -1, dtype=np.intp)
    free = np.ones(classes, dtype=bool)
    for place in np.argsort(-counts, axis=None, kind="stable"):
        output, label = divmod(int(place), classes)
        if order[output] < 0 and free[label]:
            order[output], free[label] = label, False
    return order


def _order_warning(
    finished: Finished, names: Sequence[str], accuracy: float, order: NDArray[np.intp], better: float
) -> str:
    if finished.output_map() is None and finished.classes is None:
        remedy = f"if that is the model's own, set classes: [{', '.join(names[index] for index in order)}]"
    else:
        moved = [(names[at], names[to]) for at, to in enumerate(order) if at != to]
        remedy = "it takes " + ", ".join(f"{a!r} for {b!r}" for a, b in moved[:6]) + "; check classes and outputs"
    return f"another order of the classes fits far better: accuracy {better:.1%} instead of {accuracy:.1%}; {remedy}"


def warn_of_names(finished: Finished, names: Sequence[str]) -> list[str]:
    """Return a warning where class names are numbers whose order as text is another than as numbers."""
    if finished.classes is not None or finished.output_map() is not None:
        return []
    if not all(name.isdecimal() for name in names) or list(names) == sorted(names, key=int):
        return []
    numeric = sorted(names, key=int)
    return [
        f"the classes are numbers in the order of text ({', '.join(names[:4])}, …); a model whose outputs are in their "
        f"order as numbers needs classes: [{', '.join(numeric)}]"
    ]
