from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.instruments.runs import run_of
from shapelens.instruments.saliency.between_seeds import seed_agreement
from shapelens.job import job, spec_of
from shapelens.stats.spec import StatisticsJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, StatisticsJob)
    paths = {run_of(path): path for path in snakemake.input.maps}
    write_text(snakemake.output[0], to_csv(seed_agreement(paths, spec.dataset, spec.statistics.confidence)))
