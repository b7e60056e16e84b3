"""Transformed test sets: from the clean images to files, chunk by chunk."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.contact_sheet import contact_sheet
from shapelens.artefacts.files import ImageSet, create_npy, save_npy, sha256, write_json
from shapelens.artefacts.writing import atomic_path
from shapelens.errors import UserError
from shapelens.transforms.fourier import high_pass, low_pass, random_filter
from shapelens.transforms.patch_shuffle import patch_permutations, shuffle_patches
from shapelens.transforms.saturation import saturate
from shapelens.transforms.spec import Clean, HighPass, LowPass, PatchShuffle, Saturation, Transform

logger = logging.getLogger("shapelens")

CHUNK_VALUES = 2**21
"""Values that are transformed at a time; in float64 with its spectrum about 50 MB."""
SHEET_IMAGES = 8


def transform(images: NDArray[np.uint8], spec: Transform, data_seed: int, first: int) -> NDArray[Any]:
    """Transform a chunk of a test set.

    Args:
        images: uint8 (N, C, H, W), the images with indices ``first`` … ``first`` + N − 1 of the set.
        spec: what is done to them.
        data_seed: decides, with an image's index, its permutation or its dropped modes.
        first: index of the first image.

    Returns:
        uint8 where that is exact (clean, patch shuffle); else float32, computed in float64: in [0, 1], except that
        Fourier-filtered images keep their range.

    Raises:
        UserError: the transform does not suit the images, such as a k that does not divide their side.
        ValueError: the images are not uint8.
    """
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"images are {images.dtype} of shape {images.shape}; uint8 (N, C, H, W) is needed")
    if isinstance(spec, Clean):
        return np.array(images)
    if isinstance(spec, PatchShuffle):
        return shuffle_patches(images, patch_permutations(len(images), spec.k, data_seed, first))
    levels = np.arange(256) / 255
    if isinstance(spec, Saturation):
        return saturate(levels, spec.level).astype(np.float32)[images]
    values = levels[images]
    if isinstance(spec, LowPass):
        filtered = low_pass(values, spec.radius)
    elif isinstance(spec, HighPass):
        filtered = high_pass(values, spec.radius) + (0.5 if spec.add_half else 0.0)
    else:
        filtered = random_filter(values, spec.probability, data_seed, first, spec.keep_mean)
    return filtered.astype(np.float32)


def write_testset(source: ImageSet, spec: Transform, data_seed: int, folder: str | Path) -> None:
    """Write images.npy, labels.npy, textures.npy, contact_sheet.png and manifest.json of a transformed test set.

    Memory stays flat however large the set is: images go chunk by chunk into a memory-mapped file that takes its name
    when it is whole. The manifest, with the sha256 of the arrays, is written last.

    Args:
        source: the clean test set, uint8 (N, C, H, W).
        spec: what is done to it.
        data_seed: decides permutations and dropped modes.
        folder: is made if needed.

    Raises:
        UserError: the set is empty, or the transform does not suit the images.
    """
    folder = Path(folder)
    count = len(source)
    if count == 0:
        raise UserError(f"{folder}: the clean test set has no images, so there is nothing to transform")
    shape = source.images.shape
    chunk = max(1, CHUNK_VALUES // int(np.prod(shape[1:])))
    dtype = transform(source.images[:1], spec, data_seed, 0).dtype
    with atomic_path(folder / "images.npy") as path:
        stored = create_npy(path, dtype, shape)
        for first in range(0, count, chunk):
            part = source.images[first : first + chunk]
            stored[first : first + len(part)] = transform(part, spec, data_seed, first)
            logger.info("%s: %d of %d images", spec.name, first + len(part), count)
        stored.flush()
        shown = np.unique(np.linspace(0, count - 1, min(SHEET_IMAGES, count)).round().astype(np.int64))
        examples = np.array(stored[shown])
        del stored
    save_npy(folder / "labels.npy", source.labels.astype(np.int64))
    save_npy(folder / "textures.npy", source.textures.astype(np.int64))
    if isinstance(spec, HighPass) and not spec.add_half:
        examples = examples + np.float32(0.5)  # values lie around 0, and those below it would all be black
    contact_sheet(
        [list(source.images[shown]), list(examples)],
        folder / "contact_sheet.png",
        column_titles=[f"image {i}" for i in shown],
        row_titles=["clean", spec.name],
    )
    arrays = ("images.npy", "labels.npy", "textures.npy")
    manifest = {
        "testset": spec.name,
        "spec": spec.model_dump(mode="json"),
        "data_seed": data_seed,
        "images": count,
        "shape": list(shape[1:]),
        "dtype": str(dtype),
        "sha256": {name: sha256(folder / name) for name in arrays},
    }
    write_json(folder / "manifest.json", manifest)
