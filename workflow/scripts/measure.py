from typing import TYPE_CHECKING

from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    # Imported with the GPU leased: the instrument's module loads torch.
    from shapelens.instruments.measuring import measure_job

    measure_job(snakemake)
