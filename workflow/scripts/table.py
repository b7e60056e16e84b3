from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from shapelens.job import job, spec_of
from shapelens.tables.footnotes import read_footnotes
from shapelens.tables.spec import TableJob
from shapelens.tables.write import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, TableJob)
    rows = pd.read_csv(snakemake.input.rows, dtype={"seed": str})
    write_table(
        spec.table,
        rows,
        spec.grid,
        snakemake.output,
        display=spec.display,
        confidence=spec.confidence,
        has_scale=spec.has_scale,
        footnotes=read_footnotes(Path(snakemake.scriptdir).parent / "reference" / "footnotes.csv"),
    )
