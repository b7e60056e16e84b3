import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_json
from shapelens.artefacts.writing import scratch_folder
from shapelens.errors import UserError
from shapelens.job import job
from shapelens.records.verify import verify_small

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    # Captions and first page read them.
    verify_small(Path(snakemake.output.html).parent)
    write_json(snakemake.output.config, json.loads(snakemake.params.config))
    # Where results/ lies for this job: a storage provider's copies are elsewhere.
    results = Path(snakemake.output.html).resolve().parent
    snakefile = Path(snakemake.scriptdir).parents[1] / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "results", "--cores", "1", "--directory", str(results.parent)]
    command += ["--snakefile", str(snakefile), "--configfile", str(results / "config.json"), "--report"]

    def write(target: Path) -> None:
        """Write one form of the report."""
        whole = [*command, str(target)]
        done = subprocess.run(whole, capture_output=True, text=True, env={**os.environ, "MPLBACKEND": "Agg"})
        if os.strerror(errno.ENOSPC) in done.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        if done.returncode or not target.exists():
            raise UserError(f"`{' '.join(whole)}` failed:\n{done.stdout}{done.stderr}")

    with scratch_folder(results) as scratch:
        parts = {scratch / Path(output).name: output for output in (snakemake.output.html, snakemake.output.zip)}
        with ThreadPoolExecutor(snakemake.threads) as pool:
            list(pool.map(write, parts))
        for part, output in parts.items():
            part.replace(output)
            log.info("wrote %s", output)
