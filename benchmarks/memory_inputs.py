"""What benchmarks/memory.py reads: random images in every layout, and tables of a small study."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

CLASSES = 10
SIDE = 32
MODELS = {"standard": "standard", "pgd-inf-8": "pgd-inf", "underfit": "underfit"}
SEEDS = (0, 1)
TESTSETS = ("clean", "saturation-1024", "patch-shuffle-4", "low-pass", "cue-conflict")


def images_of(count: int, seed: int = 0) -> Any:
    """Return random images, uint8 (count, 3, 32, 32): each a random pattern of 4×4 under noise."""
    import numpy as np

    rng = np.random.default_rng(seed)
    coarse = rng.integers(64, 192, (count, 3, 4, 4), dtype=np.uint8).repeat(8, axis=2).repeat(8, axis=3)
    return coarse + rng.integers(0, 64, coarse.shape, dtype=np.uint8)


def make_set(folder: Path, count: int, name: str = "") -> None:
    """Write a test set, or a split of a dataset, of random images."""
    import numpy as np

    from shapelens.artefacts.files import save_npy, sha256, write_json

    stored = folder / name
    stored.mkdir(parents=True, exist_ok=True)
    images = np.lib.format.open_memmap(stored / "images.npy", mode="w+", dtype=np.uint8, shape=(count, 3, SIDE, SIDE))
    for first in range(0, count, 1000):
        images[first : first + 1000] = images_of(min(1000, count - first), first)
    del images
    save_npy(stored / "labels.npy", np.arange(count) % CLASSES)
    hashes = {file: sha256(stored / file) for file in ("images.npy", "labels.npy")}
    if not name:
        write_json(folder / "manifest.json", {"sha256": hashes})
        return
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) if path.exists() else {"splits": {}}
    manifest |= {
        "classes": [f"class {n}" for n in range(CLASSES)],
        "channel_mean": [0.5] * 3,
        "channel_std": [0.25] * 3,
    }
    manifest["splits"][name] = {"images": count, "sha256": hashes}
    write_json(path, manifest)


def make_files(folder: Path, count: int) -> None:
    """Write random images as files, one folder for each class."""
    for n in range(CLASSES):
        (folder / f"class{n}").mkdir(parents=True)
    for first in range(0, count, 1000):
        for i, image in enumerate(images_of(min(1000, count - first), first), first):
            header = f"P6 {SIDE} {SIDE} 255\n".encode()
            path = folder / f"class{i % CLASSES}" / f"image{i:06}.ppm"
            path.write_bytes(header + image.transpose(1, 2, 0).tobytes())


def make_inputs(folder: Path, count: int) -> None:
    """Write what the jobs of one size read."""
    import numpy as np

    make_set(folder / "testset", count)
    make_set(folder / "data", count, "train")
    make_set(folder / "data", max(100, count // 10), "validation")
    make_set(folder / "styles", 64)
    make_files(folder / "files", count)
    with tarfile.open(folder / "files.tar", "w") as archive:
        archive.add(folder / "files", "files")
        archive.members.clear()
    shutil.make_archive(str(folder / "files"), "zip", folder / "files")
    (folder / "cifar").mkdir()
    (folder / "cifar" / "batches.meta.txt").write_text("\n".join(f"class{n}" for n in range(CLASSES)))
    for file, share in (("data_batch_1.bin", 0.8), ("test_batch.bin", 0.2)):
        with open(folder / "cifar" / file, "wb") as stream:
            for first in range(0, int(share * count), 1000):
                images = images_of(min(1000, int(share * count) - first), first).reshape(-1, 3 * SIDE * SIDE)
                labels = (np.arange(len(images)) % CLASSES).astype(np.uint8)[:, None]
                stream.write(np.concatenate([labels, images], axis=1).tobytes())
    make_tables(folder / "tables", count)


def make_tables(folder: Path, count: int) -> None:
    """Write per-image predictions, answers under attack and measures of maps of a small study."""
    import numpy as np
    import pandas as pd

    from shapelens.artefacts.parquet import write_parquet

    rng = np.random.default_rng(0)
    label, image = (np.arange(count) % CLASSES).astype(np.int16), np.arange(count, dtype=np.int32)

    def answers(share: float) -> Any:
        wrong = (label + rng.integers(1, CLASSES, count)) % CLASSES
        return np.where(rng.random(count) < share, label, wrong).astype(np.int16)

    def columns(testset: str) -> Any:
        texture = (label + 1) % CLASSES if testset == "cue-conflict" else np.full(count, -1)
        return {"image": image, "label": label, "texture": texture.astype(np.int16), "predicted": answers(0.7)}

    for model in MODELS:
        for seed in SEEDS:
            frames = [
                pd.DataFrame({"testset": testset, **columns(testset), "probability": rng.random(count, np.float32)})
                for testset in TESTSETS
            ]
            write_parquet(folder / "predictions" / model / f"seed{seed}.parquet", pd.concat(frames))
            spectra = {key: rng.random(count, np.float32) for key in ("perturbation_high", "image_high")}
            robust = {"image": image, "label": label, "clean_predicted": answers(0.7), "predicted": answers(0.3)}
            write_parquet(folder / "robust" / model / f"seed{seed}.parquet", pd.DataFrame({**robust, **spectra}))
