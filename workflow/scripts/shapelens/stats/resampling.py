"""Quantities with their resamples: images are drawn once per study, so that everything measured on them stays paired.

A `Quantity` carries its value, its value in every resample, and its value without each image; arithmetic on quantities
acts on all three, so a difference, a mean over models or a share has its own paired bootstrap interval for free.
"""

import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapelens.seeds import generator
from shapelens.stats.intervals import UNDEFINED, FloatArray, Interval, bca, unseen

BLOCK = 128
BLOCK_VALUES = 2**22
"""Largest block of counts that is copied to float at a time: 128 resamples of up to 32,768 images."""
IN_MEMORY = 2**24
"""Counts of more bytes than this lie in a temporary file, memory-mapped."""
SEEDS_TO_RESAMPLE = 3
"""Fewest training seeds that are resampled too; with fewer, an interval is about these checkpoints only."""


@dataclass(frozen=True)
class Quantity:
    """An estimate with its bootstrap; supports +, −, *, / with quantities and numbers."""

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

    def interval(self, confidence: float) -> Interval:
        """Return the value with its interval.

        BCa. Where every resample gives the same value (two models agree on every image, say), BCa would have width 0.
        The interval is then the exact one: with confidence 1 − α, images of a kind that was never seen among ``n`` have
        a share of at most u = 1 − (α/2)^(1/n), and each could move the value to an end of its span (for a difference of
        two models, the exact McNemar bound without discordant pairs). Intervals of counts are never narrower than that,
        so that a single discordant image does not look like certainty either. A ratio of quantities that is the same
        in every resample has the extreme ratios of its terms' intervals.
        """
        if not math.isfinite(self.value):
            return UNDEFINED
        finite = self.draws[np.isfinite(self.draws)]
        low, high = bca(self.value, self.draws, self.jackknife, confidence)
        if math.isnan(low):
            return Interval(self.value, low, high, "undefined")
        equal = bool(np.ptp(finite) <= 1e-12 * max(1.0, abs(self.value)))
        if equal and self.terms is not None:
            return self._corners(*self.terms, confidence)
        if not (equal or self.counted):
            return Interval(self.value, low, high, "bca")
        share = unseen(self.n, confidence)
        floor, ceiling = (
            self.value + share * (end - self.value) if math.isfinite(end) or equal else self.value for end in self.span
        )
        if equal:
            return Interval(self.value, floor, ceiling, "exact")
        widened = floor < low or ceiling > high
        return Interval(self.value, min(low, floor), max(high, ceiling), "bca, widened" if widened else "bca")

    def _corners(self, above: "Quantity", below: "Quantity", confidence: float) -> Interval:
        """Return a ratio's interval: the extreme ratios of its terms' intervals, each of these made for half of α."""
        top, bottom = (term.interval((1 + confidence) / 2) for term in (above, below))
        if not (bottom.low > 0 or bottom.high < 0):
            return Interval(self.value, -math.inf, math.inf, "exact")
        corners = [end / side for end in (top.low, top.high) for side in (bottom.low, bottom.high)]
        return Interval(self.value, min(corners), max(corners), "exact")

    def __add__(self, other: "Quantity | float") -> "Quantity":
        if not isinstance(other, Quantity):
            other = self._constant(other)
        span = (self.span[0] + other.span[0], self.span[1] + other.span[1])
        return self._with(
            other, self.value + other.value, self.draws + other.draws, self.jackknife + other.jackknife, span
        )

    def __mul__(self, factor: float) -> "Quantity":
        low, high = sorted((self.span[0] * factor, self.span[1] * factor)) if factor else (0.0, 0.0)
        return Quantity(
            self.value * factor, self.draws * factor, self.jackknife * factor, self.n, (low, high), self.counted
        )

    def __truediv__(self, other: "Quantity | float") -> "Quantity":
        if not isinstance(other, Quantity):
            return self * (1 / other)
        with np.errstate(divide="ignore", invalid="ignore"):
            draws, jackknife = self.draws / other.draws, self.jackknife / other.jackknife
        value = self.value / other.value if other.value else math.nan
        ratio = self._with(other, value, draws, jackknife, (-math.inf, math.inf))
        return replace(ratio, terms=(self, other))

    def __neg__(self) -> "Quantity":
        return self * -1.0

    def __sub__(self, other: "Quantity | float") -> "Quantity":
        return self + -other

    def _constant(self, value: float) -> "Quantity":
        return Quantity(
            value, np.full_like(self.draws, value), np.full_like(self.jackknife, value), self.n, (value, value)
        )

    def _with(
        self, other: "Quantity", value: float, draws: FloatArray, jackknife: FloatArray, span: tuple[float, float]
    ) -> "Quantity":
        return Quantity(value, draws, jackknife, min(self.n, other.n), span, self.counted and other.counted)


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

    Both sides are resampled; in the jackknife, leaving out an image of one side leaves the other as it is.
    """
    jackknife = np.concatenate([first.jackknife - second.value, first.value - second.jackknife])
    span = (first.span[0] - second.span[1], first.span[1] - second.span[0])
    counted = first.counted and second.counted
    n = min(first.n, second.n)
    return Quantity(first.value - second.value, first.draws - second.draws, jackknife, n, span, counted)


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
        """Return (resamples, seeds) weights: seeds with replacement from three on, else one each."""
        if seeds not in self._seed_weights:
            weights = np.ones((self.resamples, seeds))
            if seeds >= SEEDS_TO_RESAMPLE:
                # The same models are measured on every set of images, so all sets share the draw of seeds.
                rng = generator(self._data_seed, "bootstrap", "images", "seeds", seeds)
                weights = rng.multinomial(seeds, [1 / seeds] * seeds, size=self.resamples).astype(float)
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
        flat = np.ones((1, seeds))
        value = _average(total_above.reshape(shape), total_below.reshape(shape), flat)[0]
        draws = _average(
            self.sums(stacked_above).reshape(shape), self.sums(stacked_below).reshape(shape), self.seed_weights(seeds)
        )
        jackknife = np.empty((images, count))
        for start in range(0, images, 1024):
            part = slice(start, start + 1024)
            jackknife[part] = _average(
                (total_above - stacked_above[part]).reshape(shape),
                (total_below - stacked_below[part]).reshape(shape),
                flat,
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
            )
            for q in range(count)
        ]


def _scratch(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Return a new array; a large one is mapped to a temporary file that vanishes with it."""
    if math.prod(shape) * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        return np.asarray(np.memmap(file, dtype, "w+", shape=shape))


