"""What the adapters of both training rules do."""

from pathlib import Path
from typing import Any

from shapelens.job import spec_of, state_folder
from shapelens.models.devices import configure, pick_device
from shapelens.training.run import AdversaryFactory, run_training
from shapelens.training.spec import TrainingJob

STATE = state_folder()
"""Where interrupted trainings keep their state; no rule declares it, so Snakemake never deletes it."""


def train_job(snakemake: Any, adversary_factory: AdversaryFactory | None = None) -> None:
    """Train the model of a Snakemake job; see ``run_training``. The attack, if any, comes as an argument."""
    configure(snakemake.threads)
    run_training(
        spec_of(snakemake, TrainingJob).run,
        Path(snakemake.input.manifest).parent,
        Path(snakemake.output.weights).parent,
        STATE,
        pick_device(snakemake.resources.gpu),
        adversary_factory=adversary_factory,
        match_selection=snakemake.input.get("match") or None,
        code=snakemake.params.code,
    )
