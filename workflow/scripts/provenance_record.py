import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.crate import crate, files_of_the_run, hashes_in
from shapelens.artefacts.files import write_json
from shapelens.artefacts.provenance import run_record
from shapelens.artefacts.writing import atomic_path
from shapelens.job import job
from shapelens.records.verify import verify_small

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    results, checkout = Path(snakemake.output.record).parent, Path(snakemake.scriptdir).parents[1]
    verify_small(results)
    record = run_record(results, checkout, snakemake.params.config, snakemake.params.studies)
    write_json(snakemake.output.record, record)
    with atomic_path(snakemake.output.workflow) as workflow:
        shutil.copyfile(checkout / "Snakefile", workflow)
    asked = {str(Path(path).relative_to(results)) for path in snakemake.params.files}
    files = files_of_the_run(results, asked)
    recorded = hashes_in(record["artefacts"], asked)
    write_json(snakemake.output.crate, crate(results, files, record, recorded, datetime.now(UTC)))
