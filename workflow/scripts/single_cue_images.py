import json
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.datasets.build import build_dataset
from shapelens.datasets.spec import Cues
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = json.loads(snakemake.params.spec)
    folder = Path(snakemake.output.manifest).parent
    dataset = Cues.model_validate(spec["dataset"])
    build_dataset(dataset, spec["data_seed"], None, folder, ("train", "validation"), cue=spec["cue"])
