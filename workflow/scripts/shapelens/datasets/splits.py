"""Seeded, stratified choices: which images are held out, kept or left, and in what order they are stored."""

import difflib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError

Indices = NDArray[np.int64]


def allocate(sizes: Sequence[int] | Indices, total: int, rng: np.random.Generator) -> Indices:
    """Divide ``total`` among classes in proportion to their sizes, by largest remainders; ties are broken at random.

    Returns one count per class, each within one of its exact share and at most the class's size.
    """
    counts = np.asarray(sizes, dtype=np.int64)
    everything = int(counts.sum())
    if not 0 <= total <= everything:
        raise ValueError(f"{total} of {everything} cannot be taken")
    given, rest = np.divmod(counts * total, max(everything, 1))
    missing = total - int(given.sum())
    order = np.lexsort((rng.permutation(len(counts)), -rest))
    given[order[:missing]] += 1
    return np.asarray(given, dtype=np.int64)


def take(labels: Indices, total: int, rng: np.random.Generator) -> Indices:
    """Return the sorted indices of ``total`` images, stratified; all of them if there are no more."""
    if total >= len(labels):
        return np.arange(len(labels))
    sizes = np.bincount(labels)
    return _pick(labels, allocate(sizes, total, rng), rng)[0]


def hold_out(labels: Indices, share: float, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Hold out a share of every class; returns the sorted indices of the rest and of the held-out images.

    A class's count is within one of its exact share. A class of two images or more has at least one on each side; the
    only image of a class is not held out.
    """
    sizes = np.bincount(labels)
    counts = allocate(sizes, round(share * len(labels)), rng)
    counts = np.clip(counts, np.minimum(1, np.maximum(sizes - 1, 0)), np.maximum(sizes - 1, 0))
    held, rest = _pick(labels, counts, rng)
    return rest, held


def _pick(labels: Indices, counts: Indices, rng: np.random.Generator) -> tuple[Indices, Indices]:
    order = rng.permutation(len(labels))
    ranks = np.empty(len(labels), dtype=np.int64)
    for label in range(len(counts)):
        members = order[labels[order] == label]
        ranks[members] = np.arange(len(members))
    picked = ranks < counts[labels]
    return np.flatnonzero(picked), np.flatnonzero(~picked)


def mixed_order(labels: Indices, rng: np.random.Generator) -> Indices:
    """Return a random order in which the classes alternate evenly, so that the first n images are nearly stratified.

    The j-th image of a class of m is placed at (j + u)/m of the way, u drawn per class.
    """
    sizes = np.bincount(labels)
    offsets = rng.random(len(sizes))
    shuffled = rng.permutation(len(labels))
    place = np.empty(len(labels))
    for label, size in enumerate(sizes):
        members = shuffled[labels[shuffled] == label]
        place[members] = (np.arange(size) + offsets[label]) / max(size, 1)
    return np.asarray(np.argsort(place, kind="stable"))


def choose_classes(
    names: Sequence[str], ids: Sequence[str], wanted: int | Sequence[str] | None, rng: np.random.Generator
) -> list[int]:
    """Return the numbers of the classes to use, ascending.

    Args:
        names: names of all classes.
        ids: their folders' names, which are understood as well.
        wanted: None for all, a number to draw, or names.
        rng: draws the classes if ``wanted`` is a number.

    Raises:
        UserError: if more classes are wanted than there are, a name is unknown or given twice, or fewer than two
            classes are left.
    """
    if wanted is None:
        chosen = list(range(len(names)))
    elif isinstance(wanted, int):
        if wanted > len(names):
            raise UserError(f"dataset.classes: {wanted} classes are wanted, but the source has {len(names)}")
        chosen = sorted(rng.choice(len(names), size=max(wanted, 0), replace=False).tolist())
    else:
        numbers = {name: n for n, name in enumerate(ids)} | {name: n for n, name in enumerate(names)}
        for name in wanted:
            if name not in numbers:
                close = difflib.get_close_matches(name, list(numbers), n=1, cutoff=0.5)
                hint = f"did you mean {close[0]}?" if close else f"allowed: {', '.join(names)}"
                raise UserError(f"dataset.classes: no class {name!r} in the source; {hint}")
        chosen = sorted(numbers[name] for name in wanted)
        if len(set(chosen)) < len(chosen):
            raise UserError(f"dataset.classes: a class is named twice in {', '.join(wanted)}")
    if len(chosen) < 2:
        raise UserError(f"dataset.classes: {len(chosen)} class is left; a classifier needs at least two")
    return chosen
