"""The two stylised test sets: every file of a test set's folder, its quality included."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shapelens.artefacts.contact_sheet import contact_sheet
from shapelens.artefacts.files import ImageSet, open_npy, save_npy, sha256, write_json
from shapelens.errors import UserError
from shapelens.stylisation.apply import Stylist, stylise_set
from shapelens.stylisation.detail import Exchange
from shapelens.stylisation.networks import StyleNet
from shapelens.stylisation.quality import check, measure, write_quality
from shapelens.stylisation.spec import DETAIL, CueConflict, Stylised
from shapelens.transforms.pairs import conflict_pairs, style_of_each

SHEET_IMAGES = 8
ARRAYS = ("images.npy", "labels.npy", "textures.npy", "styles.npy")


def write_stylised_testset(
    source: ImageSet,
    styles: NDArray[np.uint8] | None,
    networks: StyleNet,
    spec: Stylised | CueConflict,
    data_seed: int,
    folder: str | Path,
    *,
    device: torch.device | str,
    batch: int,
) -> None:
    """Write a stylised test set into a folder, which is made if needed.

    Files: images.npy (float32 (N, 3, H, W) in [0, 1]), labels.npy, textures.npy, styles.npy (int64 (N,)), quality.csv,
    contact_sheet.png (original, style, stylised) and, last, manifest.json with the sha256 of the arrays and the mean
    quality. In ``stylised`` the styles are numbers of style images and the textures −1; in ``cue-conflict`` the labels
    are the content's classes, the textures the classes of the style, the styles indices within ``source``.

    Args:
        source: the clean test set.
        styles: style images, uint8 (S, 3, h, w); None for ``cue-conflict``, whose styles are the test images.
        networks: encoder and decoder.
        spec: which set, and how strong; a ``detail`` of None is ``DETAIL``.
        data_seed: decides which style goes with which image.
        folder: where to write.
        device: where to compute.
        batch: images per pass.

    Raises:
        UserError: there are no images or no styles, images are too small, or the stylisation failed by its thresholds.
    """
    folder = Path(folder)
    if not len(source):
        raise UserError(f"{folder}: the clean test set has no images, so there is nothing to stylise")
    if isinstance(spec, CueConflict):
        contents, style_of = conflict_pairs(source.labels, data_seed, spec.count)
        painted, textures = source.images, source.labels[style_of]
    else:
        if styles is None:
            raise ValueError("a stylised set needs style images")
        contents = np.arange(len(source), dtype=np.int64)
        painted, style_of = styles, style_of_each(len(source), len(styles), data_seed)
        textures = np.full(len(source), -1, dtype=np.int64)
    stylist = Stylist(networks, device, spec.precision)
    scale = DETAIL if spec.detail is None else float(spec.detail)
    exchange = Exchange(scale, data_seed) if scale else None
    target = folder / "images.npy"
    stylise_set(
        *(stylist, source.images, contents, painted, style_of, spec.alpha, target), batch=batch, exchange=exchange
    )
    save_npy(folder / "labels.npy", source.labels[contents].astype(np.int64))
    save_npy(folder / "textures.npy", textures.astype(np.int64))
    save_npy(folder / "styles.npy", style_of.astype(np.int64))
    stylised = open_npy(folder / "images.npy")
    # Contents are always the first images of the set.
    texture_removed, shape_kept = measure(source.images[: len(contents)], stylised)
    write_quality(folder / "quality.csv", texture_removed, shape_kept)
    shown = np.unique(np.linspace(0, len(contents) - 1, min(SHEET_IMAGES, len(contents))).round().astype(np.int64))
    contact_sheet(
        [list(source.images[contents[shown]]), list(painted[style_of[shown]]), list(stylised[shown])],
        folder / "contact_sheet.png",
        column_titles=[f"image {i}" for i in contents[shown]],
        row_titles=["original", "style", "stylised"],
    )
    check(texture_removed, shape_kept, spec, spec.name)
    manifest = {
        "testset": spec.name,
        "spec": spec.model_dump(mode="json"),
        "data_seed": data_seed,
        "images": len(contents),
        "shape": list(stylised.shape[1:]),
        "dtype": str(stylised.dtype),
        "texture_removed": round(float(texture_removed.mean()), 6),
        "shape_kept": round(float(shape_kept.mean()), 6),
        "sha256": {name: sha256(folder / name) for name in ARRAYS},
    }
    write_json(folder / "manifest.json", manifest)
