"""Questions that several claims ask in the same form."""

import math
from collections.abc import Iterable, Mapping, Sequence

from shapelens.claims import lacks
from shapelens.claims.evidence import VIEWS, Evidence
from shapelens.claims.verdicts import Dose, Inside, Missing, Question
from shapelens.stats.paired import ROBUST
from shapelens.stats.resampling import Quantity

Views = Mapping[str, Sequence[Question]]
STYLISED = "stylised"
FEWEST = 4
"""Fewest models of which even perfect order could be significant: 1/4! < 0.05."""


def missing(*what: Missing | str) -> Views:
    """Return the views of a claim whose inputs are absent; of those in words no line of a config is known."""
    return {"inputs": [Missing(one) if isinstance(one, str) else one for one in what]}


def gap_views(
    evidence: Evidence, testsets: Sequence[str], above: float = -math.inf, below: float = math.inf
) -> dict[str, list[Question]]:
    """Return, for both views, whether the gap on each test set lies between two ends."""
    if lacking := evidence.lacking_models():
        # Sets that the study lacks, too: where models were trained and left out, these are what a config would ask.
        return {"inputs": [*lacking, *(lacks.testset(name) for name in testsets if not evidence.has(name))]}
    views: dict[str, list[Question]] = {}
    for view in VIEWS:
        questions: list[Question] = []
        for testset in testsets:
            if not evidence.has(testset):
                questions.append(lacks.testset(testset))
                continue
            questions.append(
                Inside(
                    f"gap {testset if testset == ROBUST else 'on ' + testset}",
                    basis=evidence.basis(view, testset),
                    quantity=evidence.gap(view, testset),
                    above=above,
                    below=below,
                    parts=evidence.gaps(view, [testset]),
                )
            )
        views[view] = questions
    return views


def shuffle_notes(testsets: Iterable[str]) -> list[str]:
    """Return what a reader must know of shuffled images."""
    if "patch-shuffle-2" not in testsets:
        return []
    return ["at k = 2 one permutation in 24 leaves an image whole, so the loss is understated by about 4 %"]


def dose(evidence: Evidence, name: str, models: Sequence[str], scores: Mapping[str, Quantity]) -> Question:
    """Return whether a score rises with measured robust accuracy over some models."""
    if not evidence.has(ROBUST):
        return lacks.ROBUST_ACCURACY
    if len(models) < FEWEST:
        return evidence.too_few(f"{FEWEST} or more models to rank by {name} (there are {len(models)})", FEWEST)
    robust, found = evidence.robust_accuracy(models), [scores[model] for model in models]
    values = ", ".join(
        f"{model} {100 * x.value:.1f} → {100 * y.value:.1f}" for model, x, y in zip(models, robust, found, strict=True)
    )
    return Dose(
        f"{name} rises with robust accuracy over {len(models)} models",
        unit="τ",
        basis=f"robust accuracy → score, in %: {values}",
        x=robust,
        y=found,
        data_seed=evidence.data_seed,
        margin=evidence.statistics.margin,
    )


def saturated(evidence: Evidence) -> list[str]:
    """Return the test sets of saturation 16 to 1024."""
    return [name for name in evidence.testsets("saturation-") if 16 <= level(name) <= 1024]


def level(testset: str) -> float:
    """Return the number at the end of a test set's name."""
    return float(testset.rsplit("-", 1)[-1])
