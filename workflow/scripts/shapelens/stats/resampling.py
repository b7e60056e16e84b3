"""Quantities with their resamples: images are drawn once per study, so that everything measured on them stays paired.

A `Quantity` carries its value, its value in every resample, without each image and without each training seed;
arithmetic on quantities acts on all of them, so a difference, a mean over models or a share has its own paired interval
for free.
"""

import math
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapelens.seeds import generator
from shapelens.stats.intervals import (
    UNDEFINED,
    UNSTABLE,
    FloatArray,
    Interval,
    combined,
    skewness_factor,
    t_lengths,
    unseen,
)

BLOCK = 128
BLOCK_VALUES = 2**22
"""Largest block of counts that is copied to float at a time: 128 resamples of up to 32,768 images."""
IN_MEMORY = 2**24
"""Counts of more bytes than this lie in a temporary file, memory-mapped."""
SEEDS_TO_RESAMPLE = 3
"""Fewest training seeds whose spread enters intervals; with fewer, an interval is about these checkpoints only."""


@dataclass(frozen=True)
class Quantity:
    """An estimate with its resamples; supports +, −, *, / with quantities and numbers."""

    value: float
    """The estimate; NaN where undefined."""
    draws: FloatArray
    """(resamples,) the estimate in each resample."""
    jackknife: FloatArray
    """(images,) the estimate without each image."""
    n: int
    """Number of images that it rests on: the smallest denominator of its parts."""
    span: tuple[float, float] = (-math.inf, math.inf)
    """Least and greatest possible value."""
    counted: bool = True
    """Whether it is made of counts of images, not of continuous values."""
    terms: "tuple[Quantity, Quantity] | None" = None
    """Numerator and denominator of a ratio of quantities."""
    without_seed: FloatArray = field(default_factory=lambda: np.zeros(0))
    """(seeds,) the estimate without each training seed; empty where there are fewer than ``SEEDS_TO_RESAMPLE``."""

    def interval(self, confidence: float) -> Interval:
        """Return the value with its interval, which lies within its span.

        Over images: Student's t with the jackknife's standard error, and with what skewness adds (``t_lengths``). From
        three training seeds on, the spread between seeds enters with its own t quantile, of two degrees of freedom for
        three seeds (``combined``): a new seed would give other numbers, and three say little about how different.

        Where all images agree (two models answer every image alike, say), t would have width 0. The interval is then
        the exact one: with confidence 1 − α, images of a kind that was never seen among ``n`` have a share of at most
        u = 1 − (α/2)^(1/n), and each could move the value to an end of its span (for a difference of two models, the
        exact McNemar bound without discordant pairs). Intervals of counts are never narrower than that, so that a
        single discordant image does not look like certainty either.

        A ratio of quantities has Fieller's (1954) interval: the ratios r for which the interval of numerator − r ·
        denominator holds 0; it is unbounded where the denominator's holds 0.
        """
        if not math.isfinite(self.value):
            return UNDEFINED
        if self.terms is not None:
            return self._fieller(*self.terms, confidence)
        unstable = np.mean(~np.isfinite(self.draws)) > UNSTABLE if len(self.draws) else False
        equal = self.error <= 1e-12 * max(1.0, abs(self.value))
        # Only counts say something where there is one image.
        if unstable or not np.isfinite(self.without_seed).all() or (self.n < 2 and not equal):
            return Interval(self.value, math.nan, math.nan, "undefined")
        lengths = np.zeros(2) if equal else np.stack(t_lengths(self.n, self.error, self._skew, confidence))
        method = "exact" if equal else "t"
        if self.seed_error > 0:
            half, _ = t_lengths(len(self.without_seed), self.seed_error, 0.0, confidence)
            lengths = combined(lengths, self.error, float(half), self.seed_error)
        if equal or self.counted:
            share = unseen(self.n, confidence)
            exact = [share * abs(end - self.value) if math.isfinite(end) or equal else 0.0 for end in self.span]
            method += "" if equal or (lengths >= exact).all() else ", widened"
            lengths = np.maximum(lengths, exact)
        method += " over images and seeds" if self.seed_error > 0 else ""
        low, high = (float(end) for end in (self.value - lengths[0], self.value + lengths[1]))
        return Interval(self.value, max(low, self.span[0]), min(high, self.span[1]), method)

    @cached_property
    def _deviations(self) -> FloatArray:
        """Deviations of the value without each image; images outside every denominator leave it as it is."""
        defined = self.jackknife[np.isfinite(self.jackknife)]
        return defined.mean() - defined if len(defined) else defined

    @cached_property
    def error(self) -> float:
        """Standard error over images, by the jackknife (Tukey 1958)."""
        return math.sqrt(float((self._deviations**2).sum()) * max(self.n - 1, 0) / max(self.n, 1))

    @cached_property
    def _skew(self) -> float:
        # Images outside the denominators are no values: the moments are those of the n inside.
        second, third = (float((self._deviations**power).sum()) / max(self.n, 1) for power in (2, 3))
        return third / second**1.5 * skewness_factor(self.n) if self.n > 2 and second > 0 else 0.0

    @cached_property
    def seed_error(self) -> float:
        """Standard error over training seeds, by the jackknife; 0 with fewer than three seeds."""
        count = len(self.without_seed)
        if not count:
            return 0.0
        spread = float(((self.without_seed - self.without_seed.mean()) ** 2).sum())
        error = math.sqrt(spread * (count - 1) / count)
        return error if error > 1e-12 * max(1.0, abs(self.value)) else 0.0

    def _fieller(self, above: "Quantity", below: "Quantity", confidence: float) -> Interval:
        bare_above, bare_below = (replace(term, draws=np.zeros(0)) for term in (above, below))
        bottom = bare_below.interval(confidence)
        if not (bottom.low > 0 or bottom.high < 0):
            return Interval(self.value, -math.inf, math.inf, "fieller")

        def holds(ratio: float) -> bool:
            found = (bare_above - bare_below * ratio).interval(confidence)
            return found.low <= 0 <= found.high

        low, high = (_end(holds, self.value, side) for side in (-1.0, 1.0))
        return Interval(self.value, low, high, "fieller")

    def __add__(self, other: "Quantity | float") -> "Quantity":
        if not isinstance(other, Quantity):
            other = self._constant(other)
        span = (self.span[0] + other.span[0], self.span[1] + other.span[1])
        return self._with(other, span, add)

    def __mul__(self, factor: float) -> "Quantity":
        low, high = sorted((self.span[0] * factor, self.span[1] * factor)) if factor else (0.0, 0.0)
        return Quantity(
            self.value * factor,
            self.draws * factor,
            self.jackknife * factor,
            self.n,
            (low, high),
            self.counted,
            without_seed=self.without_seed * factor,
        )

    def __truediv__(self, other: "Quantity | float") -> "Quantity":
        if not isinstance(other, Quantity):
            return self * (1 / other)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self._with(other, (-math.inf, math.inf), np.divide)
        value = ratio.value if other.value else math.nan
        return replace(ratio, value=value, terms=(self, other))

    def __neg__(self) -> "Quantity":
        return self * -1.0

    def __sub__(self, other: "Quantity | float") -> "Quantity":
        return self + -other

    def _constant(self, value: float) -> "Quantity":
        return Quantity(
            value,
            np.full_like(self.draws, value),
            np.full_like(self.jackknife, value),
            self.n,
            (value, value),
            without_seed=np.full_like(self.without_seed, value),
        )

    def _with(self, other: "Quantity", span: tuple[float, float], act: Callable[[Any, Any], Any]) -> "Quantity":
        value = float(act(np.float64(self.value), other.value))
        draws, jackknife = act(self.draws, other.draws), act(self.jackknife, other.jackknife)
        counted = self.counted and other.counted
        seeds = act(self.without_seed, other.without_seed)
        return Quantity(value, draws, jackknife, min(self.n, other.n), span, counted, without_seed=seeds)


