import json
from typing import TYPE_CHECKING

from shapelens.files import read_json, write_text
from shapelens.job import job
from shapelens.stats.shape_bias import shape_bias_per_class
from shapelens.stats.spec import Statistics
from shapelens.tables.read import read_runs
from shapelens.tables.write import to_csv

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = json.loads(snakemake.params.spec)
    table = shape_bias_per_class(
        read_runs(snakemake.input.predictions),
        dataset=spec["dataset"],
        order=[info["name"] for info in spec["grid"]],
        classes=read_json(snakemake.input.data)["classes"],
        statistics=Statistics.model_validate(spec["statistics"]),
        data_seed=spec["data_seed"],
    )
    write_text(snakemake.output[0], to_csv(table))
