"""Own test sets in the statistics: read like those of the workflow, and paired with nothing but their own."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapelens.names.testsets import base_of
from shapelens.stats.accuracy import accuracy_table
from shapelens.stats.intervals import wilson
from shapelens.stats.paired import pair, testset_order
from shapelens.stats.resampling import Resampler
from shapelens.stats.ruler import ruler_table
from shapelens.stats.shape_bias import shape_bias_per_class
from shapelens.stats.spec import Statistics

from ..stats_data import frame
from .test_ruler import CLASSES, LABELS, N, answers, conflict

STATISTICS = Statistics(resamples=300)
TEXTURES = (LABELS + 2) % CLASSES


def table(runs: dict[tuple[str, int], pd.DataFrame], **more: Any) -> pd.DataFrame:
    order = list(dict.fromkeys(model for model, _ in runs))
    return accuracy_table(runs, {}, dataset="d", order=order, statistics=STATISTICS, data_seed=0, **more)


def row(found: pd.DataFrame, testset: str, metric: str, model: str = "m") -> pd.Series:
    chosen = found.query("model == @model and seed == 'mean' and testset == @testset and metric == @metric")
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_what_a_set_is_made_of_stands_in_its_name() -> None:
    assert base_of("sketch") is base_of("clean") is base_of("hybrid") is base_of("texture-only") is None
    assert base_of("saturation-0.25") == base_of("stylised") == "clean"
    assert base_of("sketch+saturation-0.25") == "sketch"


def test_own_sets_come_last_each_before_what_is_made_of_it() -> None:
    names = [
        "b+saturation-1024",
        "b+saturation-8",
        "texture-exchange",
        "nan",
        "b",
        "saturation-8",
        "b+low-pass",
        "clean",
    ]
    assert sorted(names, key=testset_order) == [
        *("clean", "saturation-8", "texture-exchange", "b"),
        *("b+saturation-8", "b+saturation-1024", "b+low-pass", "nan"),
    ]


def test_own_stimuli_are_read_exactly_like_a_drawn_conflict() -> None:
    def study(testset: str) -> dict[tuple[str, int], pd.DataFrame]:
        known = {"calibration-texture": 0.05, "calibration-shape": 0.95, "m": 0.4}
        return {
            (model, 0): pd.concat([frame("clean", LABELS, answers(0.9, 3)), conflict(testset, bias, n)])
            for n, (model, bias) in enumerate(known.items())
        }

    drawn, own = table(study("conflict")), table(study("geirhos"))
    assert row(own, "geirhos", "shape_bias")["value"] == pytest.approx(0.4)
    assert row(own, "geirhos", "shape_bias_place")["value"] == pytest.approx((0.4 - 0.05) / 0.9)
    pd.testing.assert_frame_equal(drawn.replace({"testset": {"conflict": "geirhos"}}), own)
    ends = []
    for name in ("conflict", "geirhos"):
        paired = pair(study(name), {})
        ends.append(ruler_table(paired, Resampler(len(paired.ids), 300, 0), STATISTICS, dataset="d"))
    pd.testing.assert_frame_equal(ends[0].replace({"testset": {"conflict": "geirhos"}}), ends[1])


def test_own_images_are_paired_with_their_own_transformations_and_with_no_clean_image() -> None:
    # Image 0 of the own set is another photograph than image 0 of the clean one.
    rows = [
        frame("clean", 0, [1, 1, 1, 1]),
        frame("sketch", 0, [0, 0, 0, 1, 1]),
        frame("sketch+saturation-8", 0, [0, 1, 1, 0, 1]),
    ]
    found = table({("m", 0): pd.concat(rows)})
    assert row(found, "sketch", "accuracy")[["value", "n"]].to_list() == [0.6, 5]
    kept = row(found, "sketch+saturation-8", "accuracy_on_correct")
    assert kept[["value", "low", "high", "n"]].to_list() == pytest.approx([1 / 3, *wilson(1, 3), 3])
    assert row(found, "sketch+saturation-8", "relative_accuracy")["value"] == pytest.approx((2 / 5) / (3 / 5))
    assert set(found.query("testset == 'sketch'")["metric"]) == {"accuracy"}


def test_an_own_set_takes_part_in_the_rulers_table() -> None:
    # 0.7 right where chance is 0.25, relative to 1.0 on clean images.
    sketch = frame("sketch", LABELS, answers(0.7, 5))
    runs = {("calibration-shape", 0): pd.concat([frame("clean", LABELS, LABELS), sketch])}
    paired = pair(runs, {})
    found = ruler_table(paired, Resampler(len(paired.ids), 300, 0), STATISTICS, dataset="d")
    left = found.query("testset == 'sketch' and metric == 'left'")
    assert left["value"].to_list() == pytest.approx([(0.7 - 0.25) / 0.75])


def stimuli(named: float, bias: float) -> pd.DataFrame:
    """Return answers to stimuli, a share of which name either cue, a share of these the shape's; others neither."""
    cue = np.where(np.random.default_rng(1).permutation(N) < round(bias * named * N), LABELS, TEXTURES)
    names = np.random.default_rng(1).permutation(N) < round(named * N)
    return frame("geirhos", LABELS, np.where(names, cue, (LABELS + 1) % CLASSES), TEXTURES)


def test_without_rulers_that_can_be_trained_the_bias_is_printed_but_not_of_who_guesses() -> None:
    runs = {("reads", 0): stimuli(0.8, 0.25), ("guesses", 0): stimuli(0.5, 0.4)}
    found = table(runs, has_scale=False)
    assert row(found, "geirhos", "shape_bias", "reads")["value"] == pytest.approx(0.25)
    assert math.isnan(row(found, "geirhos", "shape_bias", "guesses")["value"])
    assert "shape_bias_place" not in set(found["metric"])
    classes = shape_bias_per_class(
        runs,
        dataset="d",
        order=["reads", "guesses"],
        classes=list("abcd"),
        statistics=STATISTICS,
        data_seed=0,
        has_scale=False,
    )
    assert classes.query("model == 'reads'")["value"].notna().all()
    assert classes.query("model == 'guesses'")["value"].isna().all()


def test_a_study_that_could_have_rulers_and_has_none_prints_no_bias() -> None:
    assert math.isnan(row(table({("m", 0): stimuli(0.8, 0.25)}), "geirhos", "shape_bias")["value"])
