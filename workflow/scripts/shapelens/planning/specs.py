"""Specs and digests of every rule, as Snakemake compares them."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from shapelens.config import Study
from shapelens.datasets.spec import test_side
from shapelens.errors import UserError
from shapelens.planning.names import saliency_testsets, shown_testsets
from shapelens.planning.studies import Studies
from shapelens.plots.registry import FIGURES
from shapelens.spec import Spec, canonical_json


class Specs(Studies):
    """One method per rule, that returns canonical JSON."""

    def code(self, script: str) -> str:
        """Return the digest of an adapter's code and all library code that it imports."""
        return "code " + self.sources.digest(self.scripts / script)

    def dataset_spec(self, wildcards: Any) -> str:
        """Return the spec of a dataset's splits."""
        study = self.study(wildcards)
        return canonical_json(
            {
                "dataset": study.dataset.model_dump(mode="json"),
                "data_seed": study.data_seed,
                "splits": study.splits(),
            }
        )

    def testset_spec(self, wildcards: Any) -> str:
        """Return the spec of a transformed test set."""
        study = self.study(wildcards)
        return self._one_testset(study.testsets.transforms(), study, wildcards)

    def stylised_spec(self, wildcards: Any) -> str:
        """Return the spec of a stylised test set."""
        study = self.study(wildcards)
        return self._one_testset(study.testsets.stylisations(), study, wildcards)

    @staticmethod
    def _one_testset(specs: Mapping[str, Spec], study: Study, wildcards: Any) -> str:
        if wildcards.testset not in specs:
            raise UserError(
                f"{wildcards.testset} is no test set of study {wildcards.dataset}; `snakemake list` names all"
            )
        testset = specs[wildcards.testset].model_dump(mode="json")
        return canonical_json({"testset": testset, "data_seed": study.data_seed})

    def styles_spec(self, wildcards: Any) -> str:
        """Return the spec of the style images."""
        study = self.study(wildcards)
        return canonical_json(
            {
                "styles": study.stylisation.styles.model_dump(mode="json"),
                "dataset": study.dataset.model_dump(mode="json"),
                "data_seed": study.data_seed,
            }
        )

    def style_networks_spec(self, wildcards: Any) -> str:
        """Return the spec of the style networks, published ones by content."""
        study = self.study(wildcards)
        return canonical_json(
            {
                "networks": study.stylisation.networks.model_dump(mode="json"),
                "data_seed": study.data_seed,
                "content": self.style_weights_digest(wildcards),
            }
        )

    def single_cue_spec(self, wildcards: Any) -> str:
        """Return the spec of the training images of a calibration model."""
        study = self.study(wildcards)
        return canonical_json(
            {"dataset": study.dataset.model_dump(mode="json"), "data_seed": study.data_seed, "cue": wildcards.cue}
        )

    def cue_spec(self, wildcards: Any) -> str:
        """Return the spec of a cue set."""
        study = self.study(wildcards)
        return canonical_json(
            {
                "dataset": study.dataset.model_dump(mode="json"),
                "data_seed": study.data_seed,
                "testset": wildcards.testset,
            }
        )

    def training_spec(self, wildcards: Any) -> str:
        """Return the spec of a trained model, its initial weights by content."""
        run = self.study(wildcards).training_run(wildcards.model, int(wildcards.seed))
        return canonical_json({"run": run.model_dump(mode="json"), "initial_weights": self.initial_weights(wildcards)})

    def finished_spec(self, wildcards: Any) -> str:
        """Return the spec of a finished model, its weights by content."""
        finished = self.study(wildcards).finished()[wildcards.model]
        return canonical_json({"finished": finished.model_dump(mode="json"), "content": self.weights_digest(wildcards)})

    def prediction_spec(self, wildcards: Any) -> str:
        """Return the spec of a model's predictions."""
        return canonical_json({"testsets": self.study(wildcards).testset_names()})

    def robustness_spec(self, wildcards: Any) -> str:
        """Return the spec of a model's robust accuracy."""
        study = self.study(wildcards)
        return canonical_json(
            {"robustness": study.robustness_resolved().model_dump(mode="json"), "data_seed": study.data_seed}
        )

    def saliency_spec(self, wildcards: Any) -> str:
        """Return the spec of a model's saliency maps; how many of them a sheet shows is display."""
        study = self.study(wildcards)
        saliency = study.saliency.model_dump(mode="json", exclude={"sheet_images"})
        return canonical_json({"saliency": saliency, "data_seed": study.data_seed})

    def measurements(self) -> dict[str, Any]:
        """Return spec, code, test sets and models of what is measured along with the predictions, by study and rule."""
        return {name: self._measurements(name, study) for name, study in self.studies.items()}

    def _measurements(self, name: str, study: Study) -> dict[str, Any]:
        at = SimpleNamespace(dataset=name)
        models = [model for model in study.models if not study.is_calibration(model)]
        specs = {
            "robust": (self.robustness_spec(at), ["clean"]),
            "saliency": (self.saliency_spec(at), saliency_testsets(study)),
        }
        return {
            rule: {"spec": spec, "code": self.code(f"{rule}.py"), "testsets": testsets, "models": models}
            for rule, (spec, testsets) in specs.items()
        }

    def statistics_spec(self, wildcards: Any) -> str:
        """Return the spec of what is computed from per-image tables; no labels in it."""
        return canonical_json(self._statistics(self.study(wildcards)))

    def _statistics(self, study: Study) -> dict[str, Any]:
        return {
            "dataset": study.name,
            "kind": study.dataset.kind,
            "data_seed": study.data_seed,
            "statistics": study.statistics.model_dump(mode="json"),
            "grid": [{key: value for key, value in info.items() if key != "label"} for info in self._grid(study)],
        }

    def claims_spec(self, wildcards: Any) -> str:
        """Return the spec of the claims, with the verdicts stated beforehand."""
        study = self.study(wildcards)
        return canonical_json(
            {
                **self._statistics(study),
                "side": test_side(study.dataset),
                "sides": {name: test_side(other.dataset) for name, other in self.studies.items()},
                "expected": {claim: e.model_dump(mode="json") for claim, e in study.expected.items()},
            }
        )

    def calibration_spec(self, wildcards: Any) -> str:
        """Return the calibration models, each with the images that it is trained on."""
        trained = self.study(wildcards).trained()
        return canonical_json({"models": {name: m.images for name, m in trained.items() if m.images != "train"}})

    def table_spec(self, wildcards: Any) -> str:
        """Return what a table needs to know of the study, labels included."""
        study = self.study(wildcards)
        return canonical_json({**self._drawn(study), "statistics": study.statistics.model_dump(mode="json")})

    def figure_spec(self, figure: str) -> Callable[[Any], str]:
        """Return a function that gives what a figure needs to know of the study, labels and colours included."""

        def spec(wildcards: Any) -> str:
            study = self.study(wildcards)
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
