"""Per-image answers for the tests of statistics: from a table by hand, or such that published percentages come out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shapelens.claims.evidence import Evidence
from shapelens.claims.judging import judge_one
from shapelens.claims.verdicts import Claim
from shapelens.instruments.registry import CLAIMS
from shapelens.stats.spec import Statistics

PUBLISHED = Path(__file__).parents[1] / "workflow/reference/zhang_zhu_2019_tables.csv"
FAMILIES = {
    "standard": "standard",
    "underfit": "underfit",
    "pgd-inf-1": "pgd-inf",
    "pgd-inf-2": "pgd-inf",
    "pgd-inf-4": "pgd-inf",
    "pgd-inf-8": "pgd-inf",
    "pgd-l2-4": "pgd-l2",
    "pgd-l2-8": "pgd-l2",
    "pgd-l2-12": "pgd-l2",
    "fgsm-4": "fgsm",
    "fgsm-8": "fgsm",
    "spatial": "spatial",
}
PUBLISHED_MODELS = [name for name in FAMILIES if name != "spatial"]
EPS = {name: float(name.rsplit("-", 1)[1]) for name in FAMILIES if name[-1].isdigit()}
ADVERSARIAL = list(EPS)


def frame(testset: str, label: Any, predicted: Any, texture: Any = -1, image: Any = None) -> pd.DataFrame:
    """Return rows of predictions."""
    predicted = np.asarray(predicted)
    return pd.DataFrame(
        {
            "testset": testset,
            "image": np.arange(len(predicted)) if image is None else image,
            "label": np.broadcast_to(label, predicted.shape),
            "texture": np.broadcast_to(texture, predicted.shape),
            "predicted": predicted,
        }
    )


def shares(rows: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return a copy that a test may change."""
    return {model: dict(values) for model, values in rows.items()}


def published_shares(kind: str, models: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Return published shares in [0, 1] by model: clean and robust accuracy, else accuracy on correct by test set."""
    table = pd.read_csv(PUBLISHED)
    table = table[table["dataset"] == kind].drop_duplicates(["model", "testset", "metric"])
    found: dict[str, dict[str, float]] = {model: {} for model in models or PUBLISHED_MODELS}
    for row in table.itertuples():
        if row.model in found:
            found[row.model]["robust" if row.metric == "robust_accuracy" else row.testset] = row.percent / 100
    return found


def predictions(
    table: Mapping[str, Mapping[str, float]], images: int, seed: int = 0, comonotone: bool = True
) -> tuple[dict[tuple[str, int], pd.DataFrame], dict[tuple[str, int], pd.DataFrame]]:
    """Return per-image answers and answers under attack that have these shares.

    Assumed, since no paper prints it: the images that a weaker model classifies correctly when clean are among those of
    a stronger one (comonotone difficulty); which of them survive a transformation does not depend on that difficulty,
    and is comonotone between models too (with ``comonotone=False`` all that is independent); an image that is wrong
    when clean stays wrong. Labels are 1, wrong answers 0.
    """
    rng = np.random.default_rng(seed)
    names = list(dict.fromkeys(name for values in table.values() for name in values))
    rank = {name: rng.permutation(images) for name in names}
    runs, attacked = {}, {}
    for model, values in table.items():
        order = rank if comonotone else {name: rng.permutation(images) for name in names}
        right = {"clean": order["clean"] < round(values["clean"] * images)}
        for name in values:
            if name == "clean":
                continue
            kept = np.flatnonzero(right["clean"])
            share = values[name] / values["clean"] if name == "robust" else values[name]
            kept = kept[np.argsort(order[name][kept])][: round(share * len(kept))]
            right[name] = np.zeros(images, bool)
            right[name][kept] = True
        runs[model, 0] = pd.concat([frame(n, 1, right[n].astype(int)) for n in values if n != "robust"])
        if "robust" in values:
            attacked[model, 0] = frame("clean", 1, right["robust"].astype(int)).assign(
                clean_predicted=right["clean"].astype(int),
                perturbation_high=0.5,
                image_high=rng.uniform(0.0, 0.4, images),
            )
    return runs, attacked


def evidence(
    table: Mapping[str, Mapping[str, float]],
    images: int = 2000,
    collapsed: tuple[str, ...] = (),
    matched: bool = True,
    comonotone: bool = True,
    saliency: pd.DataFrame | None = None,
    ruler: Any = None,
    **more: Any,
) -> Evidence:
    """Return the evidence of a study whose models have these shares; ``saliency``: rows of all models together.

    ``ruler``: takes the place of the rulers' readings; None: everything can be read.
    """
    runs, attacked = predictions(table, images, comonotone=comonotone)
    selection = {
        (model, 0): {
            "collapsed": model in collapsed,
            "match": {"matched": matched} if model == "underfit" else None,
        }
        for model in table
    }
    given: dict[str, Any] = {
        "dataset": "study",
        "predictions": runs,
        "robust": attacked,
        "selection": selection,
        "families": {model: FAMILIES[model] for model in table},
        "eps": EPS,
        "statistics": Statistics(resamples=500),
        "data_seed": 0,
        "side": 224,
        "texts": {claim.id: claim.text for claim in CLAIMS.values()},
        "rows": {} if saliency is None else {"saliency": by_run(saliency)},
    }
    found = Evidence(**{**given, **more})
    vars(found)["ruler"] = ruler or ReadsAll()
    return found


class ReadsAll:
    """Stands for rulers by which everything can be read."""

    def __getattr__(self, question: str) -> Any:
        return lambda *_: None


def by_run(rows: pd.DataFrame) -> dict[tuple[str, int], pd.DataFrame]:
    """Split rows of many models by model and seed."""
    return {(str(model), int(seed)): part for (model, seed), part in rows.groupby(["model", "seed"], sort=False)}


def judged_by(claim: str, study: Evidence) -> Claim:
    """Judge one claim."""
    return judge_one(study, CLAIMS[claim])


def judge_all(study: Evidence) -> list[Claim]:
    """Judge every claim."""
    return [judged_by(claim, study) for claim in CLAIMS]
