"""Claims 8 and 9b: sparseness, edges and noise of saliency maps, and how they move, image by image."""

import math

from shapelens.claims import lacks
from shapelens.claims.common import STYLISED, missing
from shapelens.claims.evidence import Evidence
from shapelens.claims.per_image import PerImage
from shapelens.claims.verdicts import Claim, Inside, Missing, Question
from shapelens.stats.paired import CLEAN
from shapelens.stats.resampling import Quantity, mean

TESTSETS = ("clean", "saturation-1024", STYLISED)
OPTIONAL = (STYLISED,)
"""Asked where a study has it."""
GRAD, SMOOTHGRAD, INTEGRATED = "grad", "smoothgrad", "integrated-gradients"
NOT_NEGATIVE = (0.0, math.inf)
STRONG = "a PGD-ℓ∞ model that has learned and not collapsed"
MAPS = Missing("saliency maps", config="saliency: {methods: [grad, smoothgrad], models: all}")
BOTH_MAPS = Missing("Grad and SmoothGrad maps of every model", config=MAPS.config)
MOVED = 0.5
"""Share of the way from the standard to the PGD model by which the spatial model may differ from the standard one."""


def claim_8a(evidence: Evidence) -> Claim:
    """Per-image Gini sparseness: AT − standard > 0 and AT − underfit > 0.

    Grad, and Integrated Gradients where the study has them, agree in sign with SmoothGrad.
    """
    return _compare(evidence, "8a", "gini", "Gini sparseness")


def claim_8b(evidence: Evidence) -> Claim:
    """Per-image share of the map on edges: the same conditions as 8a."""
    return _compare(evidence, "8b", "edge_share", "share on edges")


def claim_8c(evidence: Evidence) -> Claim:
    """Total variation of Grad exceeds SmoothGrad's for every model, and by more for standard and underfit."""
    maps = evidence.images("saliency")
    lacking = evidence.lacking_models(underfit=True)
    measurable = maps and [
        model
        for model in evidence.compared
        if all(maps.has(model, "clean", method=method) for method in (GRAD, SMOOTHGRAD))
    ]
    if lacking or not maps or not measurable or len(measurable) < len(evidence.compared):
        return evidence.judge("8c", missing(*(lacking or [BOTH_MAPS])))
    tv = {
        (model, method): _mean(maps, "total_variation", model, CLEAN, method)
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
            parts={other: excess[model] - excess[other] for other in evidence.adversarial},
        )
        for model in (str(evidence.standard), str(evidence.underfit))
    ]
    return evidence.judge("8c", {"clean images": questions}, maps.about())


def _compare(evidence: Evidence, claim: str, measure: str, name: str) -> Claim:
    maps = evidence.images("saliency")
    lacking = evidence.lacking_models(underfit=True)
    if maps is None or lacking:
        return evidence.judge(claim, missing(*(lacking or [MAPS])))
    questions: list[Question] = []
    testsets = [t for t in TESTSETS if t not in OPTIONAL or t in maps.testsets()]
    for testset in testsets:
        for baseline in (str(evidence.standard), str(evidence.underfit)):
            questions += _pairs(maps, evidence.adversarial, baseline, measure, name, testset)
    notes = maps.about()
    if not set(OPTIONAL) & set(testsets):
        notes.append("stylised images are not part of this study")
    return evidence.judge(claim, {"per image": questions}, notes, unreadable=evidence.unreadable(testsets))


def _mean(maps: PerImage, measure: str, model: str, testset: str, method: str) -> Quantity:
    return maps.mean(measure, model, testset, span=NOT_NEGATIVE, method=method)


