"""What claims are judged on: a study's per-image answers, and the gaps between models made from them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from shapelens.claims import lacks
from shapelens.claims.per_image import PerImage
from shapelens.claims.spec import Expectation
from shapelens.claims.verdicts import (
    COMMON,
    NOT_ASKED,
    NOT_READABLE,
    PLAIN,
    UNDECIDED,
    Claim,
    Missing,
    Question,
    Verdict,
    judge,
    number,
)
from shapelens.errors import UserError
from shapelens.names.testsets import kind_of
from shapelens.stats.paired import CLEAN, ROBUST, Paired, Run, pair, stack
from shapelens.stats.resampling import SEEDS_TO_RESAMPLE, Quantity, Resampler, mean
from shapelens.stats.ruler import Ruler
from shapelens.stats.spec import Statistics

if TYPE_CHECKING:
    import pandas as pd

ADVERSARIAL = ("pgd-inf", "pgd-l2", "fgsm")
"""Families of adversarially trained models; the spatial one is none of them: it attacks places, not values."""
FLOORED = (*ADVERSARIAL, "underfit", "spatial")
"""Families of models that must have learned something to take part."""
VIEWS = (COMMON, PLAIN)


@dataclass(frozen=True)
class Evidence:
    """A study's measurements, as the claims read them.

    The mean over seeds is taken of each model's values; models of the families finished and calibration, and those that
    have hardly learned, take no part, the spatially trained one only where a claim names it.
    """

    dataset: str
    """Name of the study."""
    predictions: Mapping[Run, "pd.DataFrame"]
    """Per-image answers by (model, seed): testset, image, label, texture, predicted."""
    robust: Mapping[Run, "pd.DataFrame"]
    """Per-image answers under attack by (model, seed): image, label, predicted, perturbation_high, image_high."""
    selection: Mapping[Run, Mapping[str, Any]]
    """selection.json by (model, seed)."""
    families: Mapping[str, str]
    """Family of each model, in the order of the grid."""
    eps: Mapping[str, float]
    """Radius of each adversarially trained model."""
    statistics: Statistics
    data_seed: int
    texts: Mapping[str, str] = field(default_factory=dict)
    """What each claim says, by id."""
    rows: "Mapping[str, Mapping[Run, pd.DataFrame]]" = field(default_factory=dict)
    """Rows of the other instruments by name, then by (model, seed)."""
    side: int = 0
    """Side of the test images as they are stored, in pixels."""
    accuracy: Mapping[str, "pd.DataFrame"] = field(default_factory=dict)
    """accuracy.csv of every study of the run, this one's included, by name."""
    sides: Mapping[str, int] = field(default_factory=dict)
    """Side of the test images of every study of the run, by name."""
    expected: Mapping[str, Expectation] = field(default_factory=dict)
    """Verdicts stated beforehand, by claim."""
    chosen: str | None = None
    """The conflict set that the rulers chose on validation images, where the study has any."""

    # Models

    @cached_property
    def standard(self) -> str | None:
        """The standard model that others are compared with: ``standard``, else the first of its family."""
        return self._first("standard")

    @cached_property
    def underfit(self) -> str | None:
        """The underfit model: ``underfit``, else the first of its family."""
        return self._first("underfit")

    @cached_property
    def spatial(self) -> str | None:
        """The spatially trained model: ``spatial``, else the first of its family."""
        return self._first("spatial")

    def _first(self, family: str) -> str | None:
        names = [
            model
            for model, found in self.families.items()
            if found == family and self._measured(model) and (family == "standard" or model not in self.unlearned)
        ]
        return family if family in names else next(iter(names), None)

    def _measured(self, model: str) -> bool:
        return any(name == model for name, _ in self.predictions)

    @cached_property
    def collapsed(self) -> dict[str, list[int]]:
        """Seeds in which adversarial training collapsed, by model; a model that collapsed in any seed is left out."""
        found: dict[str, list[int]] = {}
        for (model, seed), record in sorted(self.selection.items()):
            if record.get("collapsed") and self.families.get(model) in ADVERSARIAL:
                found.setdefault(model, []).append(seed)
        return found

    @cached_property
    def unlearned(self) -> dict[str, tuple[float, int]]:
        """Models that have hardly learned in a seed: the lowest clean validation accuracy, and its seed, by model.

        Of what the standard model of the same seed is above chance they have less than ``statistics.floor``. They take
        no part: what such a model loses or keeps says nothing of what trained ones look at.
        """
        found: dict[str, tuple[float, int]] = {}
        for (model, seed), record in sorted(self.selection.items()):
            own = record.get("validation_accuracy")
            best = self.selection.get((str(self.standard), seed), {}).get("validation_accuracy")
            if own is None or best is None or best <= self.chance or self.families.get(model) not in FLOORED:
                continue
            if own - self.chance < self.statistics.floor * (best - self.chance):
                found[model] = min(found.get(model, (own, seed)), (own, seed))
        return found

    @cached_property
    def chance(self) -> float:
        """Accuracy of guessing: one over the number of classes in the clean test images."""
        labels = next((sets[CLEAN].labels for sets in self.paired.answers.values() if CLEAN in sets), np.zeros(0))
        return 1 / max(1, len(np.unique(labels[labels >= 0])))

    @cached_property
    def adversarial(self) -> list[str]:
        """The adversarially trained models that have learned and not collapsed, in the order of the grid."""
        left_out = {*self.collapsed, *self.unlearned}
        return [
            model
            for model, family in self.families.items()
            if family in ADVERSARIAL and model not in left_out and self._measured(model)
        ]

    @cached_property
    def compared(self) -> list[str]:
        """Standard, underfit and adversarial models, in the order of the grid."""
        chosen = {self.standard, self.underfit, *self.adversarial}
        return [model for model in self.families if model in chosen]

    @cached_property
    def seeds(self) -> list[int]:
        """The training seeds that all compared models share; raises UserError where there are none."""
        sets = [{seed for name, seed in self.predictions if name == model} for model in self.compared]
        shared = sorted(set.intersection(*sets)) if sets else []
        if sets and not shared:
            raise UserError(
                f"{self.dataset}: {', '.join(self.compared)} share no training seed; train them with the same"
            )
        return shared

    # Quantities

    @cached_property
    def paired(self) -> Paired:
        """Answers aligned by image."""
        return pair(self.predictions, self.robust)

    @cached_property
    def own_conflicts(self) -> list[str]:
        """The user's own cue-conflict stimuli, by the names of their test sets."""
        sets = [found for answers in self.paired.answers.values() for found in answers.items()]
        return sorted({name for name, found in sets if kind_of(name) is None and found.conflict.any()})

    @cached_property
    def resampler(self) -> Resampler:
        """Resamples of the test images."""
        return Resampler(len(self.paired.ids), self.statistics.resamples, self.data_seed)

    @cached_property
    def ruler(self) -> Ruler:
        """What the models whose answer is known read on each test set."""
        return Ruler(self.paired, self.resampler, self.statistics)

    def unreadable(self, testsets: Iterable[str]) -> list[str]:
        """Return why test sets do not do what is claimed of them; those that were not measured are passed over."""
        measured = self.paired.testsets()
        refusals = [self.ruler.unreadable(testset) for testset in dict.fromkeys(testsets) if testset in measured]
        return list(dict.fromkeys(refusal.reason for refusal in refusals if refusal is not None))

    def images(self, instrument: str) -> PerImage | None:
        """Return what an instrument measured on each image; None where the study has nothing of it."""
        if instrument not in self._images:
            self._images[instrument] = self._open_images(instrument)
        return self._images[instrument]

    def _open_images(self, instrument: str) -> PerImage | None:
        rows = {run: frame for run, frame in self.rows.get(instrument, {}).items() if len(frame)}
        if not rows:
            return None
        images = np.unique(np.concatenate([frame["image"].to_numpy(np.int64) for frame in rows.values()]))
        resampler = Resampler(len(images), self.statistics.resamples, self.data_seed, instrument)
        return PerImage(rows, images, self.seeds, resampler)

    @cached_property
    def _images(self) -> dict[str, PerImage | None]:
        return {}

    @cached_property
    def _cache(self) -> dict[tuple[str, str], dict[str, Quantity]]:
        return {}

    def has(self, testset: str, models: Iterable[str] | None = None) -> bool:
        """Tell whether models (all compared ones by default) were measured on a test set with every shared seed."""
        names = self.compared if models is None else list(models)
        runs = [(model, seed) for model in names for seed in self.seeds]
        return bool(runs) and all(testset in self.paired.answers.get(run, {}) for run in runs)

    def testsets(self, prefix: str) -> list[str]:
        """Return the test sets with this prefix on which every compared model was measured, by level."""
        return [name for name in self.paired.testsets() if name.startswith(prefix) and self.has(name)]

    def scores(self, view: str, testset: str) -> dict[str, Quantity]:
        """Return the score of each compared model, and of the spatial one, on a test set, averaged over seeds.

        In plain accuracy: the share of images named. On the common subset: that share less the standard model's, over
        the images that both classify correctly when clean (pairwise, seed by seed); the standard model's own is 0.
        """
        key = (view, testset)
        if key not in self._cache:
            make = self._plain_scores if view == PLAIN else self._common_scores
            self._cache[key] = make(testset)
        return self._cache[key]

    def _plain_scores(self, testset: str) -> dict[str, Quantity]:
        return self._ratios(
            self._scored(testset),
            lambda model, seed: self.paired.answers[model, seed][testset].right.astype(np.int8),
            lambda model, seed: self.paired.answers[model, seed][testset].present,
            (0.0, 1.0),
        )

    def _common_scores(self, testset: str) -> dict[str, Quantity]:
        standard = self.standard
        if standard is None:
            return {}
        answers = self.paired.answers

        def common(model: str, seed: int) -> Any:
            present = answers[model, seed][testset].present
            return answers[model, seed][CLEAN].right & answers[standard, seed][CLEAN].right & present

        def difference(model: str, seed: int) -> Any:
            right, other = answers[model, seed][testset].right, answers[standard, seed][testset].right
            return right.astype(np.int8) - other

        return self._ratios(self._scored(testset), difference, common, (-1.0, 1.0))

    def _scored(self, testset: str) -> list[str]:
        """Return the compared models, and the spatial one where it was measured on the test set and on clean images."""
        spatial = [self.spatial] if self.spatial else []
        return [*self.compared, *(m for m in spatial if self.has(testset, [m]) and self.has(CLEAN, [m]))]

    def _ratios(
        self,
        models: Sequence[str],
        above: Callable[[str, int], Any],
        below: Callable[[str, int], Any],
        span: tuple[float, float],
    ) -> dict[str, Quantity]:
        numerators = np.stack([np.stack([above(model, seed) for model in models]) for seed in self.seeds])
        denominators = stack([[below(model, seed) for model in models] for seed in self.seeds])
        return dict(zip(models, self.resampler.ratios(numerators, denominators, span), strict=True))

    def shape_bias(self, testset: str) -> dict[str, Quantity]:
        """Return the shape bias of each compared model on a conflict set."""
        answers = self.paired.answers

        def shape(model: str, seed: int) -> Any:
            found = answers[model, seed][testset]
            return found.right & found.conflict

        return self._ratios(
            self.compared,
            lambda model, seed: shape(model, seed).astype(np.int8),
            lambda model, seed: shape(model, seed) | answers[model, seed][testset].texture,
            (0.0, 1.0),
        )

    def robust_accuracy(self, models: Iterable[str]) -> list[Quantity]:
        """Return the robust accuracy of some compared models."""
        scores = self.scores(PLAIN, ROBUST)
        return [scores[model] for model in models]

    def difference(self, view: str, testset: str, model: str) -> Quantity:
        """Return a model's score less the standard model's; on the common subset the score is that already."""
        scores = self.scores(view, testset)
        return scores[model] if view == COMMON or self.standard is None else scores[model] - scores[self.standard]

    def gap(self, view: str, testset: str) -> Quantity:
        """Return the mean over the adversarial models that have not collapsed, less the standard model."""
        return mean(self.difference(view, testset, model) for model in self.adversarial)

    def gaps(self, view: str, testsets: Sequence[str]) -> dict[str, Quantity]:
        """Return what the gap is a mean of: each adversarial model's difference, averaged over test sets."""
        return {model: self.mean_difference(view, testsets, model) for model in self.adversarial}

    def mean_gap(self, view: str, testsets: Sequence[str]) -> Quantity:
        """Return the gap averaged over test sets."""
        return mean(self.gap(view, testset) for testset in testsets)

    def mean_difference(self, view: str, testsets: Sequence[str], model: str) -> Quantity:
        """Return a model's score less the standard model's, averaged over test sets."""
        return mean(self.difference(view, testset, model) for testset in testsets)

    def basis(self, view: str, testset: str, models: Sequence[str] | None = None) -> str:
        """Return in words what models score on a test set, in percent, or in points where it is a difference."""
        scores = self.scores(view, testset)
        names = [model for model in (models or self.compared) if model in scores]
        if view == COMMON:
            names = [model for model in names if model != self.standard]
            what, sign = "points from standard", True
        else:
            what, sign = "% right", False
        texts = [number(100 * scores[model].value, 1) for model in names]
        values = ", ".join(f"{m} {text if sign else text[1:]}" for m, text in zip(names, texts, strict=True))
        return f"{testset}, {what}: {values}"

    # Verdicts

    def lacking_models(self, *, underfit: bool = False) -> list[Missing]:
        """Return which models a gap lacks."""
        found = []
        if self.standard is None:
            found.append(lacks.STANDARD)
        if not self.adversarial:
            found.append(self._lack(lacks.ADVERSARIAL_MODEL, ADVERSARIAL))
        if underfit and self.underfit is None:
            found.append(self._lack(lacks.UNDERFIT, ("underfit",)))
        return found

    def _lack(self, what: Missing, families: Sequence[str]) -> Missing:
        """Return that a model is lacking; no config asks for it where it was trained, and is left out."""
        trained = any(self.families.get(model) in families for model in (*self.collapsed, *self.unlearned))
        return Missing(what.name) if trained else what

    @cached_property
    def lacking_spatial(self) -> Missing:
        """That there is no spatially trained model."""
        return self._lack(lacks.SPATIAL, ("spatial",))

    def too_few(self, name: str, fewest: int) -> Missing:
        """Return that there are too few adversarial models; no config asks for more where enough were trained."""
        trained = sum(family in ADVERSARIAL for family in self.families.values())
        return Missing(name, config="" if trained >= fewest else lacks.FOUR_MODELS)

    def judge(
        self,
        claim: str,
        views: Mapping[str, Sequence[Question]],
        notes: Sequence[str] = (),
        halt: str | None = None,
        unreadable: Sequence[str] = (),
    ) -> Claim:
        """Judge a claim, with the notes that every claim of this study carries, and with what was expected of it.

        Args:
            claim: id of the claim.
            views: its questions by view.
            notes: what a reader must know.
            halt: the reason why it must stay undecided, if there is one.
            unreadable: sentences on what the instrument cannot read of what the claim is about; where there is one the
                claim is not readable, whatever its questions say.
        """
        common = [*unreadable, *([halt] if halt else []), *notes]
        if self.collapsed:
            names = ", ".join(f"{model} (seed {', '.join(map(str, seeds))})" for model, seeds in self.collapsed.items())
            common.append(f"left out because their training collapsed: {names}")
        if self.unlearned:
            names = ", ".join(
                f"{model} ({100 * accuracy:.1f} % of validation images right, seed {seed})"
                for model, (accuracy, seed) in self.unlearned.items()
            )
            common.append(f"left out because they have hardly learned: {names}")
        if len(self.seeds) < SEEDS_TO_RESAMPLE:
            common.append(f"about these checkpoints only ({len(self.seeds)} of at least {SEEDS_TO_RESAMPLE} seeds)")
        found = judge(claim, self.texts.get(claim, ""), views, self.statistics.confidence, common)
        expected, verdict = self.expected.get(claim), self._verdict(found, halt, unreadable)
        if verdict == NOT_READABLE:
            # A number that cannot be read is not printed as one that can.
            found = replace(found, effect=None, low=None, high=None, decided_by="")
        return replace(
            found,
            verdict=verdict,
            expected=expected.verdict if expected else None,
            why=expected.why if expected else "",
        )

    @staticmethod
    def _verdict(found: Claim, halt: str | None, unreadable: Sequence[str]) -> Verdict:
        if found.verdict == NOT_ASKED:
            return NOT_ASKED
        if unreadable:
            return NOT_READABLE
        return UNDECIDED if halt else found.verdict
