"""Shape bias where cues conflict: by class, and how it differs between stylised and drawn images."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shapelens.stats.intervals import UNDEFINED, Interval
from shapelens.stats.paired import Answers, Run, pair
from shapelens.stats.proportions import Count, Key, ratio, seeds_and_mean
from shapelens.stats.resampling import Resampler, independent_difference
from shapelens.stats.ruler import Ruler
from shapelens.stats.spec import Statistics
from shapelens.stats.tidy import MEAN

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("dataset", "model", "seed", "testset", "class", "value", "low", "high", "n")
BIAS = "shape_bias"
DIFFERENCE = "shape_bias_difference"
STYLISED = "cue-conflict"
DRAWN = "conflict"
"""Prefix of the names of test sets drawn with conflicting cues."""


def bias_count(found: Answers) -> Count:
    """Return the count of shape bias: decisions for the shape among those for either cue (Geirhos et al. 2019)."""
    shape = found.right & found.conflict
    return Count(shape, shape | found.texture)


def bias_differences(
    counts: Mapping[int, Mapping[Key, Count]], resampler: Resampler, other: Resampler, confidence: float
) -> Iterable[tuple[str, Key, Interval, int]]:
    """Yield the shape bias on stylised images less that on each drawn set, for each seed and the mean over seeds.

    The images of the two sets are independent, so each side has its own resamples; training seeds are resampled with
    both sides alike. A seed in which no decision names either cue on one side takes no part.

    Args:
        counts: the measures of one model by seed, ``BIAS`` among them.
        resampler: resamples of the drawn images.
        other: resamples of the stylised images.
        confidence: coverage.

    Each interval comes with the smaller of the two denominators; for a mean, of their sums over seeds.
    """
    drawn = dict.fromkeys(
        testset
        for measures in counts.values()
        for testset, metric in measures
        if metric == BIAS and testset.startswith(DRAWN)
    )
    for testset in drawn:
        pairs = {
            seed: (measures[STYLISED, BIAS], measures[testset, BIAS])
            for seed, measures in counts.items()
            if {(STYLISED, BIAS), (testset, BIAS)} <= set(measures)
        }
        defined = {seed: both for seed, both in pairs.items() if all(count.below.any() for count in both)}
        groups = {str(seed): [both] for seed, both in defined.items()}
        if defined:
            groups[MEAN] = list(defined.values())
        for seed, both in groups.items():
            stylised, exact = ([count[side] for count in both] for side in (0, 1))
            difference = independent_difference(ratio(stylised, other), ratio(exact, resampler))
            n = min(sum(int(count.below.sum()) for count in side) for side in (stylised, exact))
            yield seed, (testset, DIFFERENCE), difference.interval(confidence), n


def shape_bias_per_class(
    predictions: Mapping[Run, "pd.DataFrame"],
    *,
    dataset: str,
    order: Sequence[str],
    classes: Sequence[str],
    statistics: Statistics,
    data_seed: int,
    has_scale: bool = True,
) -> "pd.DataFrame":
    """Return the shape bias of every model on the images whose shape is of one class, as a tidy table.

    Args:
        predictions: per-image answers by (model, seed); sets without conflicting cues are ignored.
        dataset: name of the study.
        order: names of the models in the order of the grid.
        classes: names of the classes in the order of their labels.
        statistics: confidence and number of resamples.
        data_seed: seed of the resamples.
        has_scale: see ``StatisticsJob``.

    Returns columns dataset, model, seed (or ``mean``), testset, class, value and its interval in [0, 1], n (decisions
    for either cue). Value, low and high are undefined where no decision names either cue, and where the rulers say that
    shape bias cannot be read (``Ruler.withheld``). Intervals are those of
    ``stats.proportions.seeds_and_mean``: of one seed Wilson's, or Clopper–Pearson's where the sample is all equal.
    """
    import pandas as pd

    paired = pair(predictions, {})
    resampler = Resampler(len(paired.ids), statistics.resamples, data_seed)
    ruler = Ruler(paired, resampler, statistics, has_scale=has_scale)
    rows = [
        (dataset, model, seed, testset, classes[int(label)], *_shown(ruler, model, testset, interval), n)
        for model in order
        for seed, (testset, label), interval, n in seeds_and_mean(
            {seed: _by_class(paired.answers[model, seed], len(classes)) for seed in paired.seeds(model)},
            resampler,
            statistics.confidence,
        )
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _shown(ruler: Ruler, model: str, testset: str, interval: Interval) -> tuple[float, float, float]:
    """Return the numbers of a shape bias, undefined where the rulers say that it cannot be read."""
    return interval[:3] if ruler.withheld(model, testset) is None else UNDEFINED[:3]


def _by_class(sets: Mapping[str, Answers], classes: int) -> dict[Key, Count]:
    """Return the count of every class on every set with conflicting cues."""
    counts: dict[Key, Count] = {}
    for testset, found in sets.items():
        if not found.conflict.any():
            continue
        whole = bias_count(found)
        for label in range(classes):
            own = found.labels == label
            counts[testset, str(label)] = Count(whole.above & own, np.asarray(whole.below & own))
    return counts
