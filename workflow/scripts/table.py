from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from shapelens.job import job, spec_of
from shapelens.stats.correlation import agreement
from shapelens.tables.footnotes import read_footnotes
from shapelens.tables.spec import TableJob
from shapelens.tables.write import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, TableJob)
    rows = pd.read_csv(snakemake.input.rows, dtype={"seed": str})
    if snakemake.wildcards.table == "agreement":
        rows = agreement(rows, kind=spec.kind, statistics=spec.statistics, data_seed=spec.data_seed)
    write_table(
        snakemake.wildcards.table,
        rows,
        spec.grid,
        snakemake.output,
        display=spec.display,
        confidence=spec.statistics.confidence,
        footnotes=read_footnotes(Path(snakemake.scriptdir).parent / "reference" / "footnotes.csv"),
    )