def _average(above: FloatArray, below: FloatArray, weights: FloatArray) -> FloatArray:
    """Return (…, Q) ratios of (…, seeds, Q) sums, averaged with (…, seeds) weights over the defined ones."""
    defined = below > 0
    ratios = np.divide(above, below, out=np.zeros_like(above), where=defined)
    heavy = defined * weights[..., None]
    weight = heavy.sum(axis=-2)
    mean_ratio: FloatArray = np.divide(
        (ratios * heavy).sum(axis=-2), weight, out=np.full(weight.shape, np.nan), where=weight > 0
    )
    return mean_ratio


def paired_bootstrap(
    columns: Sequence[NDArray[Any]],
    *,
    span: tuple[float, float] | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
    data_seed: int = 0,
) -> Interval:
    """Return the mean difference of two measures of the same images, or of one from zero, with its interval.

    Args:
        columns: one or two arrays (images,) or (seeds, images); boolean or continuous. The second is subtracted.
        span: least and greatest possible value; by default [-1, 1] for a difference, else [0, 1].
        resamples: bootstrap resamples of images, and of seeds from three on.
        confidence: coverage.
        data_seed: seed of the resamples.

    Raises ValueError where the arrays differ in shape.
    """
    arrays = [np.atleast_2d(np.asarray(column)) for column in columns]
    if len({array.shape for array in arrays}) != 1 or len(arrays) > 2:
        raise ValueError(f"one or two arrays of one shape are needed, not {[array.shape for array in arrays]}")
    counted = all(array.dtype == bool for array in arrays)
    signed = [array.astype(np.int8) if counted else array.astype(float) for array in arrays]
    difference = signed[0] - signed[1] if len(signed) == 2 else signed[0]
    span = span or ((-1.0, 1.0) if len(signed) == 2 else (0.0, 1.0))
    resampler = Resampler(difference.shape[1], resamples, data_seed)
    present = np.ones_like(difference, bool)[:, None]
    return resampler.ratios(difference[:, None], present, span, counted)[0].interval(confidence)
