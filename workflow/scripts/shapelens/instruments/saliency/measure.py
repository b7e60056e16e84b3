"""Saliency maps of a model, as the workflow makes them."""

from pathlib import Path

import torch

from shapelens.artefacts.files import open_image_set, save_npz
from shapelens.attribution.choose_images import choose_images
from shapelens.instruments.measuring import Request
from shapelens.instruments.saliency.maps_of_model import saliency_maps
from shapelens.instruments.saliency.spec import Saliency
from shapelens.models.classifier import Classifier


def write_maps(classifier: Classifier, device: torch.device, request: Request, path: Path) -> None:
    """Write the maps of the chosen images on every chosen test set; see ``saliency_maps``."""
    saliency = Saliency.model_validate(request.spec["saliency"])
    testsets = {name: open_image_set(folder) for name, folder in request.testset_folders.items()}
    arrays = saliency_maps(
        classifier,
        testsets,
        choose_images(testsets["clean"].labels, saliency.images, request.spec["data_seed"]),
        saliency,
        request.spec["data_seed"],
        input_size=classifier.input_size,
        device=device,
    )
    save_npz(path, arrays)
