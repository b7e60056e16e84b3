"""What is measured on saliency maps, one row per map (torch-free)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.files import as_float
from shapelens.attribution.map_numbers import distance, edge_share, edge_weights, gini, resized, total_variation
from shapelens.attribution.on_object import contour, pointing, share
from shapelens.names.testsets import kind_of

if TYPE_CHECKING:
    import pandas as pd

STATED = ("completeness_gap", "gap_error", "standard_error")
"""What methods themselves state of their maps."""
ON_OBJECT = ("object_share", "contour_share", "pointing", "object_area", "contour_area")
MOVING = ("patch-shuffle",)
"""Kinds of test sets in which the object is no longer where it was."""


def measure_maps(
    arrays: Mapping[str, NDArray[Any]], clean: NDArray[Any], covered: NDArray[np.floating] | None = None
) -> "pd.DataFrame":
    """Measure every map of one model.

    Args:
        arrays: methods, testsets (``clean`` among them), images and maps (M, T, I, C, H, W), as ``saliency_maps``
            returns them, and what methods state of their maps (M, T, I).
        clean: (N, C, H, W), the whole clean test set, uint8 or float32, whose edges count; brought to the maps' size.
        covered: (I, H, W), the share of each pixel that the object covers in these images; None where nobody knows.

    Returns:
        One row per method, test set and image: method, testset, image (int64), gini, edge_share, total_variation,
        distance_to_clean (between this map and the clean image's, same model); ``STATED`` (NaN where a method states
        no such number); and ``ON_OBJECT`` (NaN where the object's place is not known, as in shuffled images).
    """
    import pandas as pd

    maps, images = arrays["maps"], arrays["images"]
    methods, testsets = ([str(name) for name in arrays[key]] for key in ("methods", "testsets"))
    height, width = maps.shape[-2:]
    weights = edge_weights(resized(as_float(clean[images]), (height, width)))
    reference = testsets.index("clean")
    nothing = np.full(maps.shape[:3], np.nan)
    stated = {name: arrays.get(name, nothing) for name in STATED}
    places = None if covered is None else _places(covered, (height, width))
    tables = [
        pd.DataFrame(
            {
                "method": method,
                "testset": testset,
                "image": images,
                "gini": gini(maps[m, t]),
                "edge_share": edge_share(maps[m, t], weights),
                "total_variation": total_variation(maps[m, t]),
                "distance_to_clean": distance(maps[m, t], maps[m, reference]),
                **{name: found[m, t] for name, found in stated.items()},
                **_on_object(maps[m, t], None if kind_of(testset) in MOVING else places),
            }
        )
        for m, method in enumerate(methods)
        for t, testset in enumerate(testsets)
    ]
    return pd.concat(tables, ignore_index=True).astype({"image": np.int64})


Places = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Objects and contours (I, H, W) at the maps' size."""


def _places(covered: NDArray[np.floating], size: tuple[int, int]) -> Places:
    objects = resized(covered[:, None], size)[:, 0].astype(np.float64)
    return objects, contour(objects)


def _on_object(maps: NDArray[np.floating], places: Places | None) -> dict[str, NDArray[np.float64]]:
    """Return ``ON_OBJECT`` of maps (I, C, H, W): the areas are what a uniform map would have for its shares."""
    if places is None:
        return dict.fromkeys(ON_OBJECT, np.full(len(maps), np.nan))
    objects, contours = places
    areas = (one.mean(axis=(-2, -1)) for one in places)
    found = (share(maps, objects), share(maps, contours), pointing(maps, objects), *areas)
    return dict(zip(ON_OBJECT, found, strict=True))
