"""Shape bias by class, and of stylised images against drawn ones: by hand, by coverage, and with planted faults."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapelens.stats.accuracy import accuracy_table
from shapelens.stats.intervals import clopper_pearson, wilson
from shapelens.stats.proportions import Count, ratio
from shapelens.stats.resampling import Resampler, independent_difference
from shapelens.stats.ruler import Ruler
from shapelens.stats.shape_bias import COLUMNS, shape_bias_per_class
from shapelens.stats.spec import Statistics

from ..stats_data import frame


@pytest.fixture(autouse=True)
def everything_is_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests have no rulers; ``test_ruler`` has those of what is withheld."""
    monkeypatch.setattr(Ruler, "withheld", lambda *_: None)


STATISTICS = Statistics(resamples=300)
CLASSES = ["disc", "star", "ring"]
#         shape, texture, predicted
ANSWERS = [(0, 1, 0), (0, 1, 0), (0, 2, 2), (0, 2, 1), (1, 0, 1), (1, 2, 1), (2, 0, 1), (2, 1, 0)]


def conflict(rows: list[tuple[int, int, int]], testset: str = "conflict") -> pd.DataFrame:
    label, texture, predicted = zip(*rows, strict=True)
    return frame(testset, label, predicted, texture)


def per_class(predictions: dict[tuple[str, int], pd.DataFrame], **more: Any) -> pd.DataFrame:
    given: dict[str, Any] = {"dataset": "d", "order": ["m"], "classes": CLASSES, "statistics": STATISTICS}
    return shape_bias_per_class(predictions, **given, data_seed=0, **more)


def test_each_class_by_hand() -> None:
    found = per_class({("m", 0): pd.concat([conflict(ANSWERS), frame("clean", 1, [1, 0])])})
    assert tuple(found.columns) == COLUMNS and set(found["testset"]) == {"conflict"}
    for seed in ("0", "mean"):
        rows = found[found["seed"] == seed].set_index("class")
        assert list(rows.index) == CLASSES
        # Image 3 names neither cue; of the rings no decision does.
        assert rows.loc["disc", ["value", "low", "high", "n"]].to_list() == pytest.approx([2 / 3, *wilson(2, 3), 3])
        assert rows.loc["star", ["value", "low", "high", "n"]].to_list() == pytest.approx(
            [1, *clopper_pearson(2, 2), 2]
        )
        assert rows.loc["ring", ["value", "low", "high"]].isna().all() and rows.loc["ring", "n"] == 0


def test_classes_add_up_to_the_whole_and_are_those_of_shapes() -> None:
    rng = np.random.default_rng(0)
    shape = rng.integers(0, 3, 300)
    rows = [
        (int(s), int((s + k) % 3), int(p))
        for s, k, p in zip(shape, rng.integers(1, 3, 300), rng.integers(0, 3, 300), strict=True)
    ]
    runs = {("m", seed): conflict(rows, "cue-conflict") for seed in (0, 1)}
    found = per_class(runs).query("seed == '1'")
    whole = accuracy_table(runs, {}, dataset="d", order=["m"], statistics=STATISTICS, data_seed=0)
    whole = whole.query("metric == 'shape_bias' and seed == '1'").iloc[0]
    assert (found["value"] * found["n"]).sum() / found["n"].sum() == pytest.approx(whole["value"])
    assert found["n"].sum() == whole["n"]
    # Planted fault: classes of textures would give other counts.
    turned = per_class({("m", 0): conflict([(t, s, p) for s, t, p in rows])}).query("seed == '0'")
    assert not np.allclose(found["value"], 1 - turned["value"])


