from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.datasets.fetch import fetch
from shapelens.datasets.sources import ALL_SOURCES
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    destination = Path(snakemake.output[0])
    source = next(source for source in ALL_SOURCES if source.file == destination.name)
    fetch(source.url, destination, md5=source.md5, sha256=source.sha256)