def _end(holds: Callable[[float], bool], inside: float, side: float) -> float:
    """Return the end, below (side −1) or above (+1), of an interval around a point that is inside it."""
    step = side * max(1e-3, abs(inside) / 8)
    outside = inside + step
    for _ in range(64):
        if not holds(outside):
            break
        inside, step = outside, 2 * step
        outside += step
    else:
        return side * math.inf
    while abs(outside - inside) > 1e-6 * max(1.0, abs(inside)):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return outside


def mean(quantities: Iterable[Quantity]) -> Quantity:
    """Return the mean of one or more quantities of the same resampler."""
    terms = list(quantities)
    if not terms:
        raise ValueError("the mean of no quantities is undefined")
    return reduce(add, terms) * (1 / len(terms))


def independent_difference(first: Quantity, second: Quantity) -> Quantity:
    """Return the difference of two quantities that were measured on independent images.

    Args:
        first: from one resampler.
        second: from another, whose draws have another name.

    Both sides are resampled; in the jackknife, leaving out an image of one side leaves the other as it is. The training
    seeds of both are the same.
    """
    n = min(first.n, second.n)
    # Each side's variance has a factor (n − 1)/n of its own; one factor serves both after this.
    parts = [
        sign * (side.jackknife - side.value) * math.sqrt((1 - 1 / max(side.n, 2)) / (1 - 1 / max(n, 2)))
        for side, sign in ((first, 1), (second, -1))
    ]
    value = first.value - second.value
    return Quantity(
        value,
        first.draws - second.draws,
        value + np.concatenate(parts),
        n,
        (first.span[0] - second.span[1], first.span[1] - second.span[0]),
        first.counted and second.counted,
        without_seed=first.without_seed - second.without_seed,
    )


