"""Where the silhouettes of drawn images lie: found again from the draws that placed them, so no file holds them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shapelens.datasets.cues import OUTLINES, SHAPES, Mode, _silhouette
from shapelens.datasets.spec import Cues
from shapelens.seeds import generator


def silhouettes(
    spec: Cues, labels: Sequence[int], images: Sequence[int], *, stream: str, mode: Mode, data_seed: int
) -> NDArray[np.float64]:
    """Return the share of each pixel that the silhouette of each image covers.

    Clutter may lie over a silhouette; what is beneath counts as the silhouette's.

    Args:
        spec: how the images were drawn.
        labels: the shape's class of each image; but for exceptions among training images, its label.
        images: numbers of the images in their split.
        stream: name of the split.
        mode: what was drawn of the cues; ``texture-only`` images have no silhouette.
        data_seed: seed of everything drawn.

    Returns:
        (I, size, size) in [0, 1].
    """
    covered = np.zeros((len(images), spec.size, spec.size))
    for k, (label, image) in enumerate(zip(labels, images, strict=True)):
        rng = generator(data_seed, stream, mode, "image", image)
        # The first draws of ``cues._image``, in its order. They are repeated, since another line there, shared or not,
        # would make all images and every model stale; a test holds the two together.
        diameter = spec.size * rng.uniform(*spec.scale)
        centre = rng.uniform(diameter / 2, spec.size - diameter / 2, size=2)
        angle = rng.uniform(0, 2 * np.pi)
        covered[k] = _silhouette(OUTLINES[SHAPES[label]], spec.size, diameter, centre, angle)
    return covered
