"""Which images are explained (torch-free)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.seeds import Stream, numbered


def choose_images(
    labels: NDArray[np.integer[Any]], images: int | Sequence[int], data_seed: int, *, key: str = "saliency.images"
) -> NDArray[np.int64]:
    """Return the indices of the images to explain.

    If a number is asked for, so many are drawn with data_seed, as evenly over the classes as possible, the classes in
    random order. The first n of the result are what would be drawn for n, so a sheet that shows only some of them has
    as many classes as possible. Given indices are taken as they are, in their order.

    Args:
        labels: (N,) classes of the test images.
        images: how many, or which.
        data_seed: decides the draw.
        key: of the config that asks for them, for messages.

    Returns:
        int64 indices into ``labels``, none twice.

    Raises:
        UserError: more images than there are, or indices that do not exist or come twice.
    """
    total = len(labels)
    if isinstance(images, int):
        if not 1 <= images <= total:
            raise UserError(f"{key}: {images} images asked for, but the test set has {total}")
        rng = numbered(data_seed, Stream.CHOOSE_IMAGES)
        order = rng.permutation(total)
        # The n-th image of its class comes in round n; within a round the classes come in random order.
        rounds = np.empty(total, dtype=np.int64)
        for label in np.unique(labels):
            members = order[labels[order] == label]
            rounds[members] = np.arange(len(members))
        by_round = order[np.argsort(rounds[order], kind="stable")]
        return by_round[:images]
    chosen = np.array(images, dtype=np.int64)
    wrong = [int(i) for i in chosen if not 0 <= i < total]
    if wrong or not len(chosen):
        raise UserError(f"{key}: {wrong or 'an empty list'}: the test set has images 0 to {total - 1}")
    if len(np.unique(chosen)) < len(chosen):
        twice = sorted({int(i) for i in chosen if (chosen == i).sum() > 1})
        raise UserError(f"{key}: {twice} given more than once; name each image once")
    return chosen
