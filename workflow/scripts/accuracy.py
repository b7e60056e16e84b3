from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from shapelens.artefacts.files import read_json, write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.datasets.spec import is_complete
from shapelens.instruments.runs import read_runs
from shapelens.job import job, spec_of
from shapelens.stats.accuracy import accuracy_table, join_published
from shapelens.stats.spec import StatisticsJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, StatisticsJob)
    published = pd.read_csv(Path(snakemake.scriptdir).parent / "reference" / "zhang_zhu_2019_tables.csv")
    classes = len(read_json(snakemake.input.data)["classes"])
    table = accuracy_table(
        read_runs(snakemake.input.predictions),
        read_runs(snakemake.input.robust),
        dataset=spec.dataset,
        order=[info.name for info in spec.grid],
        # Fewer classes are another task, beside which the paper's numbers would mislead.
        published=join_published(published, spec.kind) if is_complete(spec.kind, classes) else None,
        statistics=spec.statistics,
        data_seed=spec.data_seed,
        has_scale=spec.has_scale,
    )
    write_text(snakemake.output[0], to_csv(table))
