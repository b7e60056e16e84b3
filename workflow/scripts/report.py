import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.errors import UserError
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    # Where results/ lies for this job: a storage provider's copies are elsewhere.
    folder = Path(snakemake.input.config).parents[1]
    for target in (snakemake.output.html, snakemake.output.zip):
        # The outer Snakemake holds the folder's lock and has recorded every finished job: this one only reads.
        command = [sys.executable, "-m", "snakemake", "results", "--nolock", "--cores", "1"]
        command += [
            "--report",
            str(Path(target).resolve()),
            "--directory",
            str(folder),
            "--snakefile",
            str(Path(snakemake.scriptdir).parents[1] / "Snakefile"),
            "--configfile",
            str(Path(snakemake.input.config).resolve()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MPLBACKEND": "Agg"})
        if done.returncode or not Path(target).exists():
            raise UserError(f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}")
        log.info("wrote %s", target)
