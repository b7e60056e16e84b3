"""Claims 1 and 2: robustness, what it costs, and whether it is more than underfitting."""

from collections.abc import Sequence
from itertools import pairwise

from shapelens.claims.common import STYLISED, gap_views, missing, saturated, testset_words
from shapelens.claims.evidence import ADVERSARIAL, VIEWS, Evidence
from shapelens.claims.verdicts import PLAIN, Claim, Inside, Missing, Question, Share
from shapelens.stats.paired import CLEAN, ROBUST

SHARE_OF_UNDERFITTING = 0.25
"""Most of a gap that underfitting may explain."""


def claim_1a(evidence: Evidence) -> Claim:
    """Robust gap > δ."""
    return evidence.judge("1a", gap_views(evidence, [ROBUST], above=evidence.statistics.margin))


def claim_1b(evidence: Evidence) -> Claim:
    """Within each family clean accuracy falls with ε: every step to the next larger ε has a difference above zero."""
    questions: list[Question] = []
    scores = evidence.scores(PLAIN, CLEAN) if evidence.has(CLEAN) else {}
    for family in ADVERSARIAL:
        models = sorted(
            (model for model in evidence.adversarial if evidence.families[model] == family and model in scores),
            key=lambda model: evidence.eps[model],
        )
        for weak, strong in pairwise(models):
            questions.append(
                Inside(
                    f"clean accuracy of {weak} less that of {strong}",
                    basis=evidence.basis(PLAIN, CLEAN, [weak, strong]),
                    quantity=scores[weak] - scores[strong],
                    above=0.0,
                )
            )
    if not questions:
        questions.append(Missing("a family of adversarially trained models with two values of ε"))
    return evidence.judge("1b", {PLAIN: questions})


def claim_2_saturation(evidence: Evidence) -> Claim:
    """(underfit − standard) / gap < ¼ over saturation 16 to 1024; underfit is no more robust than standard."""
    testsets = saturated(evidence)
    if not testsets:
        return _underfitting(evidence, "2-saturation", [], ["test sets of saturation 16 to 1024"])
    return _underfitting(evidence, "2-saturation", [testsets], [])


def claim_2_stylised(evidence: Evidence) -> Claim:
    """(underfit − standard) / gap < ¼ on stylised images; underfit is no more robust than standard."""
    present = [[STYLISED]] if evidence.has(STYLISED) else []
    return _underfitting(evidence, "2-stylised", present, [] if present else [testset_words(STYLISED)])


def claim_2_shuffle(evidence: Evidence) -> Claim:
    """(underfit − standard) / gap < ¼ for shuffles with k = 2 and with 4; underfit is no more robust than standard."""
    names = ("patch-shuffle-2", "patch-shuffle-4")
    present = [[name] for name in names if evidence.has(name)]
    lacking = [f"the test set {name}" for name in names if not evidence.has(name)]
    return _underfitting(evidence, "2-shuffle", present, lacking)


def _underfitting(evidence: Evidence, claim: str, groups: Sequence[Sequence[str]], lacking: Sequence[str]) -> Claim:
    if (lack := evidence.missing_models(underfit=True)) is not None:
        return evidence.judge(claim, missing(lack))
    standard, underfit = str(evidence.standard), str(evidence.underfit)
    views: dict[str, list[Question]] = {}
    for view in VIEWS:
        questions: list[Question] = [Missing(what) for what in lacking]
        for testsets in groups:
            gap = evidence.mean_gap(view, testsets)
            part = evidence.mean_difference(view, testsets, underfit)
            questions.append(
                Share(
                    f"(underfit − standard) / gap over {', '.join(testsets)}",
                    unit="share",
                    basis="; ".join(evidence.basis(view, testset) for testset in testsets),
                    quantity=part / gap,
                    below=SHARE_OF_UNDERFITTING,
                    whole=gap,
                )
            )
        views[view] = questions
        if evidence.has(ROBUST, [standard, underfit]):
            margin = evidence.statistics.margin
            robust = evidence.difference(view, ROBUST, underfit)
            basis = evidence.basis(PLAIN, ROBUST, [standard, underfit])
            name = "robust accuracy of underfit less standard's"
            questions.append(Inside(name, basis=basis, quantity=robust, above=-margin, below=margin))
        else:
            questions.append(Missing("robust accuracy"))
    unmatched = [
        seed
        for seed in evidence.seeds
        if not (evidence.selection.get((underfit, seed), {}).get("match") or {}).get("matched")
    ]
    halt = f"undecided because {underfit} is not matched (seed {', '.join(map(str, unmatched))})" if unmatched else None
    return evidence.judge(claim, views, halt=halt)
