"""Predictions of a model under attack, as the workflow measures them."""

from pathlib import Path

import torch

from shapelens.artefacts.files import open_image_set
from shapelens.instruments.measuring import Request
from shapelens.instruments.predictions.rows import write_parquet
from shapelens.instruments.robust.attack import robust_table
from shapelens.instruments.robust.spec import Robustness
from shapelens.models.classifier import Classifier


def write_robust(classifier: Classifier, device: torch.device, request: Request, path: Path) -> None:
    """Write the table of predictions under attack; see ``robust_table``."""
    robustness = Robustness.model_validate(request.spec["robustness"])
    table = robust_table(
        classifier,
        open_image_set(request.testset_folders["clean"]),
        robustness,
        request.spec["data_seed"],
        input_size=classifier.input_size,
        batch=robustness.batch,
        device=device,
    )
    write_parquet(path, table)
