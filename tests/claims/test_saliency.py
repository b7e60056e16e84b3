"""Claims about saliency maps, from per-image measures that are made up."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapelens.claims.evidence import Evidence
from shapelens.claims.verdicts import Claim

from ..stats_data import evidence, judged_by, predictions

MODELS = {"standard": 0.9, "underfit": 0.7, "pgd-inf-4": 0.75, "pgd-inf-8": 0.7}
ROBUST = ("pgd-inf-4", "pgd-inf-8")
IMAGES = 24


def measures(testsets: tuple[str, ...] = ("clean", "saturation-1024"), seeds: int = 1) -> pd.DataFrame:
    """Return maps in which robust models are sparser by 0.1, nearer edges by 0.2, and less noisy without smoothing."""
    rng = np.random.default_rng(0)
    rows = []
    for image in range(IMAGES):
        own = rng.normal(0, 0.05)
        for seed in range(seeds):
            for model in MODELS:
                robust = model in ROBUST
                for method in ("grad", "smoothgrad"):
                    for testset in testsets:
                        noise = rng.normal(0, 0.02, 3)
                        grad = method == "grad"
                        variation = 0.5 + (0.1 if robust else 0.3) * grad + own + noise[2]
                        rows.append(
                            {
                                "dataset": "study",
                                "model": model,
                                "seed": str(seed),
                                "method": method,
                                "testset": testset,
                                "image": 3 * image + 1,
                                "gini": 0.5 + 0.1 * robust + own + noise[0],
                                "edge_share": 0.3 + 0.2 * robust + own + noise[1],
                                "total_variation": variation,
                                "distance_to_clean": 0.0,
                            }
                        )
    return pd.DataFrame(rows).sample(frac=1, random_state=1)


def study(frame: pd.DataFrame | None, models: tuple[str, ...] = tuple(MODELS), **more: Any) -> Evidence:
    return evidence({m: {"clean": MODELS[m], "robust": 0.1} for m in models}, 60, saliency=frame, **more)


def judged(claim: str, frame: pd.DataFrame | None, **more: Any) -> Claim:
    return judged_by(claim, study(frame, **more))


@pytest.mark.parametrize("claim", ["8a", "8b", "8c"])
def test_what_was_made_up_is_found(claim: str) -> None:
    found = judged(claim, measures())
    assert found.verdict == "yes" and f"measured on {IMAGES} images" in found.note
    assert "checkpoints only" in found.note


@pytest.mark.parametrize(("claim", "measure"), [("8a", "gini"), ("8b", "edge_share"), ("8c", "total_variation")])
def test_planted_reversals_flip(claim: str, measure: str) -> None:
    frame = measures()
    frame[measure] = 1 - frame[measure]
    assert judged(claim, frame).verdict == "no"


def test_effects_are_those_made_up() -> None:
    found = judged("8a", measures())
    assert found.effect == pytest.approx(0.1, abs=0.02) and found.unit == "Gini sparseness"
    assert len(found.rows) == 8 and sum("(sign alone)" in row for row in found.rows) == 4
    assert "stylised images are not part of this study" in found.note
    both = judged("8a", measures(("clean", "saturation-1024", "stylised")))
    assert len(both.rows) == 12 and "stylised" not in both.note


def test_grad_must_agree_in_sign() -> None:
    frame = measures()
    robust = frame["model"].isin(ROBUST) & (frame["method"] == "grad") & (frame["testset"] == "clean")
    frame.loc[robust, "gini"] -= 0.3
    assert judged("8a", frame).verdict == "no"
    frame = measures()
    robust = frame["model"].isin(ROBUST) & (frame["method"] == "grad") & (frame["testset"] == "clean")
    # A sign too weak to be sure of denies nothing: the mean is put just below the standard model's.
    grad = (frame["model"] == "standard") & (frame["method"] == "grad") & (frame["testset"] == "clean")
    frame.loc[robust, "gini"] -= frame.loc[robust, "gini"].mean() - frame.loc[grad, "gini"].mean() + 1e-4
    assert judged("8a", frame).verdict == "undecided"


def test_claim_8c_fails_where_the_excess_of_robust_models_is_as_large() -> None:
    frame = measures()
    grad = frame["model"].isin(ROBUST) & (frame["method"] == "grad")
    frame.loc[grad, "total_variation"] += 0.4
    assert judged("8c", frame).verdict == "no"


@pytest.mark.parametrize("claim", ["8a", "8b", "8c"])
def test_missing_maps_are_named(claim: str) -> None:
    frame = measures()
    without = judged(claim, frame[frame["method"] == "grad"])
    assert without.verdict == "not asked" and "not in this study" in without.note
    assert judged(claim, None).asks == ("saliency: {methods: [grad, smoothgrad], models: all}",)
    assert judged(claim, frame[frame["model"] != "pgd-inf-8"]).verdict == "not asked"
    lone = judged(claim, frame, models=("standard", "pgd-inf-4", "pgd-inf-8"))
    assert lone.verdict == "not asked" and "an underfit model" in lone.note


def test_maps_are_averaged_over_seeds() -> None:
    runs, attacked = {}, {}
    for seed in range(3):
        some, under = predictions({m: {"clean": share, "robust": 0.1} for m, share in MODELS.items()}, 60, seed)
        runs |= {(model, seed): part for (model, _), part in some.items()}
        attacked |= {(model, seed): part for (model, _), part in under.items()}
    found = judged("8a", measures(seeds=3), predictions=runs, robust=attacked, selection={})
    assert found.verdict == "yes" and "checkpoints only" not in found.note
    # Maps of one seed do not stand for three.
    assert judged("8a", measures(seeds=1), predictions=runs, robust=attacked, selection={}).verdict == "not asked"
