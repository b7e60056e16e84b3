from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import read_json
from shapelens.datasets.own import write_own_set
from shapelens.datasets.own_spec import OwnSetJob
from shapelens.datasets.same_images import learnt_images
from shapelens.job import job, spec_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, OwnSetJob)
    learnt = learnt_images(snakemake.input.index) if snakemake.input.get("index") else {}
    write_own_set(spec, read_json(snakemake.input.data)["classes"], Path(snakemake.output.manifest).parent, learnt)
