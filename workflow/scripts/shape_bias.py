from typing import TYPE_CHECKING

from shapelens.artefacts.files import read_json, write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.instruments.runs import read_runs
from shapelens.job import job, spec_of
from shapelens.stats.shape_bias import shape_bias_per_class
from shapelens.stats.spec import StatisticsJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, StatisticsJob)
    table = shape_bias_per_class(
        read_runs(snakemake.input.predictions),
        dataset=spec.dataset,
        order=[info.name for info in spec.grid],
        classes=read_json(snakemake.input.data)["classes"],
        statistics=spec.statistics,
        data_seed=spec.data_seed,
        has_scale=spec.has_scale,
    )
    write_text(snakemake.output[0], to_csv(table))
