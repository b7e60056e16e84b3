from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from shapelens.artefacts.files import write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.job import job, spec_of
from shapelens.stats.correlation import agreement
from shapelens.stats.spec import StatisticsJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, StatisticsJob)
    accuracy = pd.read_csv(snakemake.input.accuracy, dtype={"seed": str})
    footnotes = pd.read_csv(
        Path(snakemake.scriptdir).parent / "reference" / "footnotes.csv", dtype=str, keep_default_na=False
    )
    table = agreement(
        accuracy,
        kind=spec.kind,
        statistics=spec.statistics,
        data_seed=spec.data_seed,
        misprints=footnotes[footnotes["misprint"] == "yes"],
    )
    write_text(snakemake.output[0], to_csv(table))
