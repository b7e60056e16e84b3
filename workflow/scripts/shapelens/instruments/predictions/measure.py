"""Predictions of a model on every test set, as the workflow measures them."""

from pathlib import Path

import torch

from shapelens.instruments.measuring import Request
from shapelens.instruments.predictions.rows import prediction_table, write_parquet
from shapelens.models.classifier import Classifier


def write_predictions(classifier: Classifier, device: torch.device, request: Request, path: Path) -> None:
    """Write the table of predictions; see ``prediction_table``."""
    folders = request.testset_folders
    table = prediction_table(
        classifier,
        {name: folders[name] for name in request.spec["testsets"]},
        input_size=classifier.input_size,
        batch=request.batch,
        device=device,
    )
    write_parquet(path, table)
