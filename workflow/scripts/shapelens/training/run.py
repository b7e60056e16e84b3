"""One training job: from a dataset's folder to a model's folder."""

import csv
import hashlib
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shapelens.artefacts.files import read_json, sha256, verified_set, write_json, write_text
from shapelens.errors import UserError
from shapelens.models.classifier import Classifier
from shapelens.models.devices import describe
from shapelens.models.from_elsewhere import HISTORY_HEADER, initialise
from shapelens.models.snapshots import drop_snapshots, gather_snapshots
from shapelens.models.store import save_model
from shapelens.models.within_memory import within_memory
from shapelens.spec import canonical_json
from shapelens.training.loop import Adversary, Images, Outcome, Penalty, train, uses_bf16
from shapelens.training.selection import Target
from shapelens.training.spec import RETEXTURED, TrainingRun
from shapelens.training.state import drop_state

log = logging.getLogger("shapelens")

LEARNS = 0.9
"""Share of the best receptive field's accuracy above chance with which a smaller one still learns the classes."""

AdversaryFactory = Callable[[TrainingRun, int], Adversary]
"""Builds the adversary of a run for images of a side; see ``shapelens.training.adversarial.pgd_adversary``."""

PenaltyFactory = Callable[[TrainingRun, int], Penalty]
"""Builds the penalty of a run for images of a side."""


def run_training(
    run: TrainingRun,
    data_folder: str | Path,
    out_folder: str | Path,
    state_root: str | Path,
    device: torch.device,
    adversary_factory: AdversaryFactory | None = None,
    match_selection: str | Path | None = None,
    *,
    penalty_factory: PenaltyFactory | None = None,
    code: str,
) -> None:
    """Train one model and write model.safetensors, spec.json, selection.json, history.csv and run.json.

    Where ``run.network.receptive_field`` names several sizes, each is trained, and the smallest that still learns the
    classes is kept. Where ``run.training.snapshots`` names epochs, snapshots.safetensors is written too, and
    selection.json has the epochs that it holds and its sha256.

    ``data_folder`` holds ``train`` and ``validation`` and their manifest.json; ``match_selection`` is the
    selection.json of the model that a matched model stops at; ``code`` is the code digest. An interrupted run leaves
    its state under ``state_root`` and continues from it when it is called with the same spec, code and data;
    it is deleted on success. All files but run.json are byte-identical from run to run on the same device and
    threads. Raises UserError for data, weights or settings that do not fit.
    """
    data_folder, out_folder = Path(data_folder), Path(out_folder)
    manifest = read_json(data_folder / "manifest.json")
    classes = len(manifest["classes"])
    if run.classes not in (None, classes):
        raise UserError(f"{run.model}: its spec has {run.classes} classes, but {data_folder} has {classes}")
    if manifest["splits"]["train"].get("images") == 0:
        raise UserError(
            f"{run.model} cannot be trained: {data_folder} has test images only. Give dataset.path a folder train too, "
            "or name finished models only, with rulers: false"
        )
    run = run.model_copy(update={"classes": classes})
    changed = run.adversary is not None or run.images == RETEXTURED
    if changed != (adversary_factory is not None) or (run.match is None) != (match_selection is None):
        raise ValueError(f"{run.model}: an adversary or a match needs its factory or selection.json, and only then")
    target = None
    if run.match is not None and match_selection is not None:
        target = Target(run.match, float(read_json(match_selection)["validation_accuracy"]))

    train_set, validation_set = (
        open_split(verified_set(data_folder / split), device) for split in ("train", "validation")
    )
    side = run.network.input_size or validation_set.images.shape[-1]

    def trained(one: TrainingRun) -> _Trained:
        model = initialise(one.network, classes, manifest["channel_mean"], manifest["channel_std"], one.seed)
        state_dir = Path(state_root) / state_name(one, code, manifest, target)
        outcome = train(
            one,
            model,
            train_set,
            validation_set,
            device=device,
            state_dir=state_dir,
            adversary=adversary_factory(one, side) if adversary_factory else None,
            penalty=penalty_factory(one, side) if penalty_factory else None,
            target=target,
        )
        return _Trained(one, model, outcome, state_dir)

    several = [trained(one) for one in sizes(run)]
    kept = smallest_that_learns(several, classes)
    outcome = kept.outcome
    kept.model.load_state_dict(outcome.weights)
    digest = save_model(kept.model, out_folder / "model.safetensors")
    write_json(out_folder / "spec.json", {"spec": kept.run.model_dump(mode="json"), "code": code})
    selection = {"model": run.model, "seed": run.seed, **outcome.selection, "weights_sha256": digest}
    if len(several) > 1:
        selection["receptive_field"] = {
            "kept": kept.size,
            "validation_accuracy": {str(one.size): one.accuracy for one in several},
        }
    if run.training.snapshots:
        sha = gather_snapshots(kept.state_dir, outcome.snapshots, out_folder / "snapshots.safetensors")
        selection["snapshots"] = {"epochs": list(outcome.snapshots), "sha256": sha}
    write_json(out_folder / "selection.json", selection)
    write_text(out_folder / "history.csv", history_csv(outcome))
    write_json(out_folder / "run.json", run_record(run, outcome, device))
    for one in several:
        drop_snapshots(one.state_dir)
        drop_state(one.state_dir)


