"""Intervals: against scipy, by simulated coverage, and where a sample is all equal."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shapelens.stats.intervals import (
    Interval,
    clopper_pearson,
    combined,
    holm,
    percentile,
    proportion,
    t_lengths,
    unseen,
    wilson,
)
from shapelens.stats.resampling import Quantity, Resampler, mean

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


def quantity(values: Any, span: tuple[float, float] = (-math.inf, math.inf), counted: bool = False) -> Quantity:
    """Return the mean of (images,) or (seeds, images) values."""
    array = np.atleast_2d(np.asarray(values))[:, None]
    return Resampler(array.shape[-1], 100, 0).ratios(array, np.ones_like(array, bool), span, counted)[0]


def difference(first: Any, second: Any) -> Interval:
    """Return the mean difference of two boolean vectors with its interval."""
    return quantity(np.asarray(first, np.int8) - np.asarray(second, np.int8), (-1.0, 1.0), counted=True).interval(0.95)


def test_without_skewness_the_interval_is_students() -> None:
    from scipy.stats import ttest_1samp

    half = np.random.default_rng(3).normal(size=15)
    sample = 2 + np.concatenate([half, -half])
    wanted = ttest_1samp(sample, 0).confidence_interval(0.95)
    found = quantity(sample).interval(0.95)
    assert found.method == "t" and (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)


def test_skewness_lengthens_the_side_of_the_tail_alone() -> None:
    sample = np.random.default_rng(3).lognormal(size=30)
    found, mirrored = quantity(sample).interval(0.95), quantity(-sample).interval(0.95)
    from scipy.stats import ttest_1samp

    plain = ttest_1samp(sample, 0).confidence_interval(0.95)
    assert found.low == pytest.approx(plain.low) and found.high > plain.high + 0.1
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def test_halls_transformation_is_inverted() -> None:
    """Planted fault in closed form: the length must solve t + a·t²/3 + a²·t³/27 + a/6 = −q on the side of the tail."""
    n, skew, confidence = 20, 1.5, 0.95
    from scipy.stats import t as student

    q, slope = student.ppf(0.975, n - 1), skew / math.sqrt(n)
    below, above = (float(side) for side in t_lengths(n, 1.0, skew, confidence))
    assert below == pytest.approx(q)
    t = -above
    assert t + slope * t**2 / 3 + slope**2 * t**3 / 27 + slope / 6 == pytest.approx(-q)


Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SAMPLES_OF: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, size: rng.normal(size=size), 0.0),
    "log-normal": (lambda rng, size: rng.lognormal(size=size), math.exp(0.5)),
    "t of 3 degrees": (lambda rng, size: rng.standard_t(3, size=size), 0.0),
}


@pytest.mark.parametrize("images", [12, 50, 200])
@pytest.mark.parametrize("population", SAMPLES_OF)
def test_intervals_over_images_cover(population: str, images: int) -> None:
    """Of 6,000 samples; the planted fault is Student's t, which misses the mean of skewed values."""
    draw, truth = SAMPLES_OF[population]
    values = draw(np.random.default_rng(10), (6000, images))
    means, spread = values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(images)
    quantities = Resampler(images, 1, 0).ratios(values[None], np.ones((1, 1, images), bool), ANYTHING, counted=False)
    found = [q.interval(0.95) for q in quantities]
    covered = np.mean([interval.low <= truth <= interval.high for interval in found])
    assert 0.94 <= covered <= 0.975
    half, _ = t_lengths(images, spread, 0.0, 0.95)
    plain = np.mean(np.abs(means - truth) <= half)
    assert plain < 0.94 if population == "log-normal" else plain > 0.945


ANYTHING = (-math.inf, math.inf)


@pytest.mark.parametrize("images", [12, 50, 200])
@pytest.mark.parametrize("between", [0.0, 0.3, 1.0, 3.0])
def test_intervals_over_images_and_three_seeds_cover(between: float, images: int) -> None:
    """Seeds that differ by so many standard errors of the images; planted: the interval over images alone."""
    trials = 2000
    rng = np.random.default_rng(11)
    own = rng.normal(size=(1, trials, images))
    seeds = between / math.sqrt(images) * rng.normal(size=(3, trials, 1))
    values = own + seeds + 0.3 * rng.normal(size=(3, trials, images))
    quantities = Resampler(images, 1, 0).ratios(values, np.ones((1, 1, images), bool), ANYTHING, counted=False)
    covered = np.mean([(i := q.interval(0.95)).low <= 0 <= i.high for q in quantities])
    assert 0.94 <= covered <= 0.99
    half, _ = t_lengths(images, np.array([q.error for q in quantities]), 0.0, 0.95)
    alone = np.mean(np.abs([q.value for q in quantities]) <= half)
    if between >= 1:
        assert alone < 0.92


