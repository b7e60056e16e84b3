"""Claims 7 and 11: which frequencies models rely on, and which ones the attack changes."""

import numpy as np

from shapelens.claims import lacks
from shapelens.claims.common import gap_views, missing
from shapelens.claims.evidence import Evidence
from shapelens.claims.shape import LITTLE
from shapelens.claims.verdicts import Claim, Inside, Question
from shapelens.stats.resampling import Quantity

PERTURBATION = "perturbation_high"
IMAGE = "image_high"


def claim_7(evidence: Evidence) -> Claim:
    """Low-pass gap > δ, high-pass gap < −δ, |random-filter gap| < 5 points."""
    margin = evidence.statistics.margin
    views: dict[str, list[Question]] = {}
    for testset, above, below in (
        ("low-pass", margin, np.inf),
        ("high-pass", -np.inf, -margin),
        ("random-filter", -LITTLE, LITTLE),
    ):
        for view, questions in gap_views(evidence, [testset], above, below).items():
            views.setdefault(view, []).extend(questions)
    return evidence.judge("7", views, unreadable=evidence.unreadable(["low-pass", "high-pass"]))


def claim_11(evidence: Evidence) -> Claim:
    """For each model, the perturbation's share of energy above the radius exceeds the clean image's own, on average."""
    models = [
        model
        for model in evidence.compared
        if all({PERTURBATION, IMAGE} <= set(evidence.robust.get((model, seed), ())) for seed in evidence.seeds)
    ]
    if not models:
        return evidence.judge("11", missing(lacks.robust("the spectra of the perturbations")))
    questions: list[Question] = []
    for model in models:
        excess, perturbation, image = _excess(evidence, model)
        questions.append(
            Inside(
                f"high-frequency share of {model}'s perturbations less that of the images",
                basis=f"{100 * perturbation:.1f} and {100 * image:.1f} %",
                quantity=excess,
                above=0.0,
            )
        )
    return evidence.judge("11", {"perturbations": questions})


def _excess(evidence: Evidence, model: str) -> tuple[Quantity, float, float]:
    """Return the mean difference, and the means of both shares; images without a perturbation take no part."""
    ids = evidence.paired.ids
    values = np.full((len(evidence.seeds), 2, len(ids)), np.nan)
    for row, seed in enumerate(evidence.seeds):
        frame = evidence.robust[model, seed]
        place = np.searchsorted(ids, frame["image"].to_numpy(np.int64))
        for column, name in enumerate((PERTURBATION, IMAGE)):
            values[row, column, place] = frame[name].to_numpy(float)
    difference = values[:, :1] - values[:, 1:]
    present = np.isfinite(difference)
    excess = evidence.resampler.ratios(difference, present, (-1.0, 1.0), counted=False)[0]
    both = np.where(present, values, np.nan)
    shares = np.nanmean(both, axis=(0, 2)) if present.any() else np.full(2, np.nan)
    return excess, float(shares[0]), float(shares[1])
