"""Claims 5 and 10: what shuffling, which takes shape away, leaves, and whether robustness goes with shape."""

import math

from shapelens.claims import lacks
from shapelens.claims.common import dose, gap_views, missing, saturated, shuffle_notes
from shapelens.claims.evidence import VIEWS, Evidence
from shapelens.claims.verdicts import PLAIN, Claim, Measured, Missing, Question
from shapelens.stats.accuracy import mean_value
from shapelens.stats.intervals import Interval
from shapelens.stats.resampling import Quantity, mean

LITTLE = 0.05
"""Five points."""
SHUFFLED = ("patch-shuffle-2", "patch-shuffle-4")
CONFLICTS = ("conflict", "cue-conflict", "hybrid", "texture-exchange")
"""Sets of conflicting cues, where no rulers chose one: drawn with a known answer first."""


def claim_5a(evidence: Evidence) -> Claim:
    """Gap < −δ at k = 2 and 4."""
    views = gap_views(evidence, SHUFFLED, below=-evidence.statistics.margin)
    return evidence.judge("5a", views, shuffle_notes(SHUFFLED), unreadable=evidence.unreadable(SHUFFLED))


def claim_5b(evidence: Evidence) -> Claim:
    """Dose of k = 2 is negative: what shuffling takes rises with robust accuracy, over the adversarial models."""
    testset = SHUFFLED[0]
    if lacking := [*evidence.lacking_models(), *([] if evidence.has(testset) else [lacks.testset(testset)])]:
        return evidence.judge("5b", missing(*lacking))
    views = {
        view: [
            dose(
                evidence,
                f"the loss (score times −1) on {testset}",
                evidence.adversarial,
                {model: -evidence.scores(view, testset)[model] for model in evidence.adversarial},
            )
        ]
        for view in VIEWS
    }
    return evidence.judge("5b", views, shuffle_notes([testset]), unreadable=evidence.unreadable([testset]))


def claim_5c(evidence: Evidence) -> Claim:
    """|gap| < 5 points at k = 8, where less than half of shape is left."""
    testset = "patch-shuffle-8"
    refusal = evidence.ruler.still_there(testset, "shape") if evidence.has(testset) else None
    views = gap_views(evidence, [testset], above=-LITTLE, below=LITTLE)
    return evidence.judge("5c", views, unreadable=[refusal.reason] if refusal else [])


def claim_5d(evidence: Evidence) -> Claim:
    """Shuffle 2 is lower in the study of the smaller images, on average over the models that two studies share.

    The studies' images are independent. Within a study the models' intervals are averaged as if their errors moved
    together, which they can at most; the difference has the interval of Zou and Donner (2008).
    """
    testset = SHUFFLED[0]
    own = evidence.accuracy.get(evidence.dataset)
    others = {
        name: table
        for name, table in evidence.accuracy.items()
        if name != evidence.dataset and evidence.sides.get(name, evidence.side) != evidence.side
    }
    if own is None or not others:
        return evidence.judge("5d", missing(lacks.OTHER_SIZE))
    views: dict[str, list[Question]] = {}
    for view, metric in (("on correctly classified", "accuracy_on_correct"), (PLAIN, "accuracy")):
        questions: list[Question] = []
        for name, table in others.items():
            found = {
                model: (mean_value(own, model, testset, metric), mean_value(table, model, testset, metric))
                for model in evidence.compared
            }
            shared = {model: pair for model, pair in found.items() if not any(math.isnan(i.value) for i in pair)}
            if not shared:
                questions.append(Missing(f"{testset} of a model that {evidence.dataset} and {name} share"))
                continue
            here, there = (_average([pair[side] for pair in shared.values()]) for side in (0, 1))
            larger, smaller = (here, there) if evidence.side > evidence.sides[name] else (there, here)
            small, large = sorted(((evidence.side, evidence.dataset), (evidence.sides[name], name)))
            questions.append(
                Measured(
                    f"{testset} of {large[1]} ({large[0]} pixels) less that of {small[1]} ({small[0]} pixels)",
                    basis=f"mean of {', '.join(shared)}: {100 * larger.value:.1f} and {100 * smaller.value:.1f} %",
                    found=_difference(larger, smaller),
                    confidence=evidence.statistics.confidence,
                    above=0.0,
                )
            )
        views[view] = questions
    return evidence.judge("5d", views, unreadable=evidence.unreadable([testset]))


def _average(intervals: list[Interval]) -> Interval:
    value, low, high = (math.fsum(column) / len(intervals) for column in list(zip(*intervals, strict=True))[:3])
    return Interval(value, low, high, "mean of intervals")


def _difference(first: Interval, second: Interval) -> Interval:
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Interval(value, low, high, "of two independent means")


def claim_10(evidence: Evidence) -> Claim:
    """Dose of a named shape score on robust accuracy, over all compared models and over the adversarial ones.

    The score is shape bias where cues conflict, on the set whose ends the rulers read farthest apart on validation
    images, of the models that read either cue there; on own stimuli in a study without another such set; without any,
    mean(saturation 16 to 1024) less mean(shuffle 2, 4).
    """
    if not evidence.adversarial:
        return evidence.judge("10", missing(*evidence.lacking_models()))
    if (conflict := _conflict(evidence)) is not None:
        return _by_bias(evidence, conflict)
    high, shuffled = saturated(evidence), [testset for testset in SHUFFLED if evidence.has(testset)]
    lacking = [lacks.testset(testset) for testset in SHUFFLED if testset not in shuffled]
    lacking += [] if high else [lacks.HIGH_SATURATION]
    if lacking := [*lacking, *evidence.lacking_models()]:
        return evidence.judge("10", missing(*lacking))
    name = f"mean of {', '.join(high)} less mean of {', '.join(shuffled)}"
    views: dict[str, list[Question]] = {}
    for view in VIEWS:
        scores = {
            model: mean(evidence.scores(view, testset)[model] for testset in high)
            - mean(evidence.scores(view, testset)[model] for testset in shuffled)
            for model in evidence.compared
        }
        views[view] = _doses(evidence, name, scores)
    return evidence.judge("10", views, shuffle_notes(shuffled), unreadable=evidence.unreadable([*high, *shuffled]))


def _conflict(evidence: Evidence) -> str | None:
    """Return the conflict set that the rulers chose, else the first that there is; the user's own come last."""
    names = [evidence.chosen] if evidence.chosen else []
    return next((testset for testset in (*names, *CONFLICTS, *evidence.own_conflicts) if evidence.has(testset)), None)


def _by_bias(evidence: Evidence, conflict: str) -> Claim:
    name, refusal = f"shape bias on {conflict}", evidence.ruler.unreadable_bias(conflict)
    if refusal is not None:
        return evidence.judge("10", {name: []}, unreadable=[refusal.reason])
    withheld = {model: evidence.ruler.names_neither(model, conflict) for model in evidence.compared}
    biases = {model: bias for model, bias in evidence.shape_bias(conflict).items() if withheld[model] is None}
    notes = [f"left out: {reason}" for reason in withheld.values() if reason is not None]
    return evidence.judge("10", {name: _doses(evidence, name, biases)}, notes)


def _doses(evidence: Evidence, name: str, scores: dict[str, Quantity]) -> list[Question]:
    defined = [model for model in evidence.compared if model in scores and not math.isnan(scores[model].value)]
    groups = [defined, [model for model in defined if model in evidence.adversarial]]
    return [dose(evidence, name, models, scores) for models in groups]