def test_three_seeds_have_the_t_quantile_of_two_degrees() -> None:
    """All images alike: what is left is the mean of three numbers."""
    from scipy.stats import ttest_1samp

    values = np.array([0.2, 0.5, 0.65])
    found = quantity(np.tile(values[:, None], 400), (-1.0, 2.0)).interval(0.95)
    wanted = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.method == "exact over images and seeds"
    assert float(combined(1.0, 0.5, 9.0, 0.0)) == 1.0 and float(combined(0.0, 0.0, 9.0, 2.0)) == 9.0


def test_draws_of_seeds_are_those_of_t() -> None:
    from scipy.stats import kstest, t

    values = np.array([0.2, 0.5, 0.65])
    draws = Resampler(5, 4000, 0).ratios(np.tile(values[:, None, None], 5), np.ones((1, 1, 5), bool))[0].draws
    scaled = (draws - values.mean()) / (values.std(ddof=1) / math.sqrt(3))
    assert kstest(scaled, t(2).cdf).pvalue > 0.01
    # Planted fault: three of the seeds with replacement.
    drawn = values[np.random.default_rng(0).integers(0, 3, (4000, 3))].mean(axis=1)
    assert kstest((drawn - values.mean()) / (values.std(ddof=1) / math.sqrt(3)), t(2).cdf).pvalue < 1e-6


def test_intervals_stay_within_their_span() -> None:
    values = np.random.default_rng(0).lognormal(sigma=2, size=6)
    assert quantity(values, (0.0, math.inf)).interval(0.99).low == 0.0
    found = quantity(np.array([1] * 9 + [0]), (0.0, 1.0), counted=True).interval(0.95)
    assert found.high == 1.0 and found.low < 0.6


def test_a_ratio_has_fiellers_interval() -> None:
    """In closed form for two means without skewness: the roots of (x̄ − r·ȳ)² = q²·var(x̄ − r·ȳ)."""
    from scipy.stats import t as student

    half = np.random.default_rng(1).normal(size=(2, 20))
    x, y = np.concatenate([half, -half], axis=1) + np.array([[0.5], [2.0]])
    n, resampler = len(x), Resampler(40, 100, 0)
    top, bottom = resampler.ratios(np.stack([x, y])[None], np.ones((1, 1, n), bool), ANYTHING, counted=False)
    found = (top / bottom).interval(0.95)
    q, c = student.ppf(0.975, n - 1) ** 2 / n, np.cov(x, y)
    a = y.mean() ** 2 - q * c[1, 1]
    b = -2 * (x.mean() * y.mean() - q * c[0, 1])
    roots = np.sort(np.roots([a, b, x.mean() ** 2 - q * c[0, 0]]))
    assert (found.low, found.high) == pytest.approx(tuple(roots), abs=1e-5) and found.method == "fieller"
    faint = (top / (bottom - 1.9)).interval(0.95)
    assert (faint.low, faint.high) == (-math.inf, math.inf)


def test_identical_models_do_not_look_certain() -> None:
    same = np.random.default_rng(5).random(200) < 0.4
    found = difference(same, same)
    u = 1 - 0.025 ** (1 / 200)
    assert found == (0.0, pytest.approx(-u), pytest.approx(u), "exact")
    ones, zeros = np.ones(200, bool), np.zeros(200, bool)
    assert difference(ones, zeros)[:3] == (1.0, pytest.approx(1 - 2 * u), 1.0)
    other = same.copy()
    other[0] = ~other[0]
    found = difference(same, other)
    assert found.method == "t, widened" and found.low < 0 < found.high


def test_a_constant_ratio_is_as_wide_as_its_terms_allow() -> None:
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


def test_seeds_enter_from_three_on() -> None:
    """Seeds that differ widen the interval of their mean, but only where there are three."""
    vectors = np.stack([np.arange(400) < 400 * (0.2 + 0.3 * s) for s in range(3)]).astype(np.int8)
    two, three = (quantity(vectors[:count], (0.0, 1.0), counted=True).interval(0.95) for count in (2, 3))
    assert two.high - two.low < 0.1
    assert three.high - three.low > 0.7 and three.method == "t over images and seeds"


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
