"""One process per model for all that is measured on it.

Predictions, robust accuracy and saliency maps are rules and files of their own, so that each is made again alone.
Loading torch and a model costs about as much as one of them takes on small images, so the job of the predictions, which
comes first, also makes whatever else the study wants of its model and is stale. It leaves that in an undeclared store,
from which the other rules' jobs take it without torch. An entry of the store is named by everything that decides it
(spec, code, weights, test sets), as the state of an interrupted training is: what does not match is never taken.
"""

import hashlib
import importlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapelens.artefacts.files import read_json, sha256, verified_set, write_json
from shapelens.artefacts.writing import atomic_path
from shapelens.errors import UserError
from shapelens.job import is_state_shared, lease_gpus, state_folder
from shapelens.spec import canonical_json

if TYPE_CHECKING:
    import torch

    from shapelens.models.classifier import Classifier

logger = logging.getLogger("shapelens")

STORE = state_folder() / "measured"
"""What was measured and not yet taken; no rule declares it, so Snakemake never deletes it."""
WANTED = Path(".snakemake/shapelens-measurements.json")
"""Spec and code of every measurement of the current run, by study; written when the workflow is parsed."""
HOST = "predict"
"""The rule whose job makes the other measurements too."""

Writer = Callable[["Classifier", "torch.device", "Request", Path], None]
"""Measures a model and writes the result to a path."""


@dataclass(frozen=True)
class Kind:
    """One sort of measurement: its folder below ``results/{dataset}``, its suffix, and its writer's dotted name."""

    folder: str
    suffix: str
    writer: str


KINDS: Mapping[str, Kind] = {
    "predict": Kind("predictions", "parquet", "shapelens.instruments.predictions.measure:write_predictions"),
    "robust": Kind("robust", "parquet", "shapelens.instruments.robust.measure:write_robust"),
    "saliency": Kind("maps", "npz", "shapelens.instruments.saliency.measure:write_maps"),
}
"""Every measurement by its rule. Names, not imports: what one depends on must not enter another's code digest."""


@dataclass(frozen=True)
class Request:
    """One measurement of one model."""

    kind: str
    dataset: str
    model: str
    seed: str
    spec: Mapping[str, Any]
    """What is measured, as Snakemake compares it."""
    code: str
    """Digest of the code that measures."""
    testsets: tuple[str, ...]
    """Test sets that are read."""
    batch: int = 256
    """Images per pass; no part of what decides the result."""
    results: Path = Path("results")
    """Folder of all results as the job sees it: a storage provider's copies lie elsewhere."""

    @property
    def folder(self) -> Path:
        """Folder of the study's results."""
        return self.results / self.dataset

    @property
    def testset_folders(self) -> dict[str, Path]:
        """Folders of the test sets, by name."""
        return {name: self.folder / "testsets" / name for name in self.testsets}

    @property
    def model_folder(self) -> Path:
        """Folder of the model's weights."""
        return self.folder / "models" / self.model / f"seed{self.seed}"

    @property
    def output(self) -> Path:
        """The file that the rule declares."""
        kind = KINDS[self.kind]
        return self.folder / kind.folder / self.model / f"seed{self.seed}.{kind.suffix}"

    @property
    def record(self) -> Path:
        """The small record beside it."""
        return self.output.with_suffix(".json")

    def inputs(self) -> dict[str, Any]:
        """Return digests of the weights and of the test sets that are read."""
        manifests = {name: sha256(folder / "manifest.json") for name, folder in self.testset_folders.items()}
        return {"weights": read_json(self.model_folder / "selection.json")["weights_sha256"], "testsets": manifests}

    def decides(self) -> dict[str, Any]:
        """Return all that decides the result."""
        return {"spec": dict(self.spec), "code": self.code, "inputs": self.inputs()}

    def stored(self) -> Path:
        """Return the place in the store, named by all that decides the result."""
        key = hashlib.sha256(canonical_json(self.decides()).encode()).hexdigest()[:24]
        return STORE / self.dataset / f"{self.kind}-{self.model}-seed{self.seed}-{key}{self.output.suffix}"

    def is_made(self) -> bool:
        """Tell whether the declared file is there and was made from exactly this."""
        if not (self.output.exists() and self.record.exists()):
            return False
        try:
            record = read_json(self.record)
        except UserError:  # a damaged record belongs to nothing
            return False
        return isinstance(record, dict) and all(record.get(key) == value for key, value in self.decides().items())

    def is_ready(self) -> bool:
        """Tell whether everything that is read is there."""
        return all((folder / "manifest.json").exists() for folder in self.testset_folders.values())


