from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    # Imported once the log is there and the library is known to be this checkout's.
    from shapelens.evaluation.job import open_job
    from shapelens.evaluation.tables import prediction_table, write_parquet
    from shapelens.provenance import write_record

    spec, classifier, device = open_job(snakemake)
    folders = {Path(path).parent.name: Path(path).parent for path in snakemake.input.manifests}
    table = prediction_table(
        classifier,
        {name: folders[name] for name in spec["testsets"]},
        input_size=classifier.input_size,
        batch=snakemake.resources.batch,
        device=device,
    )
    write_parquet(snakemake.output.table, table)
    write_record(snakemake.output.record, snakemake.output.table, spec=spec, code=snakemake.params.code)
