"""Relative accuracies and reciprocal ranks: by hand, by the delta method, by coverage."""

import math

import numpy as np
import pandas as pd
import pytest

from shapelens.stats.accuracy import accuracy_table
from shapelens.stats.ruler import Ruler
from shapelens.stats.spec import Statistics

from ..stats_data import frame


@pytest.fixture(autouse=True)
def everything_is_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests have no rulers; ``test_ruler`` has those of what is withheld."""
    monkeypatch.setattr(Ruler, "withheld", lambda *_: None)


STATISTICS = Statistics(resamples=500)
Z = 1.96


def table(runs: dict[tuple[str, int], pd.DataFrame], seed: int = 0) -> pd.DataFrame:
    return accuracy_table(runs, {}, dataset="d", order=["m"], statistics=STATISTICS, data_seed=seed)


def row(found: pd.DataFrame, testset: str, metric: str, seed: str = "mean") -> pd.Series:
    (index,) = found.index[(found["testset"] == testset) & (found["metric"] == metric) & (found["seed"] == seed)]
    return found.loc[index, ["value", "low", "high", "n"]]


def ranked(testset: str, label: list[int], texture: list[int], rank: list[int], other: list[int]) -> pd.DataFrame:
    predicted = [one if first == 1 else 9 for one, first in zip(label, rank, strict=True)]
    return frame(testset, label, predicted, texture).assign(rank=rank, texture_rank=other)


def answers(rng: np.random.Generator, clean: float, left: float, images: int) -> pd.DataFrame:
    """Answers of which a share is right on clean images, and of either kind of these on greyscale ones."""
    right = rng.random(images) < clean
    grey = np.where(right, rng.random(images) < left, rng.random(images) < 0.2)
    return pd.concat([frame("clean", 1, right.astype(int)), frame("greyscale", 1, grey.astype(int))])


def test_reciprocal_ranks_by_hand() -> None:
    # The last image's cues agree, so it says nothing; of the fourth neither is first.
    drawn = ranked("conflict", [0, 1, 2, 0, 1], [1, 2, 0, 2, 1], [1, 2, 4, 2, 1], [2, 1, 1, 4, 1])
    clean = ranked("clean", [0, 1, 2, 0, 1], [0, 1, 2, 0, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1])
    found = table({("m", 0): pd.concat([clean, drawn.iloc[::-1]])})
    for seed in ("0", "mean"):
        shape, texture = (row(found, "conflict", metric, seed) for metric in ("shape_mrr", "texture_mrr"))
        assert (shape["value"], shape["n"]) == (pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 2) / 4), 4)
        assert (texture["value"], texture["n"]) == (pytest.approx((1 / 2 + 1 + 1 + 1 / 4) / 4), 4)
    assert not ((found["testset"] == "clean") & found["metric"].str.endswith("_mrr")).any()
    # What the ratio hides: shape bias is the same for a model that has hardly read either cue.
    worse = ranked("conflict", [0, 1, 2, 0, 1], [1, 2, 0, 2, 1], [1, 9, 9, 9, 1], [9, 1, 1, 9, 1])
    other = table({("m", 0): pd.concat([clean, worse])})
    assert row(other, "conflict", "shape_bias")["value"] == row(found, "conflict", "shape_bias")["value"]
    assert row(other, "conflict", "shape_mrr")["value"] < 0.4


def test_rows_without_ranks_have_no_reciprocal_ranks() -> None:
    found = table({("m", 0): frame("conflict", [0, 1], [0, 1], [1, 0])})
    assert set(found["metric"]) == {"accuracy", "shape_bias"}


def test_reciprocal_ranks_of_seeds_are_averaged() -> None:
    runs = {("m", seed): ranked("hybrid", [0] * 9, [1] * 9, [1 + seed] * 9, [2] * 9) for seed in (0, 1)}
    found = row(table(runs), "hybrid", "shape_mrr")
    assert (found["value"], found["n"]) == (pytest.approx(3 / 4), 18)


def test_relative_accuracy_counts_images_that_were_wrong_before_and_may_exceed_1() -> None:
    clean, grey = [1, 1, 1, 0, 0], [1, 0, 1, 1, 1]
    found = table({("m", 0): pd.concat([frame("clean", 1, clean), frame("greyscale", 1, grey)])})
    one = row(found, "greyscale", "relative_accuracy")
    assert one["value"] == pytest.approx(4 / 3) and one["low"] < 4 / 3 <= one["high"] and one["n"] == 5
    assert row(found, "greyscale", "accuracy_on_correct")["value"] == pytest.approx(2 / 3)
    nothing = table({("m", 0): pd.concat([frame("clean", 1, [0] * 5), frame("greyscale", 1, grey)])})
    assert math.isnan(row(nothing, "greyscale", "relative_accuracy")["value"])


def test_the_mean_over_seeds_is_the_ratio_of_the_means() -> None:
    runs = {
        ("m", seed): pd.concat([frame("clean", 1, [1] * a + [0] * (10 - a)), frame("bilateral", 1, [1] * 2 + [0] * 8)])
        for seed, a in ((0, 8), (1, 4))
    }
    assert row(table(runs), "bilateral", "relative_accuracy")["value"] == pytest.approx(0.2 / 0.6)


def test_intervals_are_paired_and_those_of_the_delta_method() -> None:
    rng = np.random.default_rng(0)
    data = answers(rng, 0.8, 0.7, 3000)
    found = row(table({("m", 0): data}), "greyscale", "relative_accuracy")
    clean, grey = ((data[data["testset"] == name]["predicted"] == 1).to_numpy(float) for name in ("clean", "greyscale"))
    ratio = grey.mean() / clean.mean()
    half = Z * (grey - ratio * clean).std() / clean.mean() / math.sqrt(3000)
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.1)
    # Planted fault: as of independent images, the interval would be wider.
    unpaired = Z * math.hypot(grey.std() / clean.mean(), ratio * clean.std() / clean.mean()) / math.sqrt(3000)
    assert found["high"] - found["low"] < 0.9 * 2 * unpaired


def test_intervals_of_relative_accuracy_cover() -> None:
    truth = (0.8 * 0.7 + 0.2 * 0.2) / 0.8
    hits = 0
    for seed in range(200):
        data = answers(np.random.default_rng(seed), 0.8, 0.7, 200)
        found = row(table({("m", 0): data}, seed), "greyscale", "relative_accuracy")
        hits += found["low"] <= truth <= found["high"]
    assert 182 <= hits <= 198  # of 190: three standard deviations