class Resampler:
    """Resamples of one set of images, shared by every quantity that is measured on them."""

    def __init__(self, images: int, resamples: int, data_seed: int, name: str = "images") -> None:
        """Draw ``resamples`` samples of ``images`` images with replacement.

        Args:
            images: number of images.
            resamples: number of resamples.
            data_seed: seed of the draws.
            name: names the draws; the same name gives the same ones.
        """
        rng = generator(data_seed, "bootstrap", name)
        self.images = images
        self.resamples = resamples
        self._data_seed = data_seed
        self._seed_weights: dict[int, FloatArray] = {}
        # 255 is far above the count that an image ever reaches in a sample as large as the set itself.
        self.counts: NDArray[np.uint8] = _scratch((resamples, images), np.uint8)
        for row in self.counts:
            row[:] = np.minimum(np.bincount(rng.integers(0, images, images), minlength=images), 255)

    def seed_weights(self, seeds: int) -> FloatArray:
        """Return (resamples, seeds) weights of the deviations of seeds from their mean; 0 with fewer than three seeds.

        Weighted deviations of any values are distributed as Student's t with seeds − 1 degrees of freedom times the
        standard error of their mean. Three seeds drawn with replacement would have two thirds of the variance, and
        tails that end at the three values.
        """
        if seeds not in self._seed_weights:
            weights = np.zeros((self.resamples, seeds))
            if seeds >= SEEDS_TO_RESAMPLE:
                # The same models are measured on every set of images, so all sets share the draw of seeds.
                rng = generator(self._data_seed, "bootstrap", "images", "seeds", seeds)
                normal = rng.standard_normal((self.resamples, seeds))
                scale = np.sqrt(seeds * rng.chisquare(seeds - 1, (self.resamples, 1)))
                weights = (normal - normal.mean(axis=1, keepdims=True)) / scale
            self._seed_weights[seeds] = weights
        return self._seed_weights[seeds]

    def sums(self, columns: NDArray[Any]) -> FloatArray:
        """Return (resamples, K) sums of (images, K) columns over each resample; exact for counts."""
        # Sums of whole numbers stay exact in float32 up to 2^24, and that is twice as fast.
        dtype = np.float64 if columns.dtype.kind == "f" else np.float32
        columns = np.ascontiguousarray(columns, dtype)
        sums = np.empty((self.resamples, columns.shape[1]))
        block = min(BLOCK, max(1, BLOCK_VALUES // max(1, self.images)))
        for start in range(0, self.resamples, block):
            sums[start : start + block] = self.counts[start : start + block].astype(dtype) @ columns
        return sums

    def ratios(
        self,
        numerators: NDArray[Any],
        denominators: NDArray[Any],
        span: tuple[float, float] = (0.0, 1.0),
        counted: bool = True,
    ) -> list[Quantity]:
        """Return the ratio of sums over images of each of Q measures, averaged over seeds.

        Args:
            numerators: (seeds, Q, images) what is summed; whole numbers where ``counted``.
            denominators: (seeds, Q, images), or broadcastable, boolean: the images that take part.
            span: least and greatest possible value of a numerator of one image.
            counted: whether numerators are counts.

        A seed with an empty denominator takes no part in the mean; where all are empty the quantity is undefined.
        """
        seeds, count, images = numerators.shape
        if images != self.images:
            raise ValueError(f"{images} images were given to a resampler of {self.images}")
        denominators = np.broadcast_to(denominators, numerators.shape)
        above = np.where(denominators, numerators, np.zeros((), numerators.dtype))
        above = above.astype(np.int8) if above.dtype == bool else above
        stacked_above = above.reshape(seeds * count, images).T
        stacked_below = denominators.reshape(seeds * count, images).T.astype(np.int8)
        shape = (-1, seeds, count)
        kind = np.float64 if above.dtype.kind == "f" else np.int64
        total_above = stacked_above.sum(axis=0, dtype=kind).astype(float)
        total_below = stacked_below.sum(axis=0, dtype=np.int64).astype(float)
        whole = total_above.reshape(shape), total_below.reshape(shape)
        value = _average(*whole)[0]
        draws = _average(
            self.sums(stacked_above).reshape(shape), self.sums(stacked_below).reshape(shape), self.seed_weights(seeds)
        )
        kept = [np.arange(seeds) != seed for seed in range(seeds)] if seeds >= SEEDS_TO_RESAMPLE else []
        without_seed = [_average(*(side[:, keep] for side in whole))[0] for keep in kept]
        jackknife = np.empty((images, count))
        for start in range(0, images, 1024):
            part = slice(start, start + 1024)
            jackknife[part] = _average(
                (total_above - stacked_above[part]).reshape(shape),
                (total_below - stacked_below[part]).reshape(shape),
            )
        sizes = total_below.reshape(seeds, count)
        n = np.where(sizes > 0, sizes, np.inf).min(axis=0)
        return [
            Quantity(
                float(value[q]),
                np.ascontiguousarray(draws[:, q]),
                np.ascontiguousarray(jackknife[:, q]),
                int(n[q]) if math.isfinite(n[q]) else 0,
                span,
                counted,
                without_seed=np.array([ratios[q] for ratios in without_seed]),
            )
            for q in range(count)
        ]


def _scratch(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Return a new array; a large one is mapped to a temporary file that vanishes with it."""
    if math.prod(shape) * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        return np.asarray(np.memmap(file, dtype, "w+", shape=shape))


def _average(above: FloatArray, below: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Return (…, Q) ratios of (…, seeds, Q) sums, averaged over the seeds where they are defined.

    ``weights``: (…, seeds); the deviations of seeds from that mean, so weighted, are added to it.
    """
    defined = below > 0
    ratios = np.divide(above, below, out=np.zeros_like(above), where=defined)
    count = defined.sum(axis=-2)
    average: FloatArray = np.divide(ratios.sum(axis=-2), count, out=np.full(count.shape, np.nan), where=count > 0)
    if weights is not None:
        deviations = np.where(defined, ratios - average[..., None, :], 0.0)
        average = average + (deviations * weights[..., None]).sum(axis=-2)
    return average
