"""Claim 9a: what training against spatial changes leaves of robustness to PGD."""

from shapelens.claims import lacks
from shapelens.claims.common import missing
from shapelens.claims.evidence import VIEWS, Evidence
from shapelens.claims.shape import LITTLE
from shapelens.claims.verdicts import PLAIN, Claim, Inside, Question
from shapelens.stats.paired import CLEAN, ROBUST


def claim_9a(evidence: Evidence) -> Claim:
    """|robust accuracy of spatial − standard's| < 5 points."""
    standard, spatial = evidence.standard, evidence.spatial
    wanted = ((lacks.STANDARD, standard), (evidence.lacking_spatial, spatial))
    lacking = [what for what, model in wanted if model is None]
    if standard is None or spatial is None:
        return evidence.judge("9a", missing(*lacking))
    if not evidence.has(ROBUST, [standard, spatial]) or not evidence.has(CLEAN, [standard, spatial]):
        return evidence.judge("9a", missing(lacks.robust(f"robust accuracy of {standard} and {spatial}")))
    basis = evidence.basis(PLAIN, ROBUST, [standard, spatial])
    name = f"robust accuracy of {spatial} less {standard}'s"
    views: dict[str, list[Question]] = {
        view: [
            Inside(name, basis=basis, quantity=evidence.difference(view, ROBUST, spatial), above=-LITTLE, below=LITTLE)
        ]
        for view in VIEWS
    }
    return evidence.judge("9a", views)