def _pairs(
    maps: PerImage, adversarial: list[str], baseline: str, measure: str, name: str, testset: str
) -> list[Question]:
    """Return whether robust models exceed a baseline by SmoothGrad, and whether other methods have the same sign."""
    questions: list[Question] = []
    # Integrated Gradients are asked where a study has them.
    asked = (SMOOTHGRAD, GRAD, *((INTEGRATED,) if INTEGRATED in maps.values("method") else ()))
    for method in asked:
        if not all(maps.has(model, testset, method=method) for model in (*adversarial, baseline)):
            questions.append(_lack(f"{method} maps of every model on {testset}", testset))
            continue
        each = {model: _mean(maps, measure, model, testset, method) for model in adversarial}
        robust = mean(each.values())
        other = _mean(maps, measure, baseline, testset, method)
        questions.append(
            Inside(
                f"{name} of {method} maps on {testset}: adversarial less {baseline}"
                + (" (sign alone)" if method != SMOOTHGRAD else ""),
                unit=name,
                basis=f"{robust.value:.3f} and {other.value:.3f}",
                quantity=robust - other,
                above=0.0,
                by_value=method != SMOOTHGRAD,
                parts={model: found - other for model, found in each.items()},
            )
        )
    return questions


def claim_9b(evidence: Evidence) -> Claim:
    """|D(spatial) − D(standard)| < ½(D(standard) − D(PGD)) and D(standard) > D(PGD), on each transformed test set.

    D is the mean distance between a model's SmoothGrad maps of an image and of its transformed version; PGD is the
    strongest ℓ∞ model. The absolute value is asked for as two conditions, so that every interval is of a linear
    quantity.
    """
    standard, spatial, robust = evidence.standard, evidence.spatial, _strongest(evidence)
    strong = Missing(STRONG, config="" if "pgd-inf" in evidence.families.values() else lacks.ADVERSARIAL_MODEL.config)
    wanted = ((lacks.STANDARD, standard), (evidence.lacking_spatial, spatial), (strong, robust))
    maps = evidence.images("saliency")
    if standard is None or spatial is None or robust is None or maps is None:
        lacking = [what for what, model in wanted if model is None]
        return evidence.judge("9b", missing(*lacking, *([] if maps else [MAPS])))
    models = (standard, spatial, robust)
    mapped = [name for name in maps.testsets() if name != CLEAN]
    if not mapped:
        return evidence.judge("9b", missing(_lack("maps of a transformed test set", TESTSETS[1])))
    lacking = [
        _lack(f"{SMOOTHGRAD} maps of {model} on {testset}", testset)
        for testset in mapped
        for model in models
        if not maps.has(model, testset, method=SMOOTHGRAD)
    ]
    if lacking:
        return evidence.judge("9b", missing(*lacking))
    questions = [question for testset in mapped for question in _moves(maps, testset, *models)]
    return evidence.judge("9b", {"per image": questions}, maps.about(), unreadable=evidence.unreadable(mapped))


def _lack(what: str, testset: str) -> Missing:
    """Return that maps of a test set are lacking, and what would ask for them."""
    methods = ", ".join((GRAD, SMOOTHGRAD))
    testsets = ", ".join(dict.fromkeys((CLEAN, testset)))
    return Missing(what, config=f"saliency: {{methods: [{methods}], testsets: [{testsets}], models: all}}")


def _strongest(evidence: Evidence) -> str | None:
    models = [model for model in evidence.adversarial if evidence.families[model] == "pgd-inf"]
    return max(models, key=lambda model: evidence.eps[model], default=None)


def _moves(maps: PerImage, testset: str, standard: str, spatial: str, robust: str) -> list[Question]:
    """Return the three conditions on one test set."""
    moved = {
        model: maps.mean("distance_to_clean", model, testset, method=SMOOTHGRAD)
        for model in (standard, spatial, robust)
    }
    span = moved[standard] - moved[robust]
    rise = moved[spatial] - moved[standard]
    basis = "D: " + ", ".join(f"{model} {found.value:.3f}" for model, found in moved.items())
    asked = (
        (f"D({standard}) − D({robust})", span),
        (f"½(D({standard}) − D({robust})) − (D({spatial}) − D({standard}))", span * MOVED - rise),
        (f"½(D({standard}) − D({robust})) + (D({spatial}) − D({standard}))", span * MOVED + rise),
    )
    return [
        Inside(f"{name} on {testset}", unit="map distance", basis=basis, quantity=quantity, above=0.0)
        for name, quantity in asked
    ]
