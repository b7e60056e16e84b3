"""One instrument's rows of every model, aligned by image, so that every comparison of models is paired."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shapelens.stats.paired import Run, testset_order
from shapelens.stats.resampling import Quantity, Resampler

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PerImage:
    """Measures of an instrument; ``keys`` below are its own, such as ``method="grad"``."""

    rows: "Mapping[Run, pd.DataFrame]"
    """By (model, seed): testset, image, the instrument's keys and metrics."""
    images: NDArray[np.int64]
    """Image numbers that any model was measured on, ascending."""
    seeds: list[int]
    """Training seeds over which means are taken."""
    resampler: Resampler
    """Resamples of ``images``."""

    def testsets(self) -> list[str]:
        """Return the names of the test sets that any model was measured on, in their usual order."""
        return sorted({str(name) for frame in self.rows.values() for name in set(frame["testset"])}, key=testset_order)

    def values(self, key: str) -> set[str]:
        """Return the values that one of the instrument's keys has anywhere."""
        return {str(value) for frame in self.rows.values() for value in set(frame[key])}

    def has(self, model: str | None, testset: str, **keys: str) -> bool:
        """Tell whether a model was measured with every seed."""
        return bool(self.seeds) and all(
            (model, seed) in self.rows and len(self._select(str(model), seed, testset, keys)) for seed in self.seeds
        )

    def mean(
        self,
        metric: str,
        model: str,
        testset: str,
        *,
        span: tuple[float, float] = (-math.inf, math.inf),
        **keys: str,
    ) -> Quantity:
        """Return the mean over images and seeds; images without a defined value take no part.

        ``span``: least and greatest possible value of one image.
        """
        values: NDArray[Any] = np.full((len(self.seeds), 1, len(self.images)), np.nan)
        for row, seed in enumerate(self.seeds):
            part = self._select(model, seed, testset, keys)
            places = np.searchsorted(self.images, part["image"].to_numpy(np.int64))
            values[row, 0, places] = part[metric].to_numpy(float)
        return self.resampler.ratios(values, np.isfinite(values), span, counted=False)[0]

    def _select(self, model: str, seed: int, testset: str, keys: Mapping[str, str]) -> "pd.DataFrame":
        frame = self.rows[model, seed]
        chosen = frame["testset"] == testset
        for key, value in keys.items():
            chosen &= frame[key] == value
        return frame[chosen]

    def about(self) -> list[str]:
        """Return what a reader must know of the measures."""
        return [f"measured on {len(self.images)} images"]
