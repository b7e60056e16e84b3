from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.job import job, spec_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    # Imported once the log is there and the library is known to be this checkout's.
    import numpy as np
    import torch

    from shapelens.artefacts.files import read_json, verified_set
    from shapelens.models.devices import configure
    from shapelens.models.from_elsewhere import convert
    from shapelens.models.spec import FinishedJob

    configure(snakemake.threads)
    manifest = read_json(snakemake.input.manifest)
    validation = None
    # A study without training images has none.
    if images_file := getattr(snakemake.input, "images", None):
        folder = verified_set(Path(images_file).parent)
        # Mapped, and copy-on-write: torch takes no read-only memory.
        images, labels = (
            np.load(folder / name, mmap_mode="c", allow_pickle=False) for name in ("images.npy", "labels.npy")
        )
        validation = (torch.from_numpy(images), torch.from_numpy(labels))
    convert(
        spec_of(snakemake, FinishedJob).finished,
        manifest["classes"],
        manifest.get("channel_mean", ()),
        manifest.get("channel_std", ()),
        Path(snakemake.output.weights).parent,
        model=snakemake.wildcards.model,
        code=snakemake.params.code,
        validation=validation,
    )
