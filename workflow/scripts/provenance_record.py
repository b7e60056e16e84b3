from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_json
from shapelens.artefacts.provenance import run_record
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    results = Path(snakemake.output[0]).parent
    record = run_record(results, Path(snakemake.scriptdir), snakemake.params.config, snakemake.params.studies)
    write_json(snakemake.output[0], record)
