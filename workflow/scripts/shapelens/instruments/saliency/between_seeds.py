"""How far the saliency maps of one model trained with several seeds agree (torch-free)."""

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from shapelens.attribution.agreement import rank_correlation
from shapelens.attribution.map_numbers import distance
from shapelens.attribution.saved_maps import open_maps
from shapelens.errors import UserError
from shapelens.instruments.saliency.between_models import Paths
from shapelens.names.metrics import SEED_METRICS
from shapelens.stats.means import means_table

if TYPE_CHECKING:
    import pandas as pd


def seed_agreement(paths: Paths, dataset: str, confidence: float = 0.95) -> "pd.DataFrame":
    """Compare the maps of every model for every two of its training seeds.

    Args:
        paths: the map files; models with one seed are left out.
        dataset: name of the dataset.
        confidence: coverage of the intervals, which are Student's t over images.

    Returns:
        Tidy means as ``stats.means.means_table`` returns them, of the seed ``mean`` alone, by method: each image's
        value is first averaged over the pairs of seeds. ``seed_distance`` is half the summed absolute difference of the
        normalised maps, ``seed_correlation`` Spearman's over the pixels.

    Raises:
        UserError: no model has two seeds, or two files of one model show different images, methods or test sets.
    """
    import pandas as pd

    seeds: dict[str, list[int]] = {}
    for model, seed in paths:
        seeds.setdefault(model, []).append(seed)
    rows = {
        (model, 0): pd.concat([_compared(paths, model, a, b) for a, b in combinations(of_model, 2)])
        for model, of_model in seeds.items()
        if len(of_model) > 1
    }
    if not rows:
        raise UserError(f"{dataset}: no model has saliency maps of two training seeds, so nothing can agree")
    each = ["method", "testset", "image"]
    by_image = {
        run: frame.groupby(each, as_index=False, sort=False)[list(SEED_METRICS)].mean() for run, frame in rows.items()
    }
    table = means_table(by_image, dataset, ["method"], SEED_METRICS, confidence, ("seed_distance",))
    return table[table["seed"] == "mean"].reset_index(drop=True)


def _compared(paths: Paths, model: str, first: int, second: int) -> "pd.DataFrame":
    import pandas as pd

    a, b = (open_maps(paths[model, seed]) for seed in (first, second))
    same = (a.methods, a.testsets) == (b.methods, b.testsets)
    if not same or not np.array_equal(a.images, b.images) or a.maps.shape != b.maps.shape:
        raise UserError(
            f"{paths[model, first]} and {paths[model, second]} hold maps of different images or methods; make the maps "
            "again"
        )
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "method": method,
                    "testset": testset,
                    "image": a.images,
                    "seed_distance": distance(a.maps[m, t], b.maps[m, t]),
                    "seed_correlation": rank_correlation(a.maps[m, t], b.maps[m, t]),
                }
            )
            for m, method in enumerate(a.methods)
            for t, testset in enumerate(a.testsets)
        ]
    )
