from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.files import write_json
from shapelens.job import job
from shapelens.provenance import run_record

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    results = Path(snakemake.output[0]).parent
    write_json(snakemake.output[0], run_record(results, Path(snakemake.scriptdir), snakemake.params.config))
