"""What the adapters of all rules that measure a model begin with."""

import json
from pathlib import Path
from typing import Any

import torch

from shapelens.devices import configure, pick_device
from shapelens.models.classifier import Classifier
from shapelens.models.store import load_model


def open_job(snakemake: Any) -> tuple[dict[str, Any], Classifier, torch.device]:
    """Return the spec of a Snakemake job, and its model on the device that the job may use."""
    configure(snakemake.threads)
    device = pick_device(snakemake.resources.gpu)
    return json.loads(snakemake.params.spec), load_model(Path(snakemake.input.weights).parent, device), device
