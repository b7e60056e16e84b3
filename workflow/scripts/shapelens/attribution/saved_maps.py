"""Reading saved saliency maps (torch-free)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.files import verified
from shapelens.errors import UserError


@dataclass(frozen=True)
class Maps:
    """One map file: maps (M, T, I, C, H, W) with the names of their first three axes."""

    methods: tuple[str, ...]
    testsets: tuple[str, ...]
    images: NDArray[np.int64]
    maps: NDArray[np.float32]
    gaps: NDArray[np.float64]
    """By how much each map fails to add up, (M, T, I); NaN where its method states no such number."""
    gap_errors: NDArray[np.float64]
    """Standard error of that, (M, T, I); NaN where it is not left to chance."""


def open_maps(path: str | Path) -> Maps:
    """Read a map file; raises UserError where it is not the one that its record names."""
    with np.load(verified(path), allow_pickle=False) as file:
        methods, testsets = (tuple(map(str, file[key])) for key in ("methods", "testsets"))
        maps = file["maps"]
        nothing = np.full(maps.shape[:3], np.nan)
        gaps, errors = (file.get(key, nothing) for key in ("completeness_gap", "gap_error"))
        return Maps(methods, testsets, file["images"], maps, gaps, errors)


@dataclass(frozen=True)
class MapSet:
    """The maps of one method on one test set, for several models and the same images."""

    method: str
    testset: str
    images: NDArray[np.int64]
    """Indices of the test images, (I,)."""
    maps: dict[str, NDArray[np.float32]]
    """Model name → (I, C, H, W), in units of the class score per unit of pixel."""
    gaps: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Model name → (I,): by how much each map fails to add up, NaN where its method states no such number."""
    gap_errors: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Model name → (I,): the standard error of that, NaN where it is not left to chance."""


def read_maps(paths: Mapping[str, str | Path], method: str, testset: str, limit: int | None = None) -> MapSet:
    """Read one method and test set from each model's map file.

    Args:
        paths: model name → .npz of one seed.
        method: name of the attribution method, such as ``grad``.
        testset: name of the test set.
        limit: read the first so many images only.

    Raises UserError where a file is not the one that its record names, lacks the method or test set, or shows other
    images than the rest.
    """
    maps: dict[str, NDArray[np.float32]] = {}
    gaps: dict[str, NDArray[np.float64]] = {}
    errors: dict[str, NDArray[np.float64]] = {}
    first: NDArray[np.int64] | None = None
    for model, path in paths.items():
        saved = open_maps(path)
        for axis, names, wanted in (("methods", saved.methods, method), ("testsets", saved.testsets, testset)):
            if wanted not in names:
                raise UserError(f"{path}: no maps of {wanted!r}; this file has {axis} {', '.join(names)}")
        images = saved.images[:limit]
        if first is None:
            first = images
        elif not np.array_equal(first, images):
            raise UserError(f"{path}: its images differ from those of {next(iter(maps))}; run the maps again")
        place = saved.methods.index(method), saved.testsets.index(testset)
        maps[model] = saved.maps[place][:limit]
        gaps[model], errors[model] = saved.gaps[place][:limit], saved.gap_errors[place][:limit]
    if first is None:
        raise UserError(f"no model has maps of {method} on {testset}")
    return MapSet(method, testset, first, maps, gaps, errors)
