from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_json
from shapelens.artefacts.provenance import run_record
from shapelens.job import job
from shapelens.records.verify import verify_small

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    results = Path(snakemake.output[0]).parent
    verify_small(results)
    write_json(snakemake.output[0], run_record(results, Path(snakemake.scriptdir), snakemake.params.config))
