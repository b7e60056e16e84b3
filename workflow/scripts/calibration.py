import json
from typing import TYPE_CHECKING

import pandas as pd

from shapelens.files import write_text
from shapelens.job import job
from shapelens.stats.calibration import calibration_gates
from shapelens.tables.read import read_runs
from shapelens.tables.write import to_csv

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    models = json.loads(snakemake.params.spec)["models"]
    gates = calibration_gates(read_runs(snakemake.input.predictions), models)
    write_text(snakemake.output[0], to_csv(pd.DataFrame([gate._asdict() for gate in gates])))
