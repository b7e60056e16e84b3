from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.instruments.runs import read_runs
from shapelens.job import job, spec_of
from shapelens.stats.known_answer import known_answers, predictions
from shapelens.stats.spec import KnownAnswerJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, KnownAnswerJob)
    runs = read_runs(snakemake.input.predictions)
    predicted = predictions(spec.cues, spec.adversaries)
    table = known_answers(runs, predicted, spec.order, dataset=spec.dataset)
    write_text(snakemake.output[0], to_csv(table))
