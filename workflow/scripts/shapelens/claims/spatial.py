"""Claims 9: what training against spatial changes leaves of robustness to PGD, and how its saliency maps move."""

from shapelens.claims.common import missing
from shapelens.claims.evidence import VIEWS, Evidence
from shapelens.claims.saliency import SMOOTHGRAD, Maps, about, maps_of
from shapelens.claims.shape import LITTLE
from shapelens.claims.verdicts import PLAIN, Claim, Inside, Question
from shapelens.stats.paired import CLEAN, ROBUST, testset_order

SPATIAL = "a spatially trained model"
STANDARD = "a standard model"
MOVED = 0.5
"""Share of the way from the standard to the PGD model by which the spatial model may differ from the standard one."""


def claim_9a(evidence: Evidence) -> Claim:
    """|robust accuracy of spatial − standard's| < 5 points."""
    standard, spatial = evidence.standard, evidence.spatial
    lacking = [what for what, model in ((STANDARD, standard), (SPATIAL, spatial)) if model is None]
    if standard is None or spatial is None:
        return evidence.judge("9a", missing(*lacking))
    if not evidence.has(ROBUST, [standard, spatial]) or not evidence.has(CLEAN, [standard, spatial]):
        return evidence.judge("9a", missing(f"robust accuracy of {standard} and {spatial}"))
    basis = evidence.basis(PLAIN, ROBUST, [standard, spatial])
    name = f"robust accuracy of {spatial} less {standard}'s"
    views: dict[str, list[Question]] = {
        view: [
            Inside(name, basis=basis, quantity=evidence.difference(view, ROBUST, spatial), above=-LITTLE, below=LITTLE)
        ]
        for view in VIEWS
    }
    return evidence.judge("9a", views)


def claim_9b(evidence: Evidence) -> Claim:
    """|D(spatial) − D(standard)| < ½(D(standard) − D(PGD)) and D(standard) > D(PGD), on each transformed test set.

    D is the mean distance between a model's SmoothGrad maps of an image and of its transformed version; PGD is the
    strongest ℓ∞ model. The absolute value is asked for as two conditions, so that every interval is of a linear
    quantity.
    """
    standard, spatial, robust = evidence.standard, evidence.spatial, _strongest(evidence)
    wanted = ((STANDARD, standard), (SPATIAL, spatial), ("a PGD-ℓ∞ model that has not collapsed", robust))
    maps = maps_of(evidence)
    if standard is None or spatial is None or robust is None or maps is None:
        lacking = [what for what, model in wanted if model is None]
        return evidence.judge("9b", missing(*lacking, *([] if maps else ["saliency maps"])))
    models = (standard, spatial, robust)
    mapped = sorted({str(name) for name in maps.frame["testset"]} - {CLEAN}, key=testset_order)
    if not mapped:
        return evidence.judge("9b", missing("maps of a transformed test set"))
    lacking = [
        f"{SMOOTHGRAD} maps of {model} on {testset}"
        for testset in mapped
        for model in models
        if not maps.has(model, SMOOTHGRAD, testset)
    ]
    if lacking:
        return evidence.judge("9b", missing(*lacking))
    questions = [question for testset in mapped for question in _moves(maps, testset, *models)]
    return evidence.judge("9b", {"per image": questions}, about(maps))


def _strongest(evidence: Evidence) -> str | None:
    models = [model for model in evidence.adversarial if evidence.families[model] == "pgd-inf"]
    return max(models, key=lambda model: evidence.eps[model], default=None)


def _moves(maps: Maps, testset: str, standard: str, spatial: str, robust: str) -> list[Question]:
    """Return the three conditions on one test set."""
    moved = {model: maps.mean("distance_to_clean", model, SMOOTHGRAD, testset) for model in (standard, spatial, robust)}
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
