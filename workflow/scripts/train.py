from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.job import imported, job, spec_of, state_folder

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    # Imported once the log is there and the library is known to be this checkout's.
    from shapelens.models.devices import configure, pick_device
    from shapelens.training.run import run_training
    from shapelens.training.spec import TrainingJob

    configure(snakemake.threads)
    asked = spec_of(snakemake, TrainingJob)
    run_training(
        asked.run,
        Path(snakemake.input.manifest).parent,
        Path(snakemake.output.weights).parent,
        state_folder(),
        pick_device(snakemake.resources.gpu),
        adversary_factory=imported(asked.adversary) if asked.adversary else None,
        match_selection=snakemake.input.get("match") or None,
        code=snakemake.params.code,
    )
