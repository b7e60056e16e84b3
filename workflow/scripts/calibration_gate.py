from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from shapelens.artefacts.files import write_text
from shapelens.errors import UserError
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    gates = pd.read_csv(snakemake.input.gates)
    failed = gates[~gates["passed"]]
    if len(failed):
        raise UserError(
            "the instrument does not read the calibration models right, so its other readings are not to be trusted.\n"
            f"{failed.to_string(index=False)}\nEvery result was written; see {snakemake.input.gates}. Look at the "
            "models' history.csv: too few epochs or images are the usual cause."
        )
    write_text(Path(snakemake.output[0]), gates.to_string(index=False) + "\n")
