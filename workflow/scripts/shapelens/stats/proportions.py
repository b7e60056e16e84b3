"""Shares of images, counted for one model: intervals of each seed and of the mean over seeds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapelens.stats.intervals import UNDEFINED, Interval, proportion
from shapelens.stats.paired import BoolArray, stack
from shapelens.stats.resampling import Quantity, Resampler
from shapelens.stats.tidy import MEAN

AT_ONCE = 2**21
"""Largest block (images × measures × runs) for which ratios are computed at once; it bounds memory."""
Key = tuple[str, str]
"""Test set, and metric or class."""


class Count(NamedTuple):
    """One measure of one run, image by image: the ratio of the sums of two (images,) vectors."""

    above: "BoolArray | NDArray[np.int8]"
    below: BoolArray
    signed: bool = False
    """Whether ``above`` is −1, 0 or 1, a difference of two models; else 0 or 1."""


def seeds_and_mean(
    counts: Mapping[int, Mapping[Key, Count]], resampler: Resampler, confidence: float
) -> Iterable[tuple[str, Key, Interval, int]]:
    """Yield the interval and the denominator of every measure: for each seed, then for the mean over seeds.

    Args:
        counts: the measures of one model by seed.
        resampler: resamples of the images.
        confidence: coverage.

    Intervals of one seed: of a proportion (``stats.intervals.proportion``), of differences ``Quantity.interval``. Those
    of a mean: the seed's own where there is one; over images with two; over images and seeds from three on. The
    denominator of a mean is the sum over seeds; a seed whose denominator is empty takes no part.
    """
    single: dict[Key, tuple[Interval, int]] = {}
    for seed in counts:
        single = _of_one_seed(counts[seed], resampler, confidence)
        for key, (interval, n) in single.items():
            yield str(seed), key, interval, n
    means = single if len(counts) == 1 else _of_the_mean(counts, resampler, confidence)
    for key, (interval, n) in means.items():
        yield MEAN, key, interval, n


def ratio(counts: Sequence[Count], resampler: Resampler) -> Quantity:
    """Return one measure averaged over runs, given its count in each."""
    return next(_ratios([[count] for count in counts], resampler))


def _of_one_seed(
    counts: Mapping[Key, Count], resampler: Resampler, confidence: float
) -> dict[Key, tuple[Interval, int]]:
    differences = [key for key, count in counts.items() if count.signed]
    found: dict[Key, Interval] = {}
    if differences:
        quantities = _ratios([[counts[key] for key in differences]], resampler)
        found = {key: q.interval(confidence) for key, q in zip(differences, quantities, strict=True)}
    rows = {}
    for key, (above, below, _) in counts.items():
        n = int(below.sum())
        rows[key] = (found[key] if key in found else proportion(int((above & below).sum()), n, confidence), n)
    return rows


def _of_the_mean(
    counts: Mapping[int, Mapping[Key, Count]], resampler: Resampler, confidence: float
) -> dict[Key, tuple[Interval, int]]:
    keys = list(dict.fromkeys(key for measures in counts.values() for key in measures))
    groups: dict[tuple[bool, tuple[int, ...]], list[Key]] = {}
    for key in keys:
        seeds = tuple(seed for seed in counts if key in counts[seed])
        groups.setdefault((counts[seeds[0]][key].signed, seeds), []).append(key)
    rows: dict[Key, tuple[Interval, int]] = {}
    for (_, seeds), members in groups.items():
        runs = [[counts[seed][key] for key in members] for seed in seeds]
        sizes = [sum(int(run[place].below.sum()) for run in runs) for place in range(len(members))]
        for key, quantity, n in zip(members, _ratios(runs, resampler), sizes, strict=True):
            rows[key] = (quantity.interval(confidence) if n else UNDEFINED, n)
    return {key: rows[key] for key in keys}


def _ratios(runs: Sequence[Sequence[Count]], resampler: Resampler) -> Iterator[Quantity]:
    """Yield measures averaged over runs, given (runs, measures) counts that are all signed or all not.

    Works in blocks of at most ``AT_ONCE`` answers.
    """
    span = (-1.0, 1.0) if runs[0][0].signed else (0.0, 1.0)
    step = max(1, AT_ONCE // (len(runs) * max(1, resampler.images)))
    for first in range(0, len(runs[0]), step):
        part = [run[first : first + step] for run in runs]
        above = np.stack([np.stack([count.above for count in run]) for run in part])
        below = stack([[count.below for count in run] for run in part])
        yield from resampler.ratios(above, below, span)
