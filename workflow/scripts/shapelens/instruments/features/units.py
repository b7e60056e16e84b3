"""Which units are looked at, and what the images that excite a unit have in common (torch-free)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.seeds import generator

DRAWS = 1000
"""Random draws behind the purity of chance."""


def choose_units(activations: NDArray[np.floating[Any]], units: int | Sequence[int]) -> NDArray[np.int64]:
    """Return the units to look at: those of the largest mean, in order, or those that are named.

    ``activations``: (N, k). Raises UserError for more units than there are, and for one that is not there or named
    twice.
    """
    count = activations.shape[1]
    if isinstance(units, int):
        if not 1 <= units <= count:
            raise UserError(
                f"instruments.features.units: {units} units asked for, but the model's representation has {count}"
            )
        return np.argsort(-activations.mean(0), kind="stable")[:units]
    wrong = [unit for unit in units if not 0 <= unit < count]
    if wrong or not units:
        found = ", ".join(map(str, wrong)) or "an empty list"
        raise UserError(
            f"instruments.features.units: {found}: the model's representation has units 0 to {count - 1}; name those, "
            "or give a number of units"
        )
    if len(set(units)) < len(units):
        raise UserError("instruments.features.units: a unit is named twice; name each once")
    return np.array(units, dtype=np.int64)


class Extremes(NamedTuple):
    """The images that excite a unit most and least, the most and the least first."""

    most: NDArray[np.int64]
    least: NDArray[np.int64]


def extremes(activation: NDArray[np.floating[Any]], count: int) -> Extremes:
    """Return the places of so many images, or of all; of equal ones the earlier first."""
    return Extremes(
        np.argsort(-activation, kind="stable")[:count].astype(np.int64),
        np.argsort(activation, kind="stable")[:count].astype(np.int64),
    )


def purity(labels: NDArray[np.integer[Any]]) -> tuple[float, int]:
    """Return the share of the commonest class, and that class; of equally common ones the lowest."""
    classes, counts = np.unique(labels, return_counts=True)
    return float(counts.max() / len(labels)), int(classes[counts.argmax()])


def chance_purity(labels: NDArray[np.integer[Any]], count: int, data_seed: int) -> float:
    """Return the mean purity of ``count`` images drawn at random: what a unit reaches that looks for nothing."""
    rng = generator(data_seed, "feature purity", count)
    draws = (rng.choice(len(labels), size=count, replace=False) for _ in range(DRAWS))
    return float(np.mean([purity(labels[chosen])[0] for chosen in draws]))
