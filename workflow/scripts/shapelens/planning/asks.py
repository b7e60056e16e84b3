"""What the job of each rule is given, as Snakemake compares it: one method a rule, canonical JSON of a typed spec."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar

from shapelens.claims.spec import ClaimsJob
from shapelens.datasets.spec import CueSetJob, DatasetJob, SingleCueJob, test_side
from shapelens.errors import UserError
from shapelens.models.spec import FinishedJob
from shapelens.planning.names import saliency_testsets, shown_testsets
from shapelens.planning.studies import Studies
from shapelens.plots.registry import FIGURES
from shapelens.spec import Spec, canonical_json
from shapelens.stats.spec import CalibrationJob, StatisticsJob
from shapelens.study.config import Study
from shapelens.stylisation.spec import StyleNetworksJob, StylesJob, StylisedJob
from shapelens.tables.spec import TableJob
from shapelens.training.spec import TrainingJob
from shapelens.transforms.spec import TestsetJob

T = TypeVar("T", bound=Spec)


class Asks:
    """One method for each rule; ``code`` gives the digest of an adapter."""

    def __init__(self, studies: Studies, code: Callable[[str], str]) -> None:
        self._studies = studies
        self._code = code
        self._grids: dict[str, list[dict[str, Any]]] = {}

    def dataset(self, wildcards: Any) -> str:
        """Return the spec of a dataset's splits."""
        study = self._studies.of(wildcards)
        return DatasetJob(dataset=study.dataset, data_seed=study.data_seed, splits=tuple(study.splits())).canonical()

    def testset(self, wildcards: Any) -> str:
        """Return the spec of a transformed test set."""
        study = self._studies.of(wildcards)
        chosen = self._one(study.testsets.transforms(), wildcards)
        return TestsetJob(testset=chosen, data_seed=study.data_seed).canonical()

    def stylised(self, wildcards: Any) -> str:
        """Return the spec of a stylised test set."""
        study = self._studies.of(wildcards)
        chosen = self._one(study.testsets.stylisations(), wildcards)
        return StylisedJob(testset=chosen, data_seed=study.data_seed).canonical()

    @staticmethod
    def _one(specs: Mapping[str, T], wildcards: Any) -> T:
        if wildcards.testset not in specs:
            raise UserError(
                f"{wildcards.testset} is no test set of study {wildcards.dataset}; `snakemake list` names all"
            )
        return specs[wildcards.testset]

    def styles(self, wildcards: Any) -> str:
        """Return the spec of the style images."""
        study = self._studies.of(wildcards)
        return StylesJob(styles=study.stylisation.styles, dataset=study.dataset, data_seed=study.data_seed).canonical()

    def style_networks(self, wildcards: Any) -> str:
        """Return the spec of the style networks, published ones by content."""
        study = self._studies.of(wildcards)
        content = self._studies.style_weights_digest(wildcards)
        return StyleNetworksJob(
            networks=study.stylisation.networks, data_seed=study.data_seed, content=content
        ).canonical()

    def single_cue(self, wildcards: Any) -> str:
        """Return the spec of the training images of a calibration model."""
        study = self._studies.of(wildcards)
        return SingleCueJob(dataset=study.dataset, data_seed=study.data_seed, cue=wildcards.cue).canonical()

    def cue_set(self, wildcards: Any) -> str:
        """Return the spec of a cue set."""
        study = self._studies.of(wildcards)
        return CueSetJob(dataset=study.dataset, data_seed=study.data_seed, testset=wildcards.testset).canonical()

    def training(self, wildcards: Any) -> str:
        """Return the spec of a trained model, its initial weights by content."""
        run = self._studies.of(wildcards).training_run(wildcards.model, int(wildcards.seed))
        return TrainingJob(
            run=run,
            adversary=self._studies.adversary(wildcards),
            initial_weights=self._studies.initial_weights(wildcards),
        ).canonical()

    def finished(self, wildcards: Any) -> str:
        """Return the spec of a finished model, its weights by content."""
        finished = self._studies.of(wildcards).finished()[wildcards.model]
        return FinishedJob(finished=finished, content=self._studies.weights_digest(wildcards)).canonical()

    def predictions(self, wildcards: Any) -> str:
        """Return the spec of a model's predictions."""
        return canonical_json({"testsets": self._studies.of(wildcards).testset_names()})

    def robust(self, wildcards: Any) -> str:
        """Return the spec of a model's robust accuracy."""
        study = self._studies.of(wildcards)
        return canonical_json(
            {"robustness": study.robustness_resolved().model_dump(mode="json"), "data_seed": study.data_seed}
        )

    def saliency(self, wildcards: Any) -> str:
        """Return the spec of a model's saliency maps; how many of them a sheet shows is display."""
        study = self._studies.of(wildcards)
        saliency = study.saliency.model_dump(mode="json", exclude={"sheet_images"})
        return canonical_json({"saliency": saliency, "data_seed": study.data_seed})

    def measurements(self) -> dict[str, Any]:
        """Return spec, code, test sets and models of what is measured along with the predictions, by study and rule."""
        return {name: self._measurements(name, study) for name, study in self._studies.items()}

    def _measurements(self, name: str, study: Study) -> dict[str, Any]:
        at = SimpleNamespace(dataset=name)
        models = [model for model in study.models if not study.is_calibration(model)]
        specs = {
            "robust": (self.robust(at), ["clean"]),
            "saliency": (self.saliency(at), saliency_testsets(study)),
        }
        return {
            rule: {"spec": spec, "code": self._code(f"{rule}.py"), "testsets": testsets, "models": models}
            for rule, (spec, testsets) in specs.items()
        }

    def statistics(self, wildcards: Any) -> str:
        """Return the spec of what is computed from per-image tables; no labels in it."""
        return StatisticsJob(**self._statistics(self._studies.of(wildcards))).canonical()

    @staticmethod
    def _statistics(study: Study) -> dict[str, Any]:
        return {
            "dataset": study.name,
            "kind": study.dataset.kind,
            "data_seed": study.data_seed,
            "statistics": study.statistics,
            "grid": tuple(info.model_copy(update={"label": ""}) for info in study.grid()),
        }

    def claims(self, wildcards: Any) -> str:
        """Return the spec of the claims, with the verdicts stated beforehand."""
        study = self._studies.of(wildcards)
        return ClaimsJob(
            **self._statistics(study),
            side=test_side(study.dataset),
            sides={name: test_side(other.dataset) for name, other in self._studies.items()},
            expected=study.expected,
        ).canonical()

    def calibration(self, wildcards: Any) -> str:
        """Return the calibration models, each with the images that it is trained on."""
        trained = self._studies.of(wildcards).trained()
        return CalibrationJob(models={name: m.images for name, m in trained.items() if m.images != "train"}).canonical()

    def table(self, wildcards: Any) -> str:
        """Return what a table needs to know of the study, labels included."""
        study = self._studies.of(wildcards)
        return TableJob(
            dataset=study.name,
            kind=study.dataset.kind,
            data_seed=study.data_seed,
            statistics=study.statistics,
            grid=tuple(study.grid()),
            display=study.display,
        ).canonical()

    def figure(self, figure: str) -> Callable[[Any], str]:
        """Return a function that gives what a figure needs to know of the study, labels and colours included."""

        def spec(wildcards: Any) -> str:
            study = self._studies.of(wildcards)
            shown = shown_testsets(study, FIGURES[figure]) if figure in FIGURES else [wildcards.testset]
            more = {
                "figure": figure,
                "confidence": study.statistics.confidence,
                "testsets": shown,
                "images": study.saliency.model_dump(mode="json")["images"],
                "sheet_images": study.saliency.sheet_images,
            }
            return canonical_json({**self._drawn(study), **more})

        return spec

    def _drawn(self, study: Study) -> dict[str, Any]:
        return {
            "dataset": study.name,
            "kind": study.dataset.kind,
            "data_seed": study.data_seed,
            "grid": self._grid(study),
            "display": study.display.model_dump(mode="json"),
        }

    def _grid(self, study: Study) -> list[dict[str, Any]]:
        """Return the grid as plain data; every table and figure states all of it."""
        if study.name not in self._grids:
            self._grids[study.name] = [info.model_dump(mode="json") for info in study.grid()]
        return self._grids[study.name]
