"""The images that trainings in these tests learn from."""

from pathlib import Path

import numpy as np
import pytest

from shapelens.artefacts.files import save_npy, sha256, write_json


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of noisy colours, stored as a dataset is: 64 and 36 images of 12×12."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    splits = {}
    for split, n in (("train", 72), ("validation", 36)):
        labels = np.arange(n) % 3
        colours = np.array([(150, 100, 100), (100, 150, 100), (100, 100, 150)])[labels]
        images = (colours[:, :, None, None] + rng.normal(0, 60, (n, 3, 12, 12))).clip(0, 255).astype(np.uint8)
        save_npy(folder / split / "images.npy", images)
        save_npy(folder / split / "labels.npy", labels.astype(np.int64))
        splits[split] = {"sha256": {f"{k}.npy": sha256(folder / split / f"{k}.npy") for k in ("images", "labels")}}
    write_json(
        folder / "manifest.json",
        {"classes": ["r", "g", "b"], "splits": splits, "channel_mean": [0.45] * 3, "channel_std": [0.25] * 3},
    )
    return folder
