"""Claims 8: sparseness, edges and noise of saliency maps, image by image."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shapelens.claims.common import STYLISED, missing
from shapelens.claims.evidence import Evidence
from shapelens.claims.verdicts import Claim, Inside, Missing, Question
from shapelens.stats.resampling import Quantity, Resampler, mean

if TYPE_CHECKING:
    import pandas as pd

TESTSETS = ("clean", "saturation-1024", STYLISED)
OPTIONAL = (STYLISED,)
"""Asked where a study has it."""
GRAD, SMOOTHGRAD = "grad", "smoothgrad"


@dataclass(frozen=True)
class Maps:
    """Measures of maps, aligned by image."""

    frame: "pd.DataFrame"
    images: NDArray[np.int64]
    seeds: list[int]
    resampler: Resampler

    def has(self, model: str | None, method: str, testset: str) -> bool:
        """Tell whether maps were made with every seed."""
        rows = self._rows(str(model), method, testset)
        return bool(self.seeds) and set(self.seeds) <= {int(seed) for seed in rows["seed"].unique()}

    def mean(self, measure: str, model: str, method: str, testset: str) -> Quantity:
        """Return the mean over images and seeds."""
        rows = self._rows(model, method, testset)
        values: NDArray[Any] = np.full((len(self.seeds), 1, len(self.images)), np.nan)
        for row, seed in enumerate(self.seeds):
            part = rows[rows["seed"].astype(int) == seed]
            values[row, 0, np.searchsorted(self.images, part["image"].to_numpy(np.int64))] = part[measure].to_numpy(
                float
            )
        return self.resampler.ratios(values, np.isfinite(values), (0.0, math.inf), counted=False)[0]

    def _rows(self, model: str, method: str, testset: str) -> "pd.DataFrame":
        frame = self.frame
        return frame[(frame["model"] == model) & (frame["method"] == method) & (frame["testset"] == testset)]


def claim_8a(evidence: Evidence) -> Claim:
    """Per-image Gini sparseness: AT − standard > 0 and AT − underfit > 0; Grad agrees in sign with SmoothGrad."""
    return _compare(evidence, "8a", "gini", "Gini sparseness")


def claim_8b(evidence: Evidence) -> Claim:
    """Per-image share of the map on edges: the same conditions as 8a."""
    return _compare(evidence, "8b", "edge_share", "share on edges")


def claim_8c(evidence: Evidence) -> Claim:
    """Total variation of Grad exceeds SmoothGrad's for every model, and by more for standard and underfit."""
    maps = maps_of(evidence)
    lack = evidence.missing_models(underfit=True)
    measurable = maps and [
        model for model in evidence.compared if all(maps.has(model, method, "clean") for method in (GRAD, SMOOTHGRAD))
    ]
    if lack or not maps or not measurable or len(measurable) < len(evidence.compared):
        return evidence.judge("8c", missing(lack or "Grad and SmoothGrad maps of every model"))
    tv = {
        (model, method): maps.mean("total_variation", model, method, "clean")
        for model in evidence.compared
        for method in (GRAD, SMOOTHGRAD)
    }
    excess = {model: tv[model, GRAD] - tv[model, SMOOTHGRAD] for model in evidence.compared}
    robust = mean(excess[model] for model in evidence.adversarial)
    questions: list[Question] = [
        Inside(
            f"total variation of {model}'s Grad less SmoothGrad, clean images",
            unit="total variation",
            basis=f"{tv[model, GRAD].value:.3g} and {tv[model, SMOOTHGRAD].value:.3g}",
            quantity=excess[model],
            above=0.0,
        )
        for model in evidence.compared
    ]
    questions += [
        Inside(
            f"that excess of {model} less the adversarial models' mean",
            unit="total variation",
            basis=f"{excess[model].value:.3g} and {robust.value:.3g}",
            quantity=excess[model] - robust,
            above=0.0,
        )
        for model in (str(evidence.standard), str(evidence.underfit))
    ]
    return evidence.judge("8c", {"clean images": questions}, about(maps))


def _compare(evidence: Evidence, claim: str, measure: str, name: str) -> Claim:
    maps = maps_of(evidence)
    lack = evidence.missing_models()
    if maps is None or lack is not None:
        return evidence.judge(claim, missing(lack or "saliency maps"))
    questions: list[Question] = []
    testsets = [t for t in TESTSETS if t not in OPTIONAL or (maps.frame["testset"] == t).any()]
    for testset in testsets:
        for other in ("standard", "underfit"):
            baseline = evidence.standard if other == "standard" else evidence.underfit
            if baseline is None:
                questions.append(Missing("an underfit model"))
                continue
            questions += _pairs(maps, evidence.adversarial, baseline, measure, name, testset)
    notes = about(maps)
    if not set(OPTIONAL) & set(testsets):
        notes.append("stylised images are not part of this study")
    return evidence.judge(claim, {"per image": questions}, notes)


def _pairs(maps: Maps, adversarial: list[str], baseline: str, measure: str, name: str, testset: str) -> list[Question]:
    """Return whether robust models exceed a baseline by SmoothGrad, and whether Grad has the same sign."""
    questions: list[Question] = []
    for method in (SMOOTHGRAD, GRAD):
        if not all(maps.has(model, method, testset) for model in (*adversarial, baseline)):
            questions.append(Missing(f"{method} maps of every model on {testset}"))
            continue
        robust = mean(maps.mean(measure, model, method, testset) for model in adversarial)
        other = maps.mean(measure, baseline, method, testset)
        questions.append(
            Inside(
                f"{name} of {method} maps on {testset}: adversarial less {baseline}"
                + (" (sign alone)" if method == GRAD else ""),
                unit=name,
                basis=f"{robust.value:.3f} and {other.value:.3f}",
                quantity=robust - other,
                above=0.0,
                sign_only=method == GRAD,
            )
        )
    return questions


def maps_of(evidence: Evidence) -> Maps | None:
    """Return the measures of a study's maps; None where there are none."""
    frame = evidence.saliency
    if frame is None or frame.empty:
        return None
    images = np.unique(frame["image"].to_numpy(np.int64))
    statistics = evidence.statistics
    resampler = Resampler(len(images), statistics.resamples, evidence.data_seed, "saliency")
    return Maps(frame, images, evidence.seeds, resampler)


def about(maps: Maps) -> list[str]:
    """Return what a reader must know of the maps."""
    return [f"measured on {len(maps.images)} images"]
