"""Tables of what is measured on saved saliency maps (torch-free)."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.files import as_float
from shapelens.attribution.map_numbers import distance, edge_share, edge_weights, gini, resized, total_variation
from shapelens.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

Paths = Mapping[tuple[str, int], str | Path]
"""Map file of each (model, seed), models in the order of the grid."""


@dataclass(frozen=True)
class Maps:
    """One map file: maps (M, T, I, C, H, W) with the names of their first three axes."""

    methods: tuple[str, ...]
    testsets: tuple[str, ...]
    images: NDArray[np.int64]
    maps: NDArray[np.float32]


def open_maps(path: str | Path) -> Maps:
    """Read a map file."""
    with np.load(path, allow_pickle=False) as file:
        methods, testsets = (tuple(map(str, file[key])) for key in ("methods", "testsets"))
        return Maps(methods, testsets, file["images"], file["maps"])


def measure_maps(paths: Paths, clean: NDArray[Any], dataset: str) -> "pd.DataFrame":
    """Measure every map.

    Args:
        paths: the map files; models may differ in methods, test sets and input size, not in images.
        clean: (N, C, H, W), the whole clean test set, uint8 or float32, whose edges count; brought to the maps' size.
        dataset: name of the dataset.

    Returns:
        One row per model, seed, method, test set and image: dataset, model, seed, method, testset, image, gini,
        edge_share, total_variation, distance_to_clean (between this map and the clean image's, same model).

    Raises:
        UserError: a file has no maps of the clean images, or the files show different images.
    """
    import pandas as pd

    tables = []
    weights: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for (model, seed), path in paths.items():
        saved = open_maps(path)
        if "clean" not in saved.testsets:
            raise UserError(f"{path}: has no maps of clean images; add clean to saliency.testsets")
        size = saved.maps.shape[-2:]
        key = (*saved.images.tolist(), *size)
        if key not in weights:
            weights[key] = edge_weights(resized(as_float(clean[saved.images]), (size[0], size[1])))
        reference = saved.testsets.index("clean")
        for m, method in enumerate(saved.methods):
            for t, testset in enumerate(saved.testsets):
                maps = saved.maps[m, t]
                columns = {
                    "dataset": dataset,
                    "model": model,
                    "seed": seed,
                    "method": method,
                    "testset": testset,
                    "image": saved.images,
                    "gini": gini(maps),
                    "edge_share": edge_share(maps, weights[key]),
                    "total_variation": total_variation(maps),
                    "distance_to_clean": distance(maps, saved.maps[m, reference]),
                }
                tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


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
