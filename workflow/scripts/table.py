import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from shapelens.job import job
from shapelens.plots.grid import ModelInfo
from shapelens.plots.spec import Display
from shapelens.stats.correlation import agreement
from shapelens.stats.spec import Statistics
from shapelens.tables.footnotes import read_footnotes
from shapelens.tables.write import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = json.loads(snakemake.params.spec)
    rows = pd.read_csv(snakemake.input.rows, dtype={"seed": str})
    if snakemake.wildcards.table == "agreement":
        statistics = Statistics.model_validate(spec["statistics"])
        rows = agreement(rows, kind=spec["kind"], statistics=statistics, data_seed=spec["data_seed"])
    write_table(
        snakemake.wildcards.table,
        rows,
        [ModelInfo.model_validate(info) for info in spec["grid"]],
        snakemake.output,
        display=Display.model_validate(spec["display"]),
        confidence=spec["statistics"]["confidence"],
        footnotes=read_footnotes(Path(snakemake.scriptdir).parent / "reference" / "footnotes.csv"),
    )
