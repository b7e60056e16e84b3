"""Saliency maps of a model, and what is measured on each of them."""

from shapelens.attribution.choose_images import choose_images
from shapelens.datasets.silhouettes import silhouettes
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
    "gap_error",
    "standard_error",
    "object_share",
    "contour_share",
    "pointing",
    "object_area",
    "contour_area",
)


def measure(job: Measurement) -> Measured:
    """Return the maps of the chosen images on every chosen test set, and a row for each of them.

    See ``saliency_maps`` for the arrays and ``measure_maps`` for the rows. On drawn images the rows say how much of a
    map lies on the silhouette.
    """
    saliency = job.settings(Saliency)
    testsets = {name: job.images(name) for name in job.testsets}
    labels = testsets["clean"].labels
    chosen = choose_images(labels, saliency.images, job.data_seed)
    arrays = saliency_maps(
        job.classifier,
        testsets,
        chosen,
        saliency,
        job.data_seed,
        input_size=job.classifier.input_size,
        device=job.device,
        training=job.training_images(),
    )
    covered = None
    if job.spec.cues is not None:
        covered = silhouettes(
            job.spec.cues,
            labels[chosen].tolist(),
            chosen.tolist(),
            stream="test",
            mode="both",
            data_seed=job.data_seed,
        )
    return Measured(measure_maps(arrays, testsets["clean"].images, covered), arrays)
