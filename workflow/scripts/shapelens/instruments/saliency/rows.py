"""What is measured on saliency maps, one row per map (torch-free)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.files import as_float
from shapelens.attribution.map_numbers import distance, edge_share, edge_weights, gini, resized, total_variation

if TYPE_CHECKING:
    import pandas as pd


def measure_maps(arrays: Mapping[str, NDArray[Any]], clean: NDArray[Any]) -> "pd.DataFrame":
    """Measure every map of one model.

    Args:
        arrays: methods, testsets (``clean`` among them), images and maps (M, T, I, C, H, W), as ``saliency_maps``
            returns them; completeness_gap (T, I) where Integrated Gradients are among them.
        clean: (N, C, H, W), the whole clean test set, uint8 or float32, whose edges count; brought to the maps' size.

    Returns:
        One row per method, test set and image: method, testset, image (int64), gini, edge_share, total_variation,
        distance_to_clean (between this map and the clean image's, same model), completeness_gap (of Integrated
        Gradients, NaN for other methods; float64).
    """
    import pandas as pd

    maps, images = arrays["maps"], arrays["images"]
    methods, testsets = ([str(name) for name in arrays[key]] for key in ("methods", "testsets"))
    height, width = maps.shape[-2:]
    weights = edge_weights(resized(as_float(clean[images]), (height, width)))
    reference = testsets.index("clean")
    gaps = arrays.get("completeness_gap", np.full(maps.shape[1:3], np.nan))
    nothing = np.full(len(images), np.nan)
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
                "completeness_gap": gaps[t] if method == "integrated-gradients" else nothing,
            }
        )
        for m, method in enumerate(methods)
        for t, testset in enumerate(testsets)
    ]
    return pd.concat(tables, ignore_index=True).astype({"image": np.int64})
