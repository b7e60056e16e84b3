"""How far the saliency maps of two models differ (torch-free)."""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shapelens.attribution.map_numbers import distance
from shapelens.attribution.saved_maps import open_maps
from shapelens.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

Paths = Mapping[tuple[str, int], str | Path]
"""Map file of each (model, seed), models in the order of the grid."""


def distance_table(paths: Paths, dataset: str) -> "pd.DataFrame":
    """Compare the maps of every two models with the same seed.

    Args:
        paths: the map files.
        dataset: name of the dataset.

    Returns:
        One row per method, test set, seed, pair of models and image: dataset, method, testset, seed, model_a, model_b
        (a before b in the order of ``paths``), image, distance; pairs whose inputs differ in size are left out.

    Raises:
        UserError: two files show different images, methods or test sets.
    """
    import pandas as pd

    columns = ["dataset", "method", "testset", "seed", "model_a", "model_b", "image", "distance"]
    tables = [pd.DataFrame(columns=columns)]
    for ((model_a, seed_a), path_a), ((model_b, seed_b), path_b) in combinations(paths.items(), 2):
        if seed_a != seed_b:
            continue
        a, b = open_maps(path_a), open_maps(path_b)
        if (a.methods, a.testsets) != (b.methods, b.testsets) or not np.array_equal(a.images, b.images):
            raise UserError(f"{path_a} and {path_b} hold maps of different images or methods; make the maps again")
        if a.maps.shape != b.maps.shape:
            continue
        for m, method in enumerate(a.methods):
            for t, testset in enumerate(a.testsets):
                values = (dataset, method, testset, seed_a, model_a, model_b, a.images)
                row = dict(zip(columns, (*values, distance(a.maps[m, t], b.maps[m, t])), strict=True))
                tables.append(pd.DataFrame(row))
    return pd.concat(tables[1:] or tables, ignore_index=True)
