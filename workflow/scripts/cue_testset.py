from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.datasets.cues import write_cue_testset
from shapelens.datasets.spec import CueSetJob
from shapelens.job import job, spec_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, CueSetJob)
    write_cue_testset(spec.dataset, spec.testset, spec.data_seed, Path(snakemake.output.manifest).parent)
