"""Predictions of a model under attack."""

from shapelens.instruments.measuring import Measured, Measurement
from shapelens.instruments.robust.attack import robust_table
from shapelens.instruments.robust.spec import Robustness

COLUMNS = ("image", "label", "clean_predicted", "predicted", "probability", "perturbation_high", "image_high")


def measure(job: Measurement) -> Measured:
    """Return the rows of ``robust_table``."""
    robustness = job.settings(Robustness)
    table = robust_table(
        job.classifier,
        job.images("clean"),
        robustness,
        job.data_seed,
        input_size=job.classifier.input_size,
        batch=robustness.batch,
        device=job.device,
    )
    return Measured(table)
