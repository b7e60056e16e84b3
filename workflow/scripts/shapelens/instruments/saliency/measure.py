"""Saliency maps of a model, and what is measured on each of them."""

from shapelens.attribution.choose_images import choose_images
from shapelens.instruments.measuring import Measured, Measurement
from shapelens.instruments.saliency.maps_of_model import saliency_maps
from shapelens.instruments.saliency.rows import measure_maps
from shapelens.instruments.saliency.spec import Saliency

COLUMNS = (
    "method",
    "testset",
    "image",
    "gini",
    "edge_share",
    "total_variation",
    "distance_to_clean",
    "completeness_gap",
)


def measure(job: Measurement) -> Measured:
    """Return the maps of the chosen images on every chosen test set, and a row for each of them.

    See ``saliency_maps`` for the arrays and ``measure_maps`` for the rows.
    """
    saliency = job.settings(Saliency)
    testsets = {name: job.images(name) for name in job.testsets}
    arrays = saliency_maps(
        job.classifier,
        testsets,
        choose_images(testsets["clean"].labels, saliency.images, job.data_seed),
        saliency,
        job.data_seed,
        input_size=job.classifier.input_size,
        device=job.device,
    )
    return Measured(measure_maps(arrays, testsets["clean"].images), arrays)
