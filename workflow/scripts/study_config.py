import json
from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_json
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_json(snakemake.output[0], json.loads(snakemake.params.config))
