"""Claims 1 and 2: robustness, what it costs, and whether it is more than underfitting."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from shapelens.claims import lacks
from shapelens.claims.common import STYLISED, gap_views, missing, saturated, shuffle_notes
from shapelens.claims.evidence import ADVERSARIAL, VIEWS, Evidence
from shapelens.claims.verdicts import PLAIN, Claim, Inside, Missing, Question, Share
from shapelens.stats.paired import CLEAN, ROBUST

SHARE_OF_UNDERFITTING = 0.25
"""Most of a gap that underfitting may explain."""


def claim_1a(evidence: Evidence) -> Claim:
    """Robust gap > δ."""
    return evidence.judge("1a", gap_views(evidence, [ROBUST], above=evidence.statistics.margin))


def claim_1b(evidence: Evidence) -> Claim:
    """Within each family clean accuracy falls from the smallest ε to the largest, and no step of ε raises it beyond δ.

    Single steps may be flat, and seldom are known well enough to be told from flat; so a step denies the claim only if
    its whole interval is a rise beyond δ.
    """
    falls: list[Question] = []
    steps: list[Question] = []
    scores = evidence.scores(PLAIN, CLEAN) if evidence.has(CLEAN) else {}

    def fall(weak: str, strong: str, above: float, end: str = "") -> Question:
        return Inside(
            f"clean accuracy of {weak} less that of {strong}{end}",
            basis=evidence.basis(PLAIN, CLEAN, [weak, strong]),
            quantity=scores[weak] - scores[strong],
            above=above,
            by_value=bool(end),
        )

    for family in ADVERSARIAL:
        models = sorted(
            (model for model in evidence.adversarial if evidence.families[model] == family and model in scores),
            key=lambda model: evidence.eps[model],
        )
        if len(models) > 1:
            falls.append(fall(models[0], models[-1], 0.0))
        if len(models) > 2:
            margin = evidence.statistics.margin
            steps += [fall(*pair, -margin, " (no rise beyond δ)") for pair in pairwise(models)]
    if not falls:
        counts = Counter(evidence.families.values())
        two = any(counts[family] > 1 for family in ADVERSARIAL)
        falls.append(Missing(lacks.TWO_EPS.name) if two else lacks.TWO_EPS)
    return evidence.judge("1b", {PLAIN: [*falls, *steps]})


def claim_2_saturation(evidence: Evidence) -> Claim:
    """(underfit − standard) / gap < ¼ over saturation 16 to 1024, of a clear gain; underfit as robust as standard."""
    testsets = saturated(evidence)
    return (
        _underfitting(evidence, "2-saturation", [testsets], [])
        if testsets
        else _underfitting(evidence, "2-saturation", [], [lacks.HIGH_SATURATION])
    )


def claim_2_stylised(evidence: Evidence) -> Claim:
    """(underfit − standard) / gap < ¼ on stylised images, of a clear gain; underfit as robust as standard."""
    present = [[STYLISED]] if evidence.has(STYLISED) else []
    return _underfitting(evidence, "2-stylised", present, [] if present else [lacks.testset(STYLISED)])


def claim_2_shuffle(evidence: Evidence) -> Claim:
    """(underfit − standard) / gap < ¼ for shuffles with k = 2 and 4, of a clear loss; underfit no more robust."""
    names = ("patch-shuffle-2", "patch-shuffle-4")
    present = [[name] for name in names if evidence.has(name)]
    lacking = [lacks.testset(name) for name in names if not evidence.has(name)]
    return _underfitting(evidence, "2-shuffle", present, lacking, sign=-1)


def _underfitting(
    evidence: Evidence, claim: str, groups: Sequence[Sequence[str]], lacking: Sequence[Missing], sign: int = 1
) -> Claim:
    if lack := evidence.lacking_models(underfit=True):
        return evidence.judge(claim, missing(*lack, *lacking))
    standard, underfit = str(evidence.standard), str(evidence.underfit)
    views: dict[str, list[Question]] = {}
    for view in VIEWS:
        questions: list[Question] = [*lacking]
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
                    sign=sign,
                    parts={model: part / own for model, own in evidence.gaps(view, testsets).items()},
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
            questions.append(lacks.ROBUST_ACCURACY)
    unmatched = [
        seed
        for seed in evidence.seeds
        if not (evidence.selection.get((underfit, seed), {}).get("match") or {}).get("matched")
    ]
    halt = f"undecided because {underfit} is not matched (seed {', '.join(map(str, unmatched))})" if unmatched else None
    asked = [testset for testsets in groups for testset in testsets]
    return evidence.judge(claim, views, shuffle_notes(asked), halt, evidence.unreadable(asked))
