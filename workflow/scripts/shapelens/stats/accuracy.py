"""The tidy table of every measured proportion, and the published numbers beside it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shapelens.names.models import ENDS, RULERS
from shapelens.names.testsets import base_of
from shapelens.stats.intervals import UNDEFINED, Interval
from shapelens.stats.paired import CLEAN, ROBUST, Answers, Paired, Run, pair
from shapelens.stats.proportions import Count, Key, seeds_and_mean
from shapelens.stats.reliance import reciprocal_ranks, relative_accuracies
from shapelens.stats.resampling import Resampler
from shapelens.stats.ruler import Ruler, model_bias
from shapelens.stats.shape_bias import BIAS, DIFFERENCE, STYLISED, bias_count, bias_differences
from shapelens.stats.spec import Statistics
from shapelens.stats.tidy import MEAN

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("dataset", "model", "seed", "testset", "metric", "value", "low", "high", "n", "published")
GAP = "gap_on_common"
PLACE = "shape_bias_place"
Row = tuple[str, str, str, float, float, float, int]
"""Seed or ``mean``, test set, metric, value, low, high, n."""


def accuracy_table(
    predictions: Mapping[Run, "pd.DataFrame"],
    robust: Mapping[Run, "pd.DataFrame"],
    *,
    dataset: str,
    order: Sequence[str],
    reference: str = "standard",
    published: "pd.DataFrame | None" = None,
    statistics: Statistics,
    data_seed: int,
    has_scale: bool = True,
) -> "pd.DataFrame":
    """Return every measured proportion of a study as a tidy table.

    Metrics, all in [0, 1] where nothing else is said, but the gap in [-1, 1]:

    - ``accuracy``: the share of images whose label was named;
    - ``accuracy_on_correct``: of the images that the model classifies correctly when clean, the share that it still
      does (the paper's accuracy); on transformed sets only, of an own set's transformations relative to that set;
    - ``accuracy_on_common``: the same, of the images that model and reference both classify correctly when clean;
    - ``gap_on_common``: this model minus the reference on those images;
    - ``robust_accuracy`` (test set ``clean``): the share still named under attack;
    - ``shape_bias``: where shape and texture conflict, of the decisions that name either's class, the share naming the
      shape's (Geirhos et al. 2019); without numbers where the rulers say that it cannot be read (``Ruler.withheld``);
    - ``shape_bias_place``: there, where the mean over seeds lies between the two rulers' readings: 0 at the texture
      ruler's, 1 at the shape ruler's;
    - ``shape_mrr`` and ``texture_mrr``: there, the mean reciprocal rank of the shape's and of the texture's class;
    - ``relative_accuracy``, on transformed sets: accuracy there divided by that on clean images, which may exceed 1;
    - ``shape_bias_difference``, in [-1, 1], on a drawn conflict set where ``cue-conflict`` was measured too: the shape
      bias on the stylised images less that on the drawn ones.

    One row per seed, and one for their ``mean``. Intervals of one seed: Wilson, or Clopper–Pearson where the sample is
    all equal; of gaps and of differences of shape biases those of ``Quantity.interval``, the two sets of images of the
    latter being independent. Intervals of a mean: that of the seed itself where there is one; over images with two;
    over images and seeds from three on. ``n`` is the denominator (of a difference of shape biases the smaller one), for
    a mean the sum over seeds. Reciprocal ranks and relative accuracies: over images, also of one seed.
    An empty denominator leaves value, low and high empty; a seed that has one takes no part in the mean.

    Args:
        predictions: per-image answers by (model, seed).
        robust: per-image answers under attack by (model, seed); may lack models.
        dataset: name of the study.
        order: names of the models in the order of the grid.
        reference: model that others are compared with, seed by seed; a model with a seed that the reference lacks is
            compared with the reference's first seed. Without it the table has no ``…_on_common``.
        published: result of ``join_published``, for the column ``published`` of the rows of means.
        statistics: confidence and number of resamples.
        data_seed: seed of the resamples.
        has_scale: see ``StatisticsJob``.

    Raises UserError where runs cannot be paired.
    """
    import pandas as pd

    paired = pair(predictions, robust)
    resampler, other = (
        Resampler(len(paired.ids), statistics.resamples, data_seed, name) for name in ("images", "cue-conflict")
    )
    ruler = Ruler(paired, resampler, statistics, has_scale=has_scale)
    rows = [
        (dataset, model, *row)
        for model in order
        if paired.seeds(model)
        for row in (
            *_readable_rows(paired, (resampler, other), ruler, model, reference, statistics.confidence),
            *_places(paired, resampler, ruler, model, statistics.confidence),
        )
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS[:-1]))
    if published is None:
        return table.assign(published=np.nan)
    joined = table.merge(published, how="left", on=["model", "testset", "metric"])
    joined.loc[joined["seed"] != MEAN, "published"] = np.nan
    return joined


def join_published(published: "pd.DataFrame", kind: str) -> "pd.DataFrame":
    """Return the published numbers of one kind of dataset as model, testset, metric, published (in [0, 1]).

    Where two tables print the same quantity, the first one's value is taken (Table 2 repeats Table 1's clean
    accuracies, twice with other digits).

    Args:
        published: table, dataset, model, testset, metric, percent.
        kind: ``cifar10``, ``tinyimagenet`` or ``caltech256``; any other kind gives an empty table.
    """
    rows = published[published["dataset"] == kind].sort_values("table", kind="stable")
    rows = rows.drop_duplicates(["model", "testset", "metric"]).assign(published=rows["percent"] / 100)
    return rows[["model", "testset", "metric", "published"]].reset_index(drop=True)


def _readable_rows(
    paired: Paired,
    resamplers: tuple[Resampler, Resampler],
    ruler: Ruler,
    model: str,
    reference: str,
    confidence: float,
) -> Iterable[Row]:
    """Yield a model's rows, without the numbers of shape biases that the rulers say cannot be read."""
    unread = {
        testset: ruler.withheld(model, testset) is not None
        for testset in paired.testsets()
        if any(
            testset in paired.answers[model, s] and paired.answers[model, s][testset].conflict.any()
            for s in paired.seeds(model)
        )
    }
    for seed, testset, metric, *numbers, n in _model_rows(paired, resamplers, model, reference, confidence):
        hides = metric == BIAS and unread[testset]
        hides |= metric == DIFFERENCE and (unread[testset] or unread.get(STYLISED, False))
        value, low, high = (math.nan,) * 3 if hides else numbers
        yield seed, testset, metric, value, low, high, n