def test_means_over_seeds_and_models_in_order() -> None:
    runs = {("b", 0): conflict(ANSWERS), ("m", 0): conflict(ANSWERS), ("m", 1): conflict([(0, 1, 1)] * 8)}
    runs["m", 1] = conflict([(s, t, t) for s, t, _ in ANSWERS])
    found = shape_bias_per_class(
        runs, dataset="d", order=["m", "absent", "b"], classes=CLASSES, statistics=STATISTICS, data_seed=0
    )
    assert list(dict.fromkeys(found["model"])) == ["m", "b"]
    mean = found.query("model == 'm' and seed == 'mean'").set_index("class")
    assert mean.loc["disc", "value"] == pytest.approx(1 / 3) and mean.loc["disc", "n"] == 3 + 4
    # A seed in which nothing named either cue takes no part.
    assert mean.loc["ring", "value"] == 0 and mean.loc["ring", "n"] == 2


def both(drawn: Any, stylised: Any) -> dict[tuple[str, int], pd.DataFrame]:
    """Return answers that name the shape (class 1) or the texture (class 2)."""
    parts = [
        frame(name, 1, np.where(hits, 1, 2), 2) for name, hits in (("conflict", drawn), ("cue-conflict", stylised))
    ]
    return {("m", 0): pd.concat(parts)}


def table(runs: dict[tuple[str, int], pd.DataFrame]) -> pd.DataFrame:
    return accuracy_table(runs, {}, dataset="d", order=["m"], statistics=STATISTICS, data_seed=0)


def test_the_difference_is_that_of_the_two_sets() -> None:
    found = table(both([1, 1, 1, 0] * 20, [1, 0] * 30)).query("seed == 'mean'").set_index(["testset", "metric"])
    assert found.loc[("conflict", "shape_bias"), "value"] == pytest.approx(0.75)
    assert found.loc[("cue-conflict", "shape_bias"), "value"] == pytest.approx(0.5)
    row = found.loc[("conflict", "shape_bias_difference")]
    assert row["value"] == pytest.approx(-0.25) and row["n"] == 60
    half = 1.96 * math.sqrt(0.75 * 0.25 / 80 + 0.25 / 60)
    assert (row["low"], row["high"]) == pytest.approx((-0.25 - half, -0.25 + half), abs=0.035)
    # Sets of cues are not compared with the clean images, even where those are there.
    assert set(found.loc["cue-conflict"].index) == {"accuracy", "shape_bias"}
    lone = table(both([1, 0], [1, 0]))
    lone = table({("m", 0): next(iter(both([1, 0], [1, 0]).values())).query("testset == 'conflict'")})
    assert "shape_bias_difference" not in set(lone["metric"])


def test_equal_answers_leave_an_honest_interval() -> None:
    row = table(both([1] * 50, [1] * 40)).query("metric == 'shape_bias_difference' and seed == 'mean'").iloc[0]
    assert row["value"] == 0 and row["low"] < -0.05 and row["high"] > 0.05


def test_an_undefined_side_has_no_difference() -> None:
    runs = {("m", 0): pd.concat([frame("conflict", 1, [1, 2], 2), frame("cue-conflict", 1, [3, 3], 2)])}
    assert "shape_bias_difference" not in set(table(runs)["metric"])


def test_coverage_of_the_difference_of_independent_images() -> None:
    """Planted fault: taking the drawn set's bias for known, its interval misses the truth too often."""
    rng = np.random.default_rng(1)
    everyone = np.ones(120, bool)
    resamplers = [Resampler(120, 400, 0, name) for name in ("images", "cue-conflict")]
    hits = faults = 0
    for _ in range(200):
        drawn, stylised = (
            ratio([Count(rng.random(120) < p, everyone)], r) for p, r in zip((0.6, 0.8), resamplers, strict=True)
        )
        interval = independent_difference(stylised, drawn).interval(0.95)
        hits += interval.low <= 0.2 <= interval.high
        fault = (stylised - drawn.value).interval(0.95)
        faults += fault.low <= 0.2 <= fault.high
    assert 182 <= hits <= 199
    assert faults < 170


def test_seeds_are_drawn_alike_for_both_sets_of_images() -> None:
    first, second = (Resampler(20, 100, 3, name).seed_weights(3) for name in ("images", "cue-conflict"))
    assert np.array_equal(first, second) and np.ptp(first) > 1
