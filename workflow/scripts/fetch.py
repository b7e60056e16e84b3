from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.datasets.fetch import fetch_source
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    fetch_source(Path(snakemake.output[0]))
