from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.instruments.runs import read_runs
from shapelens.instruments.spec import MeansJob
from shapelens.job import job, spec_of
from shapelens.stats.means import means_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, MeansJob)
    rows = read_runs(snakemake.input.rows)
    table = means_table(rows, spec.dataset, spec.keys, spec.metrics, spec.confidence, spec.shares)
    write_text(snakemake.output[0], to_csv(table))
