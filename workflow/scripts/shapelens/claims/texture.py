"""Claims 3, 4 and 6: what saturation and stylisation, which take texture away, leave of each model."""

from shapelens.claims import lacks
from shapelens.claims.common import STYLISED, dose, gap_views, level, missing, saturated
from shapelens.claims.evidence import VIEWS, Evidence
from shapelens.claims.verdicts import Claim, Question, Share, number
from shapelens.stats.resampling import mean

SATURATED = ("saturation-8", "saturation-16", "saturation-64", "saturation-1024")
IDENTITY = 2.0
SMALL = 0.5
"""Largest share of the gap at high levels that still counts as little."""


def claim_3a(evidence: Evidence) -> Claim:
    """Gap > δ at 8, 16, 64 and 1024."""
    views = gap_views(evidence, SATURATED, above=evidence.statistics.margin)
    return evidence.judge("3a", views, unreadable=evidence.unreadable(SATURATED))


def claim_3b(evidence: Evidence) -> Claim:
    """Dose of the mean over saturation 16 to 1024 on measured robust accuracy, over the adversarial models."""
    testsets = saturated(evidence)
    if lacking := [*([] if testsets else [lacks.HIGH_SATURATION]), *evidence.lacking_models()]:
        return evidence.judge("3b", missing(*lacking))
    views: dict[str, list[Question]] = {}
    for view in VIEWS:
        scores = {
            model: mean(evidence.scores(view, testset)[model] for testset in testsets) for model in evidence.adversarial
        }
        views[view] = [dose(evidence, f"the mean over {', '.join(testsets)}", evidence.adversarial, scores)]
    return evidence.judge("3b", views, unreadable=evidence.unreadable(testsets))


def claim_4(evidence: Evidence) -> Claim:
    """|mean gap below level 2| / mean gap of 16 to 1024 < ½, the latter being clearly above zero."""
    low = [name for name in evidence.testsets("saturation-") if level(name) < IDENTITY]
    high = saturated(evidence)
    lacking = [what for what, sets in ((lacks.LOW_SATURATION, low), (lacks.HIGH_SATURATION, high)) if not sets]
    if lacking := [*lacking, *evidence.lacking_models()]:
        return evidence.judge("4", missing(*lacking))
    views: dict[str, list[Question]] = {}
    for view in VIEWS:
        whole = evidence.mean_gap(view, high)
        parts = evidence.gaps(view, low)
        basis = "; ".join(
            f"gap on {testset} {number(100 * evidence.gap(view, testset).value, 1)} points" for testset in (*low, *high)
        )
        views[view] = [
            Share(
                f"gap over {', '.join(low)} / gap over {', '.join(high)}",
                unit="share",
                basis=basis,
                quantity=evidence.mean_gap(view, low) / whole,
                above=-SMALL,
                below=SMALL,
                whole=whole,
                parts={model: parts[model] / own for model, own in evidence.gaps(view, high).items()},
            )
        ]
    return evidence.judge("4", views, unreadable=evidence.unreadable(high))


def claim_6(evidence: Evidence) -> Claim:
    """Gap on stylised images > δ."""
    views = gap_views(evidence, [STYLISED], above=evidence.statistics.margin)
    return evidence.judge("6", views, unreadable=evidence.unreadable([STYLISED]))
