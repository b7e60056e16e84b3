"""Tidy measurements made from the published tables, for the tests of figures and tables."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shapelens.instruments.declare import Figure
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo
from shapelens.plots.registry import FIGURES
from shapelens.plots.shown import Shown
from shapelens.plots.spec import FigureJob
from shapelens.stats.means import means_table

from .stats_data import by_run

MEASURES = ["gini", "edge_share", "total_variation", "distance_to_clean"]
REFERENCE = Path(__file__).parents[1] / "workflow" / "reference"
COLUMNS = ["dataset", "model", "seed", "testset", "metric", "value", "low", "high", "n", "published"]


def grid(seeds: tuple[int, ...] = (0, 1), calibration: bool = False) -> list[ModelInfo]:
    """Return the paper's eleven models."""
    models = [ModelInfo(name=name, family=name, seeds=seeds) for name in ("standard", "underfit")]
    models += [
        ModelInfo(name=f"{family}-{eps}", family=family, eps=eps if family == "pgd-l2" else eps / 255, seeds=seeds)
        for family, radii in (("pgd-inf", (1, 2, 4, 8)), ("pgd-l2", (4, 8, 12)), ("fgsm", (4, 8)))
        for eps in radii
    ]
    if calibration:
        models += [
            ModelInfo(name=f"calibration-{cue}", family="calibration", seeds=seeds) for cue in ("shape", "texture")
        ]
    return models


def entry(figure: str) -> Figure:
    """Return the entry of a figure."""
    return next(one for one in FIGURES if one.id == figure)


def shown(
    figure: str = "figure",
    models: Sequence[ModelInfo] | None = None,
    *,
    testsets: Sequence[str] = (),
    method: str = "",
    options: Mapping[str, Any] | None = None,
    dataset: str = "caltech256",
    **opened: Any,
) -> Shown:
    """Return what a figure shows; ``opened``: frames, or functions in place of methods, for what it would read."""
    job = FigureJob(
        dataset=dataset,
        data_seed=0,
        grid=tuple(grid() if models is None else models),
        display=Display(),
        confidence=0.95,
        figure=figure,
        draw="module:function",
        testsets=tuple(testsets),
        images=12,
        sheet_images=8,
        method=method,
        options=dict(options or {}),
    )
    found = Shown(job, dict.fromkeys(opened))
    for name, value in opened.items():
        setattr(found, name, value)
    return found


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval."""
    z = 1.96
    centre = (share + z * z / 2 / n) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / 4 / n / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def accuracy(dataset: str = "caltech256", n: int = 6000, seeds: int = 2, published: bool = True) -> pd.DataFrame:
    """Return accuracy.csv as it would look after a repetition of the paper with a little noise."""
    rng = np.random.default_rng(0)
    rows: list[tuple[object, ...]] = []
    with open(REFERENCE / "zhang_zhu_2019_tables.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["dataset"] != dataset or (row["table"] == "2" and row["metric"] == "accuracy"):
                continue
            printed = float(row["percent"]) / 100
            values = np.clip(printed + rng.normal(0, 0.015, seeds), 0, 1)
            key = dataset, row["model"]
            rest = row["testset"], row["metric"]
            for seed, value in enumerate(values):
                rows.append((*key, str(seed), *rest, value, *wilson(value, n), n, math.nan))
            mean = float(values.mean())
            rows.append((*key, "mean", *rest, mean, *wilson(mean, n), n, printed if published else math.nan))
    return pd.DataFrame(rows, columns=COLUMNS)


def undefine(frame: pd.DataFrame, model: str, testset: str) -> pd.DataFrame:
    """Make one number undefined, in every seed."""
    frame = frame.copy()
    hit = (frame["model"] == model) & (frame["testset"] == testset)
    frame.loc[hit, ["value", "low", "high"]] = math.nan
    return frame


def shape_bias(seeds: int = 2) -> pd.DataFrame:
    """Return shape biases on cues, those of the rulers 0 and 1."""
    rows: list[tuple[object, ...]] = []
    for place, model in enumerate(grid(calibration=True)):
        value = {"calibration-shape": 1.0, "calibration-texture": 0.0}.get(model.name, place / 12)
        for seed in [*map(str, range(seeds)), "mean"]:
            row = "cues", model.name, seed, "conflict", "shape_bias", value, *wilson(value, 500), 500 - place, math.nan
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def conflicts(classes: int = 3, seeds: int = 2) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return shape biases on both conflict sets, with their difference, and by class: of model m and class c, undefined
    for the first model and class."""
    whole, parts = [], []
    for place, model in enumerate(grid()):
        for testset, shift in (("conflict", 0.0), ("cue-conflict", 0.05)):
            value = place / 12 + shift
            for seed in [*map(str, range(seeds)), "mean"]:
                key = "cues", model.name, seed, testset
                whole.append((*key, "shape_bias", value, *wilson(value, 500), 500, math.nan))
                if not shift:
                    whole.append((*key, "shape_bias_difference", 0.05, 0.01, 0.09, 480, math.nan))
                for label in range(classes):
                    share = math.nan if place == label == 0 else (place + label / classes) / 12
                    ends = (math.nan, math.nan) if math.isnan(share) else wilson(share, 60)
                    parts.append((*key, f"class {label}", share, *ends, 0 if math.isnan(share) else 60))
    columns = ["dataset", "model", "seed", "testset", "class", "value", "low", "high", "n"]
    return pd.DataFrame(whole, columns=COLUMNS), pd.DataFrame(parts, columns=columns)


def per_image(images: int = 5, testsets: tuple[str, ...] = ("clean", "saturation-1024")) -> pd.DataFrame:
    """Return rows of the saliency instrument, all models together; distances to clean are undefined on clean images."""
    rng = np.random.default_rng(1)
    rows = [
        ("cues", m.name, seed, method, testset, i, *rng.normal((0.6, 0.3, 0.05), 0.05), float(distance))
        for m in grid()
        for seed in (0, 1)
        for method in ("grad", "smoothgrad")
        for testset in testsets
        for i in range(images)
        for distance in [math.nan if testset == "clean" else 0.3 + 0.01 * rng.normal()]
    ]
    return pd.DataFrame(rows, columns=["dataset", "model", "seed", "method", "testset", "image", *MEASURES])


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the tidy means of the saliency instrument's rows."""
    return means_table(by_run(rows), "cues", ["method"], MEASURES)
