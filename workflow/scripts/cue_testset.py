import json
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.datasets.cues import write_cue_testset
from shapelens.datasets.spec import Cues
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = json.loads(snakemake.params.spec)
    folder = Path(snakemake.output.manifest).parent
    write_cue_testset(Cues.model_validate(spec["dataset"]), spec["testset"], spec["data_seed"], folder)
