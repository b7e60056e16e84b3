"""Test sets mixed of two images each: the shape of one, the texture of another of a different class.

Hybrids have the low frequencies of one image and the high ones of another (Oliva et al. 2006): shape is carried by low
frequencies, texture by high ones, as far as the radius between them is the right one. Which one that is, the rulers say
(``rulers.choice``). Another way to mix is ``stylisation.detail``. Neither needs a trained network.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.contact_sheet import contact_sheet
from shapelens.artefacts.files import ImageSet, create_npy, save_npy, sha256, write_json
from shapelens.artefacts.writing import atomic_path
from shapelens.errors import UserError
from shapelens.transforms.fourier import high_pass, low_pass
from shapelens.transforms.pairs import Indices, conflict_pairs
from shapelens.transforms.spec import Hybrid, TextureExchange

logger = logging.getLogger("shapelens")

CHUNK_VALUES = 2**21
"""Values that are mixed at a time; in float64 with both spectra about 100 MB."""
SHEET_IMAGES = 8


def hybrids(shapes: NDArray[np.uint8], textures: NDArray[np.uint8], radius: float) -> NDArray[np.float32]:
    """Return the modes of ``shapes`` within a radius of zero frequency and those of ``textures`` beyond it.

    Args:
        shapes: uint8 (N, C, H, W), whose low frequencies are kept, the mean and with it the overall colour among them.
        textures: uint8 (N, C, H, W), whose high frequencies are kept.
        radius: above 0, in cycles per image; modes exactly on it are those of ``shapes``.

    Returns:
        float32 (N, C, H, W), computed in float64 and clipped to [0, 1]. A hybrid of an image with itself is the image.

    Raises:
        UserError: the radius is not above 0.
    """
    low, high = (np.arange(256)[images] / 255 for images in (shapes, textures))
    mixed = np.clip(low_pass(low, radius) + high_pass(high, radius), 0, 1)
    return np.asarray(mixed, dtype=np.float32)


Mix = Callable[[NDArray[np.uint8], NDArray[np.uint8], int], NDArray[np.float32]]
"""Mixes shapes and textures, both uint8 (N, 3, H, W), into float32 images in [0, 1]; the last argument is the number of
the first image in its set."""


def mixed_by_frequency(radius: float) -> Mix:
    """Return what mixes hybrids at a radius, in cycles per image."""
    return lambda shapes, textures, first: hybrids(shapes, textures, radius)


def write_mixed_testset(
    source: ImageSet,
    spec: Hybrid | TextureExchange,
    mix: Mix,
    data_seed: int,
    folder: str | Path,
    **settings: float,
) -> None:
    """Write images.npy, labels.npy, textures.npy, contact_sheet.png and manifest.json of a mixed set.

    Each test image gives its shape, and its label, to one image; the texture comes from a test image of another class
    (``conflict_pairs``), whose class is the texture's. Files take their names when they are whole.

    Args:
        source: the clean test set, uint8 (N, 3, H, W).
        spec: which set, and of how many images.
        mix: what mixes them.
        data_seed: decides the pairs.
        folder: is made if needed.
        settings: what was decided beside the spec, for the manifest.

    Raises:
        UserError: the set is empty or has a single class.
    """
    folder = Path(folder)
    if not len(source):
        raise UserError(f"{folder}: the clean test set has no images, so there is nothing to mix")
    contents, partners = conflict_pairs(source.labels, data_seed, spec.count)
    shape = source.images.shape[1:]
    chunk = max(1, CHUNK_VALUES // int(np.prod(shape)))
    with atomic_path(folder / "images.npy") as path:
        stored = create_npy(path, np.float32, (len(contents), *shape))
        for first in range(0, len(contents), chunk):
            part = slice(first, first + chunk)
            stored[part] = mix(source.images[contents[part]], source.images[partners[part]], first)
            logger.info("%s: %d of %d images", spec.name, min(first + chunk, len(contents)), len(contents))
        stored.flush()
        shown = np.unique(np.linspace(0, len(contents) - 1, min(SHEET_IMAGES, len(contents))).round().astype(np.int64))
        examples = np.array(stored[shown])
        del stored
    save_npy(folder / "labels.npy", source.labels[contents].astype(np.int64))
    save_npy(folder / "textures.npy", source.labels[partners].astype(np.int64))
    _write_sheet(source, contents[shown], partners[shown], examples, spec.name, folder / "contact_sheet.png")
    manifest: dict[str, Any] = {
        "testset": spec.name,
        "spec": spec.model_dump(mode="json"),
        **settings,
        "data_seed": data_seed,
        "images": len(contents),
        "shape": list(shape),
        "dtype": "float32",
        "sha256": {name: sha256(folder / name) for name in ("images.npy", "labels.npy", "textures.npy")},
    }
    write_json(folder / "manifest.json", manifest)


def _write_sheet(
    source: ImageSet, low: Indices, high: Indices, mixed: NDArray[np.float32], name: str, path: Path
) -> None:
    contact_sheet(
        [list(source.images[low]), list(source.images[high]), list(mixed)],
        path,
        column_titles=[f"image {i}" for i in low],
        row_titles=["shape", "texture", name],
    )
