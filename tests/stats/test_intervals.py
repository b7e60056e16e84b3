"""Intervals: against scipy, by simulated coverage, and where a sample is all equal."""

import math

import numpy as np
import pytest

from shapelens.stats.intervals import bca, clopper_pearson, holm, percentile, proportion, unseen, wilson
from shapelens.stats.resampling import Quantity, Resampler, mean, paired_bootstrap

SAMPLES = [(0, 5), (1, 7), (3, 10), (50, 100), (99, 100), (512, 512)]


@pytest.mark.parametrize(("k", "n"), SAMPLES)
def test_single_proportions_equal_scipys(k: int, n: int) -> None:
    from scipy.stats import binomtest

    test = binomtest(k, n)
    for confidence in (0.9, 0.95, 0.995):
        wanted = test.proportion_ci(confidence, "wilson")
        assert wilson(k, n, confidence) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
        wanted = test.proportion_ci(confidence, "exact")
        assert clopper_pearson(k, n, confidence) == pytest.approx((wanted.low, wanted.high), abs=1e-10)


def test_proportions_choose_the_exact_interval_where_all_is_equal() -> None:
    assert proportion(3, 10).method == "wilson"
    for k in (0, 20):
        found = proportion(k, 20)
        assert found.method == "clopper-pearson"
        assert found.high - found.low == pytest.approx(unseen(20, 0.95))
    empty = proportion(0, 0)
    assert all(map(math.isnan, empty[:3])) and empty.method == "undefined"
    for k, n in ((3, 2), (-1, 5), (1, 0)):
        with pytest.raises(ValueError, match="no proportion"):
            proportion(k, n)


def wald(k: int, n: int) -> tuple[float, float]:
    p = k / n
    half = 1.96 * math.sqrt(p * (1 - p) / n)
    return p - half, p + half


@pytest.mark.parametrize("p", [0.001, 0.01, 0.3, 0.995])
def test_proportions_cover(p: float) -> None:
    """Averaged over many sizes, since the coverage of any interval of a count jumps with n."""
    rng = np.random.default_rng(1)
    covered = {"ours": 0, "wald": 0}
    trials = 2000
    for n in rng.integers(300, 1200, trials):
        k = int(rng.binomial(n, p))
        found = proportion(k, int(n))
        covered["ours"] += found.low <= p <= found.high
        low, high = wald(k, int(n))
        covered["wald"] += low <= p <= high
    assert 0.93 <= covered["ours"] / trials <= 0.985
    # The textbook interval must fail where the proportion is extreme, or this test could not see a bad one.
    if p in (0.001, 0.995):
        assert covered["wald"] / trials < 0.93


@pytest.mark.parametrize("p", [0.001, 0.01, 0.3, 0.995])
def test_paired_differences_cover(p: float) -> None:
    """Two models right with chance p and p/2, agreeing where they can; planted: the bare percentiles."""
    rng = np.random.default_rng(2)
    n, trials = 400, 200
    resampler = Resampler(n, 400, 0)
    ours = bare = 0
    for _ in range(trials):
        rank = rng.random(n)
        difference = (rank < p).astype(np.int8) - (rank < p / 2)
        q = resampler.ratios(difference[None, None], np.ones((1, 1, n), bool), (-1.0, 1.0))[0]
        found = q.interval(0.95)
        ours += found.low <= p / 2 <= found.high
        low, high = percentile(q.value, q.draws, 0.95)
        bare += low <= p / 2 <= high
    assert ours / trials >= 0.91
    if p == 0.001:
        assert bare / trials < 0.5


def test_bca_equals_scipys_on_a_skewed_sample() -> None:
    from scipy.stats import bootstrap

    sample = np.random.default_rng(3).lognormal(size=80)
    resampler = Resampler(80, 4000, 0)
    q = resampler.ratios(sample[None, None], np.ones((1, 1, 80), bool), (0.0, math.inf), counted=False)[0]
    wanted = bootstrap((sample,), np.mean, n_resamples=4000, rng=np.random.default_rng(4)).confidence_interval
    found = q.interval(0.95)
    assert found.method == "bca"
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=0.03)
    plain = np.quantile(q.draws, [0.025, 0.975])
    assert abs(plain[1] - wanted.high) > 2 * abs(found.high - wanted.high)


def test_identical_models_do_not_look_certain() -> None:
    same = np.random.default_rng(5).random(200) < 0.4
    found = paired_bootstrap([same, same], resamples=200)
    u = 1 - 0.025 ** (1 / 200)
    assert found == (0.0, pytest.approx(-u), pytest.approx(u), "exact")
    ones, zeros = np.ones(200, bool), np.zeros(200, bool)
    assert paired_bootstrap([ones, zeros], resamples=200)[:3] == (1.0, pytest.approx(1 - 2 * u), 1.0)
    other = same.copy()
    other[0] = ~other[0]
    found = paired_bootstrap([same, other], resamples=200)
    assert found.method == "bca, widened" and found.low < 0 < found.high
    with pytest.raises(ValueError, match="one shape"):
        paired_bootstrap([same, same[:-1]])


