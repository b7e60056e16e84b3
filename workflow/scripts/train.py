import json
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    # Imported once the log is there and the library is known to be this checkout's.
    from shapelens.devices import configure, pick_device
    from shapelens.training.run import run_training
    from shapelens.training.spec import TrainingRun

    configure(snakemake.threads)
    out = Path(snakemake.output.weights).parent
    run_training(
        TrainingRun.model_validate(json.loads(snakemake.params.spec)["run"]),
        Path(snakemake.input.manifest).parent,
        out,
        Path("results/.state"),
        pick_device(snakemake.resources.gpu),
        match_selection=snakemake.input.get("match") or None,
        code=snakemake.params.code,
    )
