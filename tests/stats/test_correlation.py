"""Rank correlation: Kendall's ties, permutation tests in closed form, and what a repetition could reach."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from shapelens.stats.accuracy import join_published
from shapelens.stats.correlation import PUBLISHED_IMAGES, agreement, kendall_tau, permutation_test
from shapelens.stats.spec import Statistics

from ..stats_data import PUBLISHED


def test_tau_equals_scipys_with_ties() -> None:
    from scipy.stats import kendalltau

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, (2, 50, 7)).astype(float)
    wanted = [kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)]
    assert kendall_tau(x, y) == pytest.approx(wanted, nan_ok=True)
    assert kendall_tau([1, 2, 3], [0.1, 0.1 + 1e-15, 0.3]) == pytest.approx(2 / math.sqrt(6))
    # Both are the root of a half, and in floating point 3/√18 and 4/√32 differ.
    assert kendall_tau([1, 2, 3, 4], [1, 1, 1, 2]) == kendall_tau([0, 0, 0, 0, 1], [0, 0, 1, 1, 2])
    assert math.isnan(kendall_tau([1, 1, 1], [1, 2, 3]))
    assert math.isnan(kendall_tau([1, 2, math.nan], [1, 2, 3]))


def test_permutations_of_four_items_in_closed_form() -> None:
    # Of 24 orders 1, 3, 5, 6, 5, 3, 1 have 0, 1, … 6 inversions (the Mahonian numbers).
    found = permutation_test([1, 2, 3, 4], [1, 2, 4, 3])
    assert found.exact and found.tau == pytest.approx(4 / 6) and found.p == pytest.approx(4 / 24)
    for order in itertools.permutations(range(4)):
        inversions = sum(a > b for a, b in itertools.combinations(order, 2))
        at_most = sum([1, 3, 5, 6, 5, 3, 1][: inversions + 1])
        assert permutation_test(range(4), order).p == pytest.approx(at_most / 24)
    assert found.critical(0.05) == pytest.approx(1.0)
    assert found.critical(0.04) == math.inf
    assert permutation_test([1, 2, 3], [1, 2, 3]).critical(0.05) == math.inf


def test_random_permutations_agree_with_the_exact_law() -> None:
    from scipy.stats import kendalltau

    rng = np.random.default_rng(1)
    x = np.arange(9.0)
    for _ in range(5):
        y = rng.permutation(9)
        found = permutation_test(x, y, 3)
        exact = kendalltau(x, y, alternative="greater", method="exact").pvalue
        assert not found.exact and found.p == pytest.approx(exact, abs=0.012)
    best = permutation_test(x, x)
    # The observed order counts as one more, so that p is never zero.
    assert 1 / 20_001 <= best.p <= 3 / 20_001
    assert permutation_test(x, y, 3).p == found.p
    assert 0.3 < found.critical(0.05) < 0.6


def test_undefined_correlations_have_no_p() -> None:
    for x, y in (([0, 0, 0], [1, 2, 3]), ([1], [1]), ([], [])):
        found = permutation_test(x, y)
        assert math.isnan(found.tau) and math.isnan(found.p) and found.critical(0.05) == math.inf


def repeated(kind: str, noise: float, models: int = 11) -> pd.DataFrame:
    published = join_published(pd.read_csv(PUBLISHED), kind)
    rng = np.random.default_rng(2)
    value = published["published"] + noise * rng.standard_normal(len(published))
    found = published.assign(dataset="mine", seed="mean", value=value, low=value - 0.01, high=value + 0.01, n=4000)
    return found[found["model"].isin(sorted(found["model"].unique())[:models])]


def test_what_a_perfect_repetition_reaches() -> None:
    """The notes of the recipes: about 0.5 to 0.65 where published models differ by little more than the noise."""
    reached = {
        kind: agreement(repeated(kind, 0.0), kind=kind, statistics=Statistics()).set_index(["testset", "metric"])
        for kind in PUBLISHED_IMAGES
    }
    caltech = reached["caltech256"]["reachable"]
    for testset in ("patch-shuffle-8", "stylised", "saturation-0.25"):
        assert 0.45 <= caltech[testset, "accuracy_on_correct"] <= 0.67
    assert 0.45 <= reached["tinyimagenet"]["reachable"]["patch-shuffle-8", "accuracy_on_correct"] <= 0.65
    assert 0.45 <= reached["cifar10"]["reachable"]["saturation-0.25", "accuracy_on_correct"] <= 0.65
    assert caltech["saturation-1024", "accuracy_on_correct"] > 0.9
    # Table 3 has three models only, so no agreement is measured on it.
    assert "low-pass" not in caltech.index.get_level_values("testset")
    assert reached["caltech256"]["tau"].to_list() == pytest.approx([1.0] * len(caltech))
    assert (reached["caltech256"]["p"] < 0.001).all()
    assert (reached["caltech256"]["models"] == 11).all()


def test_agreement_falls_with_noise_and_has_an_interval() -> None:
    clean, noisy = (
        agreement(repeated("tinyimagenet", noise), kind="tinyimagenet", statistics=Statistics(resamples=300))
        for noise in (0.0, 0.05)
    )
    assert noisy["tau"].mean() < clean["tau"].mean()
    for row in noisy.itertuples():
        assert -1 <= row.low <= row.tau <= row.high <= 1
        assert row.reachable_low <= row.reachable <= row.reachable_high
    assert agreement(repeated("tinyimagenet", 0.0, models=7), kind="tinyimagenet", statistics=Statistics()).empty


def test_misprints_can_be_left_out_of_the_agreement() -> None:
    """Numbers that are exchanged in print lower τ-b; without their models the order is the measured one."""
    published = repeated("caltech256", 0.0)
    row = {"model": ("standard", "underfit"), "testset": "saturation-0.5", "metric": "accuracy_on_correct"}
    mine = published["testset"].eq(row["testset"]) & published["metric"].eq(row["metric"])
    mine &= published["model"].isin(row["model"])
    turned = published.copy()
    turned.loc[mine, "value"] = 1.0 - turned.loc[mine, "value"]
    misprints = pd.DataFrame([{**row, "model": model, "dataset": "caltech256"} for model in row["model"]])
    given = {"kind": "caltech256", "statistics": Statistics(resamples=200)}
    found = agreement(turned, misprints=misprints, **given)
    assert found.groupby("misprints").size().to_dict() == {"kept": len(found) - 1, "left out": 1}
    both = found.set_index(["testset", "misprints"]).loc["saturation-0.5"]
    assert both.loc["kept", "models"] == 11 and both.loc["left out", "models"] == 9
    assert both.loc["kept", "tau"] < 1 == both.loc["left out", "tau"]
    # Those of another dataset are none here, and what is kept does not depend on what is left out.
    other = agreement(turned, misprints=misprints.assign(dataset="cifar10"), **given)
    pd.testing.assert_frame_equal(other, found[found["misprints"] == "kept"].reset_index(drop=True))


def test_the_list_of_misprints_names_published_numbers() -> None:
    notes = pd.read_csv(PUBLISHED.parent / "footnotes.csv", dtype=str, keep_default_na=False)
    misprints = notes[notes["misprint"] == "yes"]
    keys = ["dataset", "model", "testset", "metric"]
    printed = set(pd.read_csv(PUBLISHED)[keys].itertuples(index=False, name=None))
    assert set(misprints[keys].itertuples(index=False, name=None)) <= printed
    assert len(misprints) == 18 and set(notes["misprint"]) == {"yes", "no"}
    for kind in PUBLISHED_IMAGES:
        found = agreement(repeated(kind, 0.0), kind=kind, statistics=Statistics(resamples=100), misprints=misprints)
        assert (found["misprints"] == "left out").any(), kind