def request_of(snakemake: Any) -> Request:
    """Return the request of a Snakemake job."""
    spec = json.loads(snakemake.params.spec)
    wildcards = snakemake.wildcards
    testsets = tuple(Path(path).parent.name for path in snakemake.input.manifests)
    return Request(
        kind=snakemake.rule.rsplit("_", 1)[-1],  # a module's rules carry its prefix
        dataset=wildcards.dataset,
        model=wildcards.model,
        seed=wildcards.seed,
        spec=spec,
        code=snakemake.params.code,
        testsets=testsets,
        batch=snakemake.resources.batch,
        # The record's place below it is results/{dataset}/{folder}/{model}/seed{n}.json.
        results=Path(snakemake.output.record).parents[3],
    )


def measure(snakemake: Any, writer: Callable[[], Writer]) -> None:
    """Make the measurement of a Snakemake job, or take it from the store.

    ``writer`` imports and returns the function that measures: torch is loaded, and a GPU leased, only if it is needed.
    """
    request = request_of(snakemake)
    stored = request.stored()
    if stored.exists():
        logger.info("made by the process that measured predictions: %s", _log_of_host(request))
    else:
        _measure_all(request, writer, snakemake)
    with atomic_path(request.output) as temporary:
        temporary.unlink()
        shutil.move(stored, temporary)
    write_json(request.record, {**request.decides(), "sha256": sha256(request.output)})


def _log_of_host(request: Request) -> str:
    return str(request.folder / "logs" / HOST / f"{request.model}-seed{request.seed}.log")


def _measure_all(request: Request, writer: Callable[[], Writer], snakemake: Any) -> None:
    lease_gpus(snakemake)
    # Imported with the lease in hand: the second of these loads torch.
    from shapelens.models.devices import configure, pick_device
    from shapelens.models.store import load_model

    configure(snakemake.threads)
    device = pick_device(snakemake.resources.gpu)
    classifier = load_model(request.model_folder, device)
    checked: set[Path] = set()
    _write(writer(), classifier, device, request, checked)
    for other in companions(request) if request.kind == HOST else ():
        try:
            module, _, function = KINDS[other.kind].writer.partition(":")
            _write(getattr(importlib.import_module(module), function), classifier, device, other, checked)
        except Exception as error:
            # Its own job meets the same error and reports it where the user looks for it.
            logger.warning("%s was not made along the way: %s", other.kind, error)


def _write(
    writer: Writer, classifier: "Classifier", device: "torch.device", request: Request, checked: set[Path]
) -> None:
    """Measure into the store; ``checked`` are the test sets whose hashes this process has compared already."""
    for folder in set(request.testset_folders.values()) - checked:
        checked.add(verified_set(folder))
    stored = request.stored()
    stored.parent.mkdir(parents=True, exist_ok=True)
    for old in stored.parent.glob(f"{request.kind}-{request.model}-seed{request.seed}-*"):
        old.unlink()
    writer(classifier, device, request, stored)


def companions(request: Request) -> list[Request]:
    """Return what else the run wants of a model: not made yet, and with everything there that it reads.

    Nothing where the store is gone when the job ends, so that nobody could take it.
    """
    if request.results != Path("results") and not is_state_shared():
        return []
    wanted = read_json(WANTED) if WANTED.exists() else {}
    found = []
    for kind, what in wanted.get(request.dataset, {}).items():
        if kind == request.kind or request.model not in what["models"]:
            continue
        other = Request(
            kind=kind,
            dataset=request.dataset,
            model=request.model,
            seed=request.seed,
            spec=json.loads(what["spec"]),
            code=what["code"],
            testsets=tuple(what["testsets"]),
            batch=request.batch,
            results=request.results,
        )
        if other.is_ready() and not other.is_made() and not other.stored().exists():
            found.append(other)
    return found


def announce(wanted: Mapping[str, Any]) -> None:
    """Write what the current run wants of every model; an unwritable folder only costs the shared process."""
    text = canonical_json(wanted)
    try:
        if not WANTED.exists() or WANTED.read_text(encoding="utf-8") != text:
            with atomic_path(WANTED) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        logger.debug("%s: %s", WANTED, os.strerror(error.errno or 0))
