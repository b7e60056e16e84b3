"""Questions that several claims ask in the same form."""

import math
from collections.abc import Mapping, Sequence

from shapelens.claims.evidence import VIEWS, Evidence
from shapelens.claims.verdicts import Dose, Inside, Missing, Question
from shapelens.stats.paired import ROBUST
from shapelens.stats.resampling import Quantity

Views = Mapping[str, Sequence[Question]]
STYLISED = "stylised"
FEWEST = 4
"""Fewest models of which even perfect order could be significant: 1/4! < 0.05."""


def missing(*what: str) -> Views:
    """Return the views of a claim whose inputs are absent."""
    return {"inputs": [Missing(name) for name in what]}


def gap_views(
    evidence: Evidence, testsets: Sequence[str], above: float = -math.inf, below: float = math.inf
) -> dict[str, list[Question]]:
    """Return, for both views, whether the gap on each test set lies between two ends."""
    if (lack := evidence.missing_models()) is not None:
        return {"inputs": [Missing(lack)]}
    views: dict[str, list[Question]] = {}
    for view in VIEWS:
        questions: list[Question] = []
        for testset in testsets:
            if not evidence.has(testset):
                questions.append(Missing(testset_words(testset)))
                continue
            gap = evidence.gap(view, testset)
            basis = evidence.basis(view, testset)
            name = f"gap {testset if testset == ROBUST else 'on ' + testset}"
            questions.append(Inside(name, basis=basis, quantity=gap, above=above, below=below))
        views[view] = questions
    return views


def dose(evidence: Evidence, name: str, models: Sequence[str], scores: Mapping[str, Quantity]) -> Question:
    """Return whether a score rises with measured robust accuracy over some models."""
    if not evidence.has(ROBUST):
        return Missing("robust accuracy")
    if len(models) < FEWEST:
        return Missing(f"{FEWEST} or more models to rank by {name} (there are {len(models)})")
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
    )


def saturated(evidence: Evidence) -> list[str]:
    """Return the test sets of saturation 16 to 1024."""
    return [name for name in evidence.testsets("saturation-") if 16 <= level(name) <= 1024]


def level(testset: str) -> float:
    """Return the number at the end of a test set's name."""
    return float(testset.rsplit("-", 1)[-1])


def testset_words(testset: str) -> str:
    """Return what is missing in words."""
    return "robust accuracy" if testset == ROBUST else f"the test set {testset}"


testset_words.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test
