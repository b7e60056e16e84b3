from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.instruments.runs import read_runs
from shapelens.job import job, spec_of
from shapelens.stats.paired import pair
from shapelens.stats.resampling import Resampler
from shapelens.stats.ruler import ruler_table
from shapelens.stats.spec import StatisticsJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, StatisticsJob)
    paired = pair(read_runs(snakemake.input.predictions), {})
    resampler = Resampler(len(paired.ids), spec.statistics.resamples, spec.data_seed)
    write_text(snakemake.output[0], to_csv(ruler_table(paired, resampler, spec.statistics, dataset=spec.dataset)))
