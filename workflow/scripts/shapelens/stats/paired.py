"""Per-image answers of many models, aligned by image, so that every comparison is paired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.names.testsets import CLEAN as CLEAN
from shapelens.names.testsets import JOINT, KINDS, kind_of

if TYPE_CHECKING:
    import pandas as pd

Run = tuple[str, int]
"""A model and its training seed."""
BoolArray = NDArray[np.bool_]

ROBUST = "under attack"
"""Key of the answers under attack, beside those on the test sets."""


@dataclass(frozen=True)
class Answers:
    """One run's answers on one test set, each (images,) over all images of the study."""

    present: BoolArray
    """The image is in the test set."""
    right: BoolArray
    """The label was named."""
    conflict: BoolArray
    """The image has a texture of another class than its label."""
    texture: BoolArray
    """That texture's class was named."""
    labels: NDArray[np.int64]
    """Labels, −1 where the image is not in the test set."""
    ranks: NDArray[np.int16] | None = None
    """(2, images) place of the label and of the texture's class among all; None where the cues nowhere conflict, or
    the rows have no ranks."""


@dataclass(frozen=True)
class Paired:
    """All answers of a study."""

    ids: NDArray[np.int64]
    """(images,) image numbers, ascending."""
    answers: Mapping[Run, Mapping[str, Answers]]
    """Answers by run and test set; those under attack under ``ROBUST``."""

    def testsets(self) -> list[str]:
        """Return the names of all test sets in their usual order."""
        return sorted({name for sets in self.answers.values() for name in sets if name != ROBUST}, key=testset_order)

    def seeds(self, model: str) -> list[int]:
        """Return the seeds with which a model was measured, ascending."""
        return sorted(seed for name, seed in self.answers if name == model)


def testset_order(testset: str) -> tuple[int, str, int, float, str]:
    """Return a key that sorts test sets by kind and level; own ones come last, each before what is made of it."""
    own, joint, made = testset.partition(JOINT)
    if joint:
        return len(KINDS), own, *_kind_and_level(made)
    if kind_of(testset) is None:
        return len(KINDS), testset, -1, -1.0, ""
    kind, level, _ = _kind_and_level(testset)
    return kind, "", kind, level, testset


def _kind_and_level(testset: str) -> tuple[int, float, str]:
    kind = kind_of(testset)
    tail = testset.rsplit("-", 1)[-1]
    try:
        return len(KINDS) if kind is None else KINDS.index(kind), float(tail), testset
    except ValueError:
        return len(KINDS) if kind is None else KINDS.index(kind), -1.0, testset


testset_order.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def pair(predictions: Mapping[Run, "pd.DataFrame"], robust: Mapping[Run, "pd.DataFrame"]) -> Paired:
    """Align the per-image answers of all runs.

    Args:
        predictions: by (model, seed), columns testset, image, label, texture, predicted, and where there are any rank
            and texture_rank; in any order of rows.
        robust: by (model, seed), columns image, label, predicted (under attack).

    Raises UserError where an image occurs twice in a test set, or where two runs have different images or labels on the
    same test set: they could not be compared in pairs.
    """
    ids = np.empty(0, np.int64)
    for frames in (predictions, robust):
        for run in frames:
            ids = np.union1d(ids, frames[run]["image"].to_numpy(np.int64))
    if not predictions and not robust:
        raise UserError("there are no predictions to count; evaluate at least one model first")
    answers: dict[Run, dict[str, Answers]] = {}
    seen: dict[str, tuple[Run, Answers]] = {}
    for source, name in ((predictions, None), (robust, ROBUST)):
        for run, frame in source.items():
            parts = [(name, frame)] if name else frame.groupby("testset", sort=False, observed=True)
            for testset, part in parts:
                found = _align(part, ids, run, str(testset))
                first, other = seen.setdefault(str(testset), (run, found))
                if not np.array_equal(found.labels, other.labels):
                    raise UserError(
                        f"{_name(run)} and {_name(first)} were measured on different images or labels of {testset}; "
                        "delete the predictions of both and run again"
                    )
                # Runs share equal labels, which take more memory than all answers of a run together.
                answers.setdefault(run, {})[str(testset)] = replace(found, labels=other.labels)
    return Paired(ids, answers)


def _align(part: "pd.DataFrame", ids: NDArray[np.int64], run: Run, testset: str) -> Answers:
    place = np.searchsorted(ids, part["image"].to_numpy(np.int64))
    present = np.zeros(len(ids), bool)
    present[place] = True
    if present.sum() < len(part):
        raise UserError(f"{_name(run)}: an image occurs twice in {testset}; delete these predictions and run again")
    label = part["label"].to_numpy(np.int64)
    predicted = part["predicted"].to_numpy(np.int64)
    texture = part["texture"].to_numpy(np.int64) if "texture" in part else np.full_like(label, -1)
    differs = (texture >= 0) & (texture != label)
    labels = np.full(len(ids), -1, np.int64)
    labels[place] = label
    return Answers(
        present,
        _scatter(place, predicted == label, len(ids)),
        _scatter(place, differs, len(ids)),
        _scatter(place, differs & (predicted == texture), len(ids)),
        labels,
        _ranks(part, place, differs, len(ids)),
    )


def _ranks(part: "pd.DataFrame", place: NDArray[np.intp], conflict: BoolArray, size: int) -> NDArray[np.int16] | None:
    if not conflict.any() or "rank" not in part:
        return None
    full = np.zeros((2, size), np.int16)
    full[:, place] = part[["rank", "texture_rank"]].to_numpy(np.int16).T
    return full


def _scatter(place: NDArray[np.intp], values: BoolArray, size: int) -> BoolArray:
    full = np.zeros(size, bool)
    full[place] = values
    return full


def _name(run: Run) -> str:
    return f"{run[0]} (seed {run[1]})"


def stack(vectors: Sequence[Sequence[BoolArray]]) -> BoolArray:
    """Return (seeds, Q, images) from vectors by seed and measure."""
    return np.stack([np.stack(list(row)) for row in vectors])