def _places(paired: Paired, resampler: Resampler, ruler: Ruler, model: str, confidence: float) -> Iterable[Row]:
    """Yield where a model's mean shape bias lies between the rulers', on every set where that can be read."""
    if RULERS.get(model) in ENDS:
        return
    for testset in paired.testsets():
        bias = model_bias(paired, resampler, model, testset) if ruler.ends(testset) is not None else None
        if bias is None or ruler.withheld(model, testset) is not None:
            continue
        place = ruler.place(bias, testset)
        if place is not None:
            yield MEAN, testset, PLACE, *place.interval(confidence)[:3], bias.n


def _model_rows(
    paired: Paired, resamplers: tuple[Resampler, Resampler], model: str, reference: str, confidence: float
) -> Iterable[Row]:
    counts = {seed: _counts(paired, model, seed, reference) for seed in paired.seeds(model)}
    sets, testsets = {seed: paired.answers[model, seed] for seed in counts}, paired.testsets()
    for seed, (testset, metric), interval, n in (
        *seeds_and_mean(counts, resamplers[0], confidence),
        *bias_differences(counts, *resamplers, confidence),
        *reciprocal_ranks(sets, testsets, resamplers[0], confidence),
        *relative_accuracies(sets, testsets, resamplers[0], confidence),
    ):
        yield seed, testset, metric, *interval[:3], n


def _counts(paired: Paired, model: str, seed: int, reference: str) -> dict[Key, Count]:
    """Return every measure of one run."""
    sets = paired.answers[model, seed]
    against = _reference_sets(paired, seed, reference)
    counts: dict[Key, Count] = {}
    for testset in paired.testsets():
        if testset not in sets:
            continue
        found = sets[testset]
        counts[testset, "accuracy"] = Count(found.right, found.present)
        if testset == CLEAN and ROBUST in sets:
            counts[testset, "robust_accuracy"] = Count(sets[ROBUST].right, sets[ROBUST].present)
        if found.conflict.any():
            counts[testset, BIAS] = bias_count(found)
        base = base_of(testset)
        if base is None or base not in sets:
            continue
        correct = sets[base].right & found.present
        counts[testset, "accuracy_on_correct"] = Count(found.right & correct, correct)
        if base not in against or testset not in against:
            continue
        common = correct & against[base].right
        counts[testset, "accuracy_on_common"] = Count(found.right & common, common)
        if model != reference:
            gap = (found.right.astype(np.int8) - against[testset].right) * common
            counts[testset, GAP] = Count(gap.astype(np.int8), common, signed=True)
    return counts


def _reference_sets(paired: Paired, seed: int, reference: str) -> Mapping[str, Answers]:
    seeds = paired.seeds(reference)
    if not seeds:
        return {}
    return paired.answers[reference, seed if seed in seeds else seeds[0]]


def mean_value(table: "pd.DataFrame", model: str, testset: str, metric: str) -> Interval:
    """Return the mean over seeds of one measure from a tidy table; undefined where the table lacks it."""
    rows = table[
        (table["model"] == model)
        & (table["testset"] == testset)
        & (table["metric"] == metric)
        & (table["seed"].astype(str) == MEAN)
    ]
    if len(rows) != 1 or math.isnan(float(rows["value"].iloc[0])):
        return UNDEFINED
    value, low, high = (float(rows[name].iloc[0]) for name in ("value", "low", "high"))
    return Interval(value, low, high, "table")
