import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.errors import UserError
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    # Where results/ lies for this job: a storage provider's copies are elsewhere.
    folder = Path(snakemake.input.config).parents[1]
    snakefile = Path(snakemake.scriptdir).parents[1] / "Snakefile"
    # The outer Snakemake holds the folder's lock and has recorded every finished job: these only read.
    command = [sys.executable, "-m", "snakemake", "results", "--cores", "1", "--directory", str(folder)]
    command += ["--snakefile", str(snakefile), "--configfile", str(Path(snakemake.input.config).resolve()), "--report"]

    def write(target):
        """Write one form of the report; returns what went wrong."""
        whole = [*command, str(Path(target).resolve())]
        done = subprocess.run(whole, capture_output=True, text=True, env={**os.environ, "MPLBACKEND": "Agg"})
        failed = done.returncode or not Path(target).exists()
        return f"`{' '.join(whole)}` failed:\n{done.stdout}{done.stderr}" if failed else ""

    targets = (snakemake.output.html, snakemake.output.zip)
    with ThreadPoolExecutor(snakemake.threads) as pool:
        for target, fault in zip(targets, pool.map(write, targets), strict=True):
            if fault:
                raise UserError(fault)
            log.info("wrote %s", target)
