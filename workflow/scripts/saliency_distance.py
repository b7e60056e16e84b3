from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.instruments.runs import run_of
from shapelens.instruments.saliency.between_models import distance_table
from shapelens.job import job, spec_of
from shapelens.stats.spec import StatisticsJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    paths = {run_of(path): path for path in snakemake.input.maps}
    write_text(snakemake.output[0], to_csv(distance_table(paths, spec_of(snakemake, StatisticsJob).dataset)))
