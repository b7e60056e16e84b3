"""Means over images: Student's t by hand, the spread between three seeds, and the tail of skewed values."""

import numpy as np
import pandas as pd
import pytest

from shapelens.stats.means import means_table


def rows(values: np.ndarray) -> dict[tuple[str, int], pd.DataFrame]:
    """Return rows of one model from (seeds, images) values."""
    return {
        ("m", seed): pd.DataFrame({"testset": "clean", "image": np.arange(len(own)), "depth": own})
        for seed, own in enumerate(values)
    }


def table(values: np.ndarray) -> pd.DataFrame:
    return means_table(rows(values), "study", [], ["depth"]).set_index("seed")


def test_one_seed_has_students_interval() -> None:
    from scipy.stats import ttest_1samp

    half = np.random.default_rng(0).normal(size=10)
    sample = 1 + np.concatenate([half, -half])
    found = table(sample[None])
    wanted = ttest_1samp(sample, 0).confidence_interval(0.95)
    for seed in ("0", "mean"):
        assert found.loc[seed, ["low", "high"]].to_list() == pytest.approx([wanted.low, wanted.high])
        assert found.loc[seed, "n"] == 20


def test_three_seeds_that_differ_widen_the_mean_and_two_do_not() -> None:
    """Planted fault: an image's mean over seeds hides that a new seed would give another number."""
    from scipy.stats import ttest_1samp

    seeds = np.array([0.1, 0.5, 0.8])
    found = table(np.tile(seeds[:, None], 30))
    wanted = ttest_1samp(seeds, 0).confidence_interval(0.95)
    assert found.loc["mean", ["low", "high"]].to_list() == pytest.approx([wanted.low, wanted.high])
    assert found.loc["0", "low"] == found.loc["0", "high"] == pytest.approx(0.1)
    two = table(np.tile(seeds[:2, None], 30)).loc["mean"]
    assert two["low"] == two["high"] == pytest.approx(0.3)


def test_the_tail_of_skewed_values_lengthens_its_side() -> None:
    sample = np.append(np.linspace(0, 1, 11), 6.0)
    found = table(sample[None]).loc["mean"]
    assert found["high"] - found["value"] > 1.5 * (found["value"] - found["low"])


def test_no_interval_of_a_share_goes_beyond_0_and_1() -> None:
    points = rows(np.array([[1.0, 0.0, 1.0, 1.0]]))
    free, held = (means_table(points, "study", [], ["depth"], shares=s).set_index("seed") for s in ((), ("depth",)))
    assert free.loc["mean", "low"] < 0 and free.loc["mean", "high"] > 1
    assert held.loc["mean", ["value", "low", "high"]].to_list() == [0.75, 0, 1]


def test_values_that_are_undefined_take_no_part() -> None:
    found = table(np.array([[1.0, np.nan, 2.0, np.nan], [np.nan] * 4]))
    assert found.loc["0", "n"] == 2 and found.loc["mean", "n"] == 2 and found.loc["mean", "value"] == 1.5
    assert found.loc["1", "n"] == 0 and found.loc["1", ["value", "low", "high"]].isna().all()
