from typing import TYPE_CHECKING

from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def writer():
    from shapelens.instruments.predictions.measure import write_predictions

    return write_predictions


with job(snakemake, lease=False):
    # Imported once the log is there and the library is known to be this checkout's.
    from shapelens.instruments.measuring import measure

    measure(snakemake, writer)
