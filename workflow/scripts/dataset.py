import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from shapelens.datasets.build import build_dataset
from shapelens.datasets.fetch import check_fetched
from shapelens.datasets.sources import SOURCES
from shapelens.datasets.spec import Dataset
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = json.loads(snakemake.params.spec)
    dataset = TypeAdapter(Dataset).validate_python(spec["dataset"])
    fetched = snakemake.input.get("source")
    source = fetched or spec["dataset"].get("path")
    if fetched and spec["dataset"].get("path") is None:
        check_fetched(fetched, SOURCES[dataset.kind].md5)
    folder = Path(snakemake.output.manifest).parent
    build_dataset(dataset, spec["data_seed"], Path(source) if source else None, folder)
