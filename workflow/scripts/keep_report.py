import shutil
from typing import TYPE_CHECKING

from shapelens.artefacts.writing import atomic_path
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    for source, copy in zip(snakemake.input, snakemake.output, strict=True):
        with atomic_path(copy) as temporary:
            shutil.copyfile(source, temporary)
