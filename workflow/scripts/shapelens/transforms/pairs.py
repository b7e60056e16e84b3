"""Which style goes with which image: drawn from (seed, index), balanced; in a cue conflict never of the same class."""

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.seeds import generator

Indices = NDArray[np.int64]


def style_of_each(n_images: int, n_styles: int, data_seed: int) -> Indices:
    """Return the number of the style image for each image of a test set, int64 (n_images,).

    The style of image i depends on (data_seed, i) and the number of styles alone, not on how many images there are.
    Every run of ``n_styles`` images, counted from the first, is given each style once.

    Raises:
        UserError: there are no styles.
    """
    if n_styles < 1:
        raise UserError("stylisation: there are no style images; at least one is needed")
    blocks = -(-n_images // n_styles)
    orders = [generator(data_seed, "stylised", "style", block).permutation(n_styles) for block in range(blocks)]
    return np.concatenate([np.empty(0, dtype=np.int64), *orders])[:n_images].astype(np.int64)


def conflict_pairs(labels: Indices, data_seed: int, count: int | None = None) -> tuple[Indices, Indices]:
    """Pair test images with style images of another class from the same set (Geirhos et al. 2019, cue conflict).

    The r-th image of a class is given the class that lies s_r places further in the cycle of classes; s runs through
    every shift once, in drawn order, then again. So within a class of content each other class is the style equally
    often, to within one, and where content classes are equally large so are the style classes. Which image of its class
    serves as style is drawn for each content image from (data_seed, index).

    Args:
        labels: class of each image of the set, in the set's order; the class numbers may have gaps.
        data_seed: decides shifts and style images.
        count: pair only the first ``count`` images (sets are stored in nearly stratified order); None, or more than
            there are: all. Style images always come from the whole set.

    Returns:
        content and style, int64 (M,): indices within the set; no pair is of one class.

    Raises:
        UserError: the set has fewer than two classes.
    """
    classes, places = np.unique(labels, return_inverse=True)
    k = len(classes)
    if k < 2:
        raise UserError(
            f"cue conflict: the test set has {k} class(es), but content and style must be of two different ones; "
            "use a dataset of two classes or more"
        )
    total = len(labels) if count is None else min(count, len(labels))
    ranks = _ranks(places[:total])
    rounds = -(-(int(ranks.max(initial=-1)) + 1) // (k - 1))
    draws = [generator(data_seed, "conflict", "shift", n).permutation(k - 1) + 1 for n in range(rounds)]
    shifts = np.concatenate([np.empty(0, dtype=np.int64), *draws])
    wanted = (places[:total] + shifts[ranks]) % k
    members = [np.flatnonzero(places == place) for place in range(k)]
    style = np.empty(total, dtype=np.int64)
    for i, place in enumerate(wanted.tolist()):
        rng = generator(data_seed, "conflict", "image", i)
        style[i] = members[place][rng.integers(len(members[place]))]
    return np.arange(total, dtype=np.int64), style


def _ranks(places: Indices) -> Indices:
    """Return for each image how many of its class come before it."""
    ranks = np.empty(len(places), dtype=np.int64)
    for place in np.unique(places):
        own = np.flatnonzero(places == place)
        ranks[own] = np.arange(len(own))
    return ranks
