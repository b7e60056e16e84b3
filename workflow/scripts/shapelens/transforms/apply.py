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
from shapelens.names.testsets import CLEAN, JOINT
from shapelens.transforms.blur import bilateral, gaussian_blur
from shapelens.transforms.colour import channel_permutations, greyscale, shuffle_channels
from shapelens.transforms.fourier import high_pass, low_pass, random_filter
from shapelens.transforms.patch_frame import frame_patches
from shapelens.transforms.patch_shuffle import patch_permutations, shuffle_patches
from shapelens.transforms.saturation import saturate
from shapelens.transforms.spec import (
    Bilateral,
    ChannelShuffle,
    Clean,
    GaussianBlur,
    Greyscale,
    HighPass,
    LowPass,
    PatchFrame,
    PatchShuffle,
    RandomFilter,
    Saturation,
    Transform,
)

logger = logging.getLogger("shapelens")

CHUNK_VALUES = 2**21
"""Values that are transformed at a time; in float64 with its spectrum about 50 MB."""
SHEET_IMAGES = 8


def transform(images: NDArray[np.uint8], spec: Transform, data_seed: int, first: int) -> NDArray[Any]:
    """Transform a chunk of a test set.

    Args:
        images: uint8 (N, C, H, W), the images with indices ``first`` … ``first`` + N − 1 of the set.
        spec: what is done to them.
        data_seed: decides, with an image's index, its permutations or its dropped modes.
        first: index of the first image.

    Returns:
        uint8 where that is exact (clean, patch shuffle and frame) or the standard's own rounding (greyscale, channel
        shuffle); else float32, computed in float64: in [0, 1], except that Fourier-filtered images keep their range.

    Raises:
        UserError: the transform does not suit the images, such as a k that does not divide their side.
        ValueError: the images are not uint8.
    """
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"images are {images.dtype} of shape {images.shape}; uint8 (N, C, H, W) is needed")
    match spec:
        case Clean():
            return np.array(images)
        case PatchShuffle():
            return shuffle_patches(images, patch_permutations(len(images), spec.k, data_seed, first))
        case PatchFrame():
            # The permutations of the patch shuffle with this k, whose control it is.
            return frame_patches(images, patch_permutations(len(images), spec.k, data_seed, first))
        case Greyscale():
            return greyscale(images)
        case ChannelShuffle():
            return shuffle_channels(images, channel_permutations(len(images), data_seed, first))
    levels = np.arange(256) / 255
    if isinstance(spec, Saturation):
        return saturate(levels, spec.level).astype(np.float32)[images]
    return _filtered(levels[images], spec, data_seed, first).astype(np.float32)


def _filtered(
    values: NDArray[np.float64],
    spec: GaussianBlur | Bilateral | LowPass | HighPass | RandomFilter,
    data_seed: int,
    first: int,
) -> NDArray[np.float64]:
    match spec:
        case GaussianBlur():
            return gaussian_blur(values, spec.sigma)
        case Bilateral():
            return bilateral(values, spec.sigma, spec.range_sigma)
        case LowPass():
            return low_pass(values, spec.radius)
        case HighPass():
            return high_pass(values, spec.radius) + (0.5 if spec.add_half else 0.0)
        case RandomFilter():
            return random_filter(values, spec.probability, data_seed, first, spec.keep_mean)


def write_testset(source: ImageSet, spec: Transform, data_seed: int, folder: str | Path, *, base: str = CLEAN) -> None:
    """Write images.npy, labels.npy, textures.npy, contact_sheet.png and manifest.json of a transformed test set.

    Memory stays flat however large the set is: images go chunk by chunk into a memory-mapped file that takes its name
    when it is whole. The manifest, with the sha256 of the arrays, is written last.

    Args:
        source: the clean test set, or an own one, uint8 (N, C, H, W).
        spec: what is done to it.
        data_seed: decides permutations and dropped modes.
        folder: is made if needed.
        base: the name of ``source``.

    Raises:
        UserError: the set is empty, or the transform does not suit the images.
    """
    folder = Path(folder)
    count = len(source)
    if count == 0:
        raise UserError(f"{folder}: the test set has no images, so there is nothing to transform")
    shape = source.images.shape
    chunk = max(1, CHUNK_VALUES // int(np.prod(shape[1:])))
    dtype = transform(source.images[:1], spec, data_seed, 0).dtype
    whole = 0
    with atomic_path(folder / "images.npy") as path:
        stored = create_npy(path, dtype, shape)
        for first in range(0, count, chunk):
            part = source.images[first : first + chunk]
            made = transform(part, spec, data_seed, first)
            stored[first : first + len(part)] = made
            whole += _unchanged(part, made)
            logger.info("%s: %d of %d images", spec.name, first + len(part), count)
        stored.flush()
        shown = np.unique(np.linspace(0, count - 1, min(SHEET_IMAGES, count)).round().astype(np.int64))
        examples = np.array(stored[shown])
        del stored
    if whole and not isinstance(spec, Clean):
        logger.info("%s: %d of %d images are as they were", spec.name, whole, count)
    save_npy(folder / "labels.npy", source.labels.astype(np.int64))
    save_npy(folder / "textures.npy", source.textures.astype(np.int64))
    if isinstance(spec, HighPass) and not spec.add_half:
        examples = examples + np.float32(0.5)  # values lie around 0, and those below it would all be black
    contact_sheet(
        [list(source.images[shown]), list(examples)],
        folder / "contact_sheet.png",
        column_titles=[f"image {i}" for i in shown],
        row_titles=[base, spec.name],
    )
    arrays = ("images.npy", "labels.npy", "textures.npy")
    manifest = {
        "testset": spec.name if base == CLEAN else f"{base}{JOINT}{spec.name}",
        "spec": spec.model_dump(mode="json"),
        "data_seed": data_seed,
        "images": count,
        "shape": list(shape[1:]),
        "dtype": str(dtype),
        "sha256": {name: sha256(folder / name) for name in arrays},
    }
    write_json(folder / "manifest.json", manifest)


def _unchanged(images: NDArray[np.uint8], made: NDArray[Any]) -> int:
    """Return how many images a transform that stores uint8 left as they were, such as by the identity permutation."""
    return int((images == made).all(axis=(1, 2, 3)).sum()) if made.dtype == np.uint8 else 0
