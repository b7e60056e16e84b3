"""Predictions of a model on every test set."""

from shapelens.instruments.measuring import Measured, Measurement
from shapelens.instruments.predictions.rows import prediction_table

COLUMNS = (
    "testset",
    "image",
    "label",
    "texture",
    "predicted",
    "probability",
    "rank",
    "texture_rank",
    "texture_probability",
)


def measure(job: Measurement) -> Measured:
    """Return the rows of ``prediction_table``, test sets in the order of the study."""
    table = prediction_table(
        job.classifier,
        job.testsets,
        input_size=job.classifier.input_size,
        batch=job.batch,
        device=job.device,
    )
    return Measured(table)
