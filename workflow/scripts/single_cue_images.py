from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.datasets.build import build_dataset
from shapelens.datasets.spec import SingleCueJob
from shapelens.job import job, spec_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, SingleCueJob)
    folder = Path(snakemake.output.manifest).parent
    build_dataset(spec.dataset, spec.data_seed, None, folder, ("train", "validation"), cue=spec.cue)
