"""What the job of each rule is given, as Snakemake compares it: one method a rule, canonical JSON of a typed spec."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from shapelens.claims.spec import ClaimsJob
from shapelens.datasets.own_spec import ClassesJob, OwnSet, OwnSetJob
from shapelens.datasets.spec import Cues, CueSetJob, DatasetJob, NoTraining, SingleCueJob, test_side, train_side
from shapelens.errors import UserError
from shapelens.instruments.registry import INSTRUMENTS, TABLES, claims_of, path_of
from shapelens.instruments.spec import MeansJob, MeasurementJob
from shapelens.models.spec import FinishedJob
from shapelens.planning.names import shown_testsets, table_of, testsets_read
from shapelens.planning.studies import Studies
from shapelens.plots.spec import FigureJob
from shapelens.rulers.spec import ChoiceJob
from shapelens.spec import Spec
from shapelens.stats.spec import KnownAnswerJob, StatisticsJob
from shapelens.study.config import Study
from shapelens.stylisation.spec import DETAIL, CueConflict, StyleNetworksJob, StylesJob, Stylised, StylisedJob
from shapelens.tables.spec import TableJob
from shapelens.training.spec import TrainingJob
from shapelens.transforms.spec import MixedJob, TestsetJob

T = TypeVar("T", bound=Spec)
S = TypeVar("S", Stylised, CueConflict, Stylised | CueConflict)


class Asks:
    """One method for each rule."""

    def __init__(self, studies: Studies) -> None:
        self._studies = studies

    def dataset(self, wildcards: Any) -> str:
        """Return the spec of a dataset's splits."""
        study = self._studies.of(wildcards)
        return DatasetJob(dataset=study.dataset, data_seed=study.data_seed, splits=tuple(study.splits())).canonical()

    def testset(self, wildcards: Any) -> str:
        """Return the spec of a transformed test set."""
        study = self._studies.of(wildcards)
        chosen = self._one({**study.testsets.transforms(), **study.testsets.own_transforms()}, wildcards)
        return TestsetJob(testset=chosen, data_seed=study.data_seed).canonical()

    def own(self, wildcards: Any) -> str:
        """Return the spec of an own test set; what is made of it decides none of its images."""
        study = self._studies.of(wildcards)
        own = self._one(study.testsets.own_sources(), wildcards)
        return OwnSetJob(
            name=wildcards.testset,
            own=own.model_copy(update={"transforms": ()}) if isinstance(own, OwnSet) else own,
            resize=train_side(study.dataset),
            size=test_side(study.dataset),
            data_seed=study.data_seed,
        ).canonical()

    def classes(self, wildcards: Any) -> str:
        """Return the spec of the classes of a study without training images."""
        study = self._studies.of(wildcards)
        stated = study.dataset.classes if isinstance(study.dataset, NoTraining) else None
        return ClassesJob(classes=stated, sets={} if stated else study.testsets.own_sources()).canonical()

    def stylised(self, wildcards: Any) -> str:
        """Return the spec of a stylised test set."""
        study = self._studies.of(wildcards)
        chosen = self._with_detail(study, self._one(study.testsets.stylisations(), wildcards))
        return StylisedJob(testset=chosen, data_seed=study.data_seed).canonical()

    @staticmethod
    def _with_detail(study: Study, chosen: S) -> S:
        """Fill in a stylised set's detail: published networks keep making the images that the field's script makes."""
        if chosen.detail is not None:
            return chosen
        detail = DETAIL if study.stylisation.networks.source == "trained" else 0
        return chosen.model_copy(update={"detail": detail})

    @staticmethod
    def _one(specs: Mapping[str, T], wildcards: Any) -> T:
        if wildcards.testset not in specs:
            raise UserError(
                f"{wildcards.testset} is no test set of study {wildcards.dataset}; `snakemake list` names all"
            )
        return specs[wildcards.testset]

    def mixed(self, wildcards: Any) -> str:
        """Return the spec of a set that is mixed of two images each."""
        study = self._studies.of(wildcards)
        chosen = self._one(study.testsets.mixed(), wildcards)
        return MixedJob(testset=chosen, data_seed=study.data_seed).canonical()

    def ruler_choice(self, wildcards: Any) -> str:
        """Return the conflict sets among which the rulers choose."""
        study = self._studies.of(wildcards)
        conflict = study.testsets.cue_conflict
        return ChoiceJob(
            cues=study.dataset if study.dataset.kind == "cues" else None,
            cue_conflict=conflict and self._with_detail(study, conflict),
            hybrid=study.testsets.hybrid,
            texture_exchange=study.testsets.texture_exchange,
            data_seed=study.data_seed,
        ).canonical()

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
        """Return the spec of the training images of the shape ruler."""
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

    def measurement(self, name: str) -> Callable[[Any], str]:
        """Return a function that gives the spec of an instrument's measurement of a model."""
        instrument = INSTRUMENTS[name]

        def spec(wildcards: Any) -> str:
            study = self._studies.of(wildcards)
            section = study.section(instrument)
            if section is None:
                where = f"`{path_of(instrument)}: {{}}`"
                raise UserError(f"study {wildcards.dataset} does not ask for {name}; add {where} to its config")
            return MeasurementJob(
                instrument=name,
                settings=section.deciding(),
                data_seed=study.data_seed,
                testsets=tuple(testsets_read(study, instrument)),
                cues=study.dataset if instrument.finds_silhouettes and isinstance(study.dataset, Cues) else None,
            ).canonical()

        return spec

    def means(self, wildcards: Any) -> str:
        """Return the spec of an instrument's means."""
        study, instrument = self._studies.of(wildcards), INSTRUMENTS[wildcards.instrument]
        return MeansJob(
            dataset=study.name,
            keys=instrument.keys,
            metrics=tuple(instrument.metrics),
            shares=instrument.shares,
            confidence=study.statistics.confidence,
        ).canonical()

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
            "has_scale": not study.test_only,
            "grid": tuple(info.model_copy(update={"label": ""}) for info in study.grid()),
        }

    def ruler_readings(self, wildcards: Any) -> str:
        """Return the spec of what is computed from the rulers' rows alone: no other model is in it."""
        study = self._studies.of(wildcards)
        known = self._statistics(study)
        rulers = tuple(info for info in known["grid"] if study.is_calibration(info.name))
        return StatisticsJob(**{**known, "grid": rulers}).canonical()

    def claims(self, wildcards: Any) -> str:
        """Return the spec of the claims, with the verdicts stated beforehand."""
        study = self._studies.of(wildcards)
        return ClaimsJob(
            **self._statistics(study),
            side=test_side(study.dataset),
            sides={name: test_side(other.dataset) for name, other in self._studies.items()},
            expected=study.expected,
            claims=tuple(claims_of(study.instruments_asked())),
        ).canonical()

    def known_answer(self, wildcards: Any) -> str:
        """Return what the shape bias of a study's models is predicted from."""
        study = self._studies.of(wildcards)
        if not isinstance(study.dataset, Cues):
            raise UserError(f"study {study.name}: shape bias is predicted on drawn images only (dataset.kind: cues)")
        trained = study.trained()
        adversaries = {name: model.adversary for name, model in trained.items() if study.is_subject(name)}
        return KnownAnswerJob(
            dataset=study.name, cues=study.dataset, adversaries=adversaries, order=tuple(trained)
        ).canonical()

    def table(self, wildcards: Any) -> str:
        """Return what a table needs to know of the study, labels included."""
        study = self._studies.of(wildcards)
        return TableJob(
            table=replace(table_of(study, TABLES[wildcards.table]), caption=""),
            confidence=study.statistics.confidence,
            grid=tuple(study.grid()),
            display=study.display,
            has_scale=not study.test_only,
        ).canonical()

    def figure(self, wildcards: Any) -> str:
        """Return the spec of a figure, labels and colours included."""
        study, entry = self._studies.of(wildcards), self._studies.figure(wildcards)
        return FigureJob(
            dataset=study.name,
            data_seed=study.data_seed,
            grid=tuple(study.grid()),
            display=study.display,
            confidence=study.statistics.confidence,
            figure=entry.id,
            draw=entry.draw,
            testsets=tuple(shown_testsets(study, entry)),
            images=study.saliency.images,
            sheet_images=study.saliency.sheet_images,
            method=entry.method,
            sheet=entry.sheet,
            options=dict(entry.options),
        ).canonical()