@dataclass(frozen=True)
class _Trained:
    """One finished training."""

    run: TrainingRun
    model: Classifier
    outcome: Outcome
    state_dir: Path

    @property
    def accuracy(self) -> float:
        """Clean validation accuracy of the kept checkpoint."""
        return float(self.outcome.selection["validation_accuracy"])

    @property
    def size(self) -> int:
        """Its receptive field, in pixels."""
        return self.run.network.receptive_field[0]


def sizes(run: TrainingRun) -> list[TrainingRun]:
    """Return one run for each receptive field that a BagNet's run names, the smallest first; any other run alone."""
    fields = sorted(set(run.network.receptive_field))
    if not fields:
        return [run]
    networks = [run.network.model_copy(update={"receptive_field": (field,)}) for field in fields]
    return [run.model_copy(update={"network": network}) for network in networks]


def smallest_that_learns(several: Sequence[_Trained], classes: int) -> _Trained:
    """Return the first training with at least LEARNS of what the best of them has above chance."""
    best = max(one.accuracy for one in several)
    least = min(best, 1 / classes + LEARNS * (best - 1 / classes))  # below chance the best is the least that will do
    kept = next(one for one in several if one.accuracy >= least - 1e-9)
    if len(several) > 1:
        found = ", ".join(f"{one.size} px {one.accuracy:.3f}" for one in several)
        log.info("%s: receptive field %d, the smallest that learns: %s", kept.run.model, kept.size, found)
    return kept


def open_split(folder: Path, device: torch.device) -> Images:
    """Open a split on the device; on the CPU the images stay on disk, mapped, and are read batch by batch."""
    # Copy-on-write: torch takes no read-only memory, and nothing here writes to it.
    images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
    labels = np.load(folder / "labels.npy", allow_pickle=False)
    if len(images) != len(labels):
        raise UserError(f"{folder}: {len(images)} images but {len(labels)} labels; delete the folder and run again")
    size = f"{images.nbytes / 2**30:.1f} GiB"
    with within_memory(f"{folder}: {size} of images do not fit; lower dataset.limit_train or compute.jobs_per_gpu"):
        return Images(torch.from_numpy(images).to(device), torch.from_numpy(labels.astype(np.int64)).to(device))


def state_name(run: TrainingRun, code: str, manifest: dict[str, Any], target: Target | None) -> str:
    """Name a state by all that decides the result: spec, data, initial weights and target; and by the code."""
    weights = run.network.weights
    decides = {
        "run": run.model_dump(mode="json"),
        "data": {split: manifest["splits"][split]["sha256"] for split in ("train", "validation")},
        "weights": sha256(weights) if weights and Path(weights).is_file() else weights,
        "target": target.accuracy if target else None,
    }
    digests = (hashlib.sha256(text.encode()).hexdigest()[:16] for text in (canonical_json(decides), code))
    return "-".join((run.model, f"seed{run.seed}", *digests))


def history_csv(outcome: Outcome) -> str:
    """Return the history as CSV: one row per validation, floats at six significant digits, nothing where None.

    The column ``penalty`` is there only where the training had one.
    """
    text = io.StringIO()
    columns = [*HISTORY_HEADER.strip().split(","), *(["penalty"] if "penalty" in outcome.history[0] else [])]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in outcome.history:
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})
    return text.getvalue()


def run_record(run: TrainingRun, outcome: Outcome, device: torch.device) -> dict[str, Any]:
    """Return run.json: what was used and how long it took, never what decides a result."""
    images = outcome.steps * run.training.batch
    return {
        **describe(device),
        "precision": "bf16" if uses_bf16(run.training.precision, device) else "fp32",
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 3),
        "images_per_second": round(images / max(outcome.seconds, 1e-9), 1),
    }