def test_a_constant_ratio_has_the_corners_of_its_terms() -> None:
    resampler = Resampler(100, 200, 0)
    here = np.ones((1, 1, 100), bool)

    def constant(value: int) -> Quantity:
        return resampler.ratios(np.full((1, 1, 100), value, np.int8), here, (-1.0, 1.0))[0]

    found = (constant(0) / constant(1)).interval(0.95)
    assert found.value == 0 and -0.1 < found.low < 0 < found.high < 0.1
    found = (constant(1) / constant(0)).interval(0.95)
    assert math.isnan(found.value)


def test_sums_over_a_resample_are_exact_and_reproducible() -> None:
    rng = np.random.default_rng(6)
    columns = (rng.random((300, 4)) < 0.5).astype(np.int8)
    resampler = Resampler(300, 150, 7)
    assert (resampler.counts.sum(axis=1) == 300).all()
    expected = np.stack([np.repeat(columns, counts, axis=0).sum(axis=0) for counts in resampler.counts])
    assert np.array_equal(resampler.sums(columns), expected)
    assert np.array_equal(Resampler(300, 150, 7).counts, resampler.counts)
    assert not np.array_equal(Resampler(300, 150, 8).counts, resampler.counts)


def test_ratios_equal_a_bootstrap_by_hand() -> None:
    rng = np.random.default_rng(8)
    above, below = rng.random((2, 3, 50)) < 0.4, rng.random((2, 3, 50)) < 0.7
    above &= below
    resampler = Resampler(50, 120, 0)
    quantities = resampler.ratios(above.astype(np.int8), below)
    for q, quantity in enumerate(quantities):
        assert quantity.value == pytest.approx(np.mean([above[s, q].sum() / below[s, q].sum() for s in range(2)]))
        assert quantity.n == below[:, q].sum(axis=-1).min()
        for r, counts in enumerate(resampler.counts):
            by_hand = [(above[s, q] * counts).sum() / (below[s, q] * counts).sum() for s in range(2)]
            assert quantity.draws[r] == pytest.approx(np.mean(by_hand))
        rest = np.arange(50) != 17
        by_hand = [above[s, q, rest].sum() / below[s, q, rest].sum() for s in range(2)]
        assert quantity.jackknife[17] == pytest.approx(np.mean(by_hand))


def test_seeds_are_resampled_from_three_on() -> None:
    """Seeds that differ widen the interval of their mean, but only where there are three."""
    vectors = {s: np.arange(400) < 400 * (0.2 + 0.3 * s) for s in range(3)}
    two = paired_bootstrap([np.stack([vectors[0], vectors[1]])], resamples=400)
    three = paired_bootstrap([np.stack([vectors[0], vectors[1], vectors[2]])], resamples=400)
    assert two.high - two.low < 0.1
    assert three.high - three.low > 0.3


def test_an_empty_denominator_is_undefined() -> None:
    resampler = Resampler(10, 100, 0)
    nothing = np.zeros((1, 1, 10), bool)
    quantity = resampler.ratios(nothing.astype(np.int8), nothing)[0]
    assert math.isnan(quantity.value) and math.isnan(quantity.interval(0.95).low) and quantity.n == 0
    one = nothing.copy()
    one[0, 0, 0] = True
    # A single image is left out of a third of all resamples: there is a value but no interval.
    found = resampler.ratios(one.astype(np.int8), one)[0].interval(0.95)
    assert found.value == 1 and math.isnan(found.low)
    two_seeds = np.concatenate([one, nothing])
    assert resampler.ratios(two_seeds.astype(np.int8), two_seeds)[0].value == 1
    with pytest.raises(ValueError, match="no quantities"):
        mean([])
    with pytest.raises(ValueError, match="resampler of 10"):
        resampler.ratios(np.zeros((1, 1, 9), np.int8), np.ones((1, 1, 9), bool))


def test_bca_without_spread_is_finite() -> None:
    assert bca(0.5, np.full(100, 0.5), np.full(20, 0.5), 0.95) == (0.5, 0.5)


def test_holm_decides_as_holm_does() -> None:
    def decide(p: dict[str, float]) -> dict[str, float]:
        return holm({key: (lambda level, p=value: p < 1 - level) for key, value in p.items()}, 0.95)

    # p-values 0.01, 0.02, 0.04: each is below α/3, α/2, α in turn, so all are decided.
    assert decide({"a": 0.04, "b": 0.01, "c": 0.02}) == {
        "b": pytest.approx(1 - 0.05 / 3),
        "c": pytest.approx(1 - 0.05 / 2),
        "a": pytest.approx(0.95),
    }
    # 0.03 is not below α/2, and then 0.04 is never asked alone.
    levels = decide({"a": 0.04, "b": 0.01, "c": 0.03})
    assert levels["a"] == levels["c"] == pytest.approx(1 - 0.05 / 2)
    assert decide({}) == {}
