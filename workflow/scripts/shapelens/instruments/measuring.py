"""The job of every instrument: open a model and its test sets, measure, write rows, arrays and a record."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from shapelens.artefacts.files import ImageSet, open_image_set, read_json, save_npz, sha256, verified_set, write_json
from shapelens.artefacts.parquet import write_parquet
from shapelens.errors import UserError
from shapelens.instruments.spec import MeasurementJob
from shapelens.job import spec_of
from shapelens.spec import Spec

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from shapelens.models.classifier import Classifier

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Measured:
    """What an instrument found on one model."""

    rows: "pd.DataFrame"
    """One row per image, or per layer, unit or concept: the first columns say which, the others are measures. The
    columns are the room's ``COLUMNS``."""
    arrays: Mapping[str, NDArray[Any]] | None = None
    """What there is to look at, such as saliency maps."""


@dataclass(frozen=True)
class Measurement:
    """What an instrument works on: one model, and the test sets that it reads."""

    classifier: "Classifier"
    """Maps images in [0, 1] at the network's input size to logits; on ``device``."""
    device: "torch.device"
    testsets: Mapping[str, Path]
    """Folders of the test sets by name; their hashes have been compared with their manifests."""
    spec: MeasurementJob
    batch: int
    """Images per pass; no part of what decides a result."""
    training: Path | None = None
    """Folder of the training images, compared with their manifest; None where the section reads none."""
    judge: "Classifier | None" = None
    """The study's model ``judge``, for an instrument that is ``judged``, where the study has one."""

    @property
    def data_seed(self) -> int:
        """Seed of everything that is drawn."""
        return self.spec.data_seed

    def settings(self, kind: type[S]) -> S:
        """Return the instrument's section of the config."""
        return kind.model_validate(self.spec.settings)

    def training_images(self) -> ImageSet | None:
        """Open the training images, memory-mapped; None where the section reads none."""
        return open_image_set(self.training) if self.training else None

    def images(self, testset: str) -> ImageSet:
        """Open a test set, memory-mapped."""
        return open_image_set(self.testsets[testset])


def measure_job(snakemake: Any) -> None:
    """Measure the model of a Snakemake job with the instrument whose module the rule names."""
    from shapelens.models.devices import configure, pick_device
    from shapelens.models.store import load_model

    spec = spec_of(snakemake, MeasurementJob)
    room = importlib.import_module(snakemake.params.module)
    configure(snakemake.threads)
    device = pick_device(snakemake.resources.gpu)
    folders = {path.parent.name: path.parent for path in map(Path, snakemake.input.manifests)}
    model = Path(snakemake.input.weights).parent
    judge = Path(snakemake.input.judge).parent if hasattr(snakemake.input, "judge") else None
    records = [Path(path) for path in getattr(snakemake.input, "training_record", ())]
    job = Measurement(
        classifier=load_model(model, device),
        device=device,
        testsets={name: verified_set(folders[name]) for name in spec.testsets},
        spec=spec,
        batch=snakemake.resources.batch,
        training=next((verified_set(record.parent / "train") for record in records), None),
        judge=load_model(judge, device) if judge else None,
    )
    measured: Measured = room.measure(job)
    refuse_other_columns(measured, room.COLUMNS, spec.instrument)
    rows, arrays = Path(snakemake.output.rows), snakemake.output.get("arrays")
    if (arrays is None) != (measured.arrays is None):
        said, found = ("no arrays", "some") if arrays is None else ("arrays", "none")
        raise UserError(
            f"instruments/{spec.instrument}: it declares {said} (has_arrays), but its measure returned {found}"
        )
    write_parquet(rows, measured.rows)
    files = [rows]
    if arrays is not None and measured.arrays is not None:
        save_npz(arrays, measured.arrays)
        files.append(Path(arrays))
    decided = record_of(spec, snakemake.params.code, model, job.testsets, judge)
    if records:
        decided["inputs"]["training"] = sha256(records[0])
    write_json(snakemake.output.record, {**decided, "sha256": {path.name: sha256(path) for path in files}})


def refuse_other_columns(measured: Measured, columns: tuple[str, ...], instrument: str) -> None:
    """Raise UserError where the rows have other columns than the room names: what is declared rests on those."""
    found = tuple(measured.rows.columns)
    if found != columns:
        raise UserError(
            f"instruments/{instrument}/measure.py: its rows have the columns {', '.join(map(str, found))}, but COLUMNS "
            f"names {', '.join(columns)}; make them equal"
        )


def record_of(
    spec: MeasurementJob, code: str, model: Path, testsets: Mapping[str, Path], judge: Path | None = None
) -> dict[str, Any]:
    """Return all that decided a measurement: its spec, the code, the weights, the test sets, the judge."""
    manifests = {name: sha256(folder / "manifest.json") for name, folder in testsets.items()}
    inputs: dict[str, Any] = {"weights": _weights(model), "testsets": manifests}
    if judge is not None:
        inputs["judge"] = _weights(judge)
    return {"spec": spec.model_dump(mode="json"), "code": code, "inputs": inputs}


def _weights(model: Path) -> str:
    sha: str = read_json(model / "selection.json")["weights_sha256"]
    return sha
