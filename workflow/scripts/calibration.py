from typing import TYPE_CHECKING

import pandas as pd

from shapelens.artefacts.files import write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.instruments.runs import read_runs
from shapelens.job import job, spec_of
from shapelens.stats.calibration import calibration_gates
from shapelens.stats.spec import CalibrationJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    models = spec_of(snakemake, CalibrationJob).models
    gates = calibration_gates(read_runs(snakemake.input.predictions), models)
    write_text(snakemake.output[0], to_csv(pd.DataFrame([gate._asdict() for gate in gates])))
