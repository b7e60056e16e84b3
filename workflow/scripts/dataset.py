from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.datasets.build import build_dataset
from shapelens.datasets.fetch import check_fetched
from shapelens.datasets.sources import SOURCES
from shapelens.datasets.spec import DatasetJob
from shapelens.job import job, spec_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, DatasetJob)
    fetched, path = snakemake.input.get("source"), getattr(spec.dataset, "path", None)
    source = fetched or path
    if fetched and path is None:
        official = SOURCES[spec.dataset.kind]
        check_fetched(fetched, official.md5, official.sha256)
    folder = Path(snakemake.output.manifest).parent
    build_dataset(spec.dataset, spec.data_seed, Path(source) if source else None, folder)
