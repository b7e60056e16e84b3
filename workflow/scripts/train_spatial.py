from typing import TYPE_CHECKING

from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    # Imported once the log is there and the library is known to be this checkout's.
    from shapelens.training.job import train_job
    from shapelens.training.spatial import spatial_adversary

    train_job(snakemake, spatial_adversary)
