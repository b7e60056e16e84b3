from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    # Imported once the log is there and the library is known to be this checkout's.
    from shapelens.evaluation.job import open_job
    from shapelens.evaluation.robust import robust_table
    from shapelens.evaluation.spec import Robustness
    from shapelens.evaluation.tables import write_parquet
    from shapelens.files import open_image_set
    from shapelens.provenance import write_record

    spec, classifier, device = open_job(snakemake)
    robustness = Robustness.model_validate(spec["robustness"])
    table = robust_table(
        classifier,
        open_image_set(Path(snakemake.input.manifest).parent),
        robustness,
        spec["data_seed"],
        input_size=classifier.input_size,
        batch=robustness.batch,
        device=device,
    )
    write_parquet(snakemake.output.table, table)
    write_record(snakemake.output.record, snakemake.output.table, spec=spec, code=snakemake.params.code)
