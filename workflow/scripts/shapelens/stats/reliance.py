"""What is left of a model's accuracy where a cue is suppressed, and how well it reads each cue where two conflict.

Shape bias is a ratio of decisions: it does not say how well either cue is read, and a forced choice is a preference and
no reliance (Burgert et al. 2025, arXiv 2509.20234; Kim et al. 2026, arXiv 2603.10834).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from shapelens.names.testsets import base_of
from shapelens.stats.intervals import Interval
from shapelens.stats.paired import Answers
from shapelens.stats.proportions import Key
from shapelens.stats.resampling import Resampler
from shapelens.stats.tidy import MEAN

T = TypeVar("T")
RELATIVE = "relative_accuracy"
RECIPROCAL_RANKS = ("shape_mrr", "texture_mrr")
"""Mean reciprocal rank of the shape's class, and of the texture's, where they conflict."""
Row = tuple[str, Key, Interval, int]
Sets = Mapping[int, Mapping[str, Answers]]
"""One model's answers by seed and test set."""


def relative_accuracies(sets: Sets, testsets: Sequence[str], resampler: Resampler, confidence: float) -> Iterator[Row]:
    """Yield accuracy on each transformed set divided by that on the images it is made of, for each seed and the mean.

    For the mean over seeds the mean accuracies are divided. Images are resampled for both together. ``n`` counts the
    images of the set, for the mean those of all seeds.

    Args:
        sets: one model's answers.
        testsets: names of test sets, in order; those that are not transformations of another are passed over.
        resampler: resamples of the images.
        confidence: coverage.
    """
    for base in dict.fromkeys(base for base in map(base_of, testsets) if base is not None):
        for seed, runs in _groups({seed: found for seed, found in sets.items() if base in found}):
            made = [name for name in testsets if base_of(name) == base and all(name in run for run in runs)]
            right = np.stack([np.stack([run[name].right for name in (base, *made)]) for run in runs])
            present = np.stack([np.stack([run[name].present for name in (base, *made)]) for run in runs])
            whole, *shares = resampler.ratios(right, present)
            for place, (name, share) in enumerate(zip(made, shares, strict=True), start=1):
                yield seed, (name, RELATIVE), (share / whole).interval(confidence), int(present[:, place].sum())


def reciprocal_ranks(sets: Sets, testsets: Sequence[str], resampler: Resampler, confidence: float) -> Iterator[Row]:
    """Yield the mean reciprocal rank of the shape's and of the texture's class, for each seed and for the mean.

    Over the images of a set whose cues name different classes. The rank is that among all classes. 1: this cue is
    always read first, and the other then has 1/2 at most; guessing gives the mean of 1, 1/2, …, 1/C for C
    classes. ``n`` counts the images, for the mean those of all seeds.

    Arguments are those of ``relative_accuracies``; sets without conflicts, or whose rows have no ranks, have no such
    measure.
    """
    for testset in testsets:
        measured = {seed: found[testset] for seed, found in sets.items() if testset in found}
        for seed, runs in _groups({s: run for s, run in measured.items() if run.ranks is not None}):
            conflict = np.stack([run.conflict for run in runs])[:, None]
            ranks = np.stack([run.ranks for run in runs if run.ranks is not None])
            reciprocal = np.divide(1.0, ranks, out=np.zeros(ranks.shape), where=ranks > 0)
            quantities = resampler.ratios(reciprocal, conflict, counted=False)
            for metric, quantity in zip(RECIPROCAL_RANKS, quantities, strict=True):
                yield seed, (testset, metric), quantity.interval(confidence), int(conflict.sum())


def _groups(runs: Mapping[int, T]) -> Iterator[tuple[str, list[T]]]:
    """Yield each seed with its run, then ``mean`` with all; nothing where there are none."""
    for seed, run in runs.items():
        yield str(seed), [run]
    if runs:
        yield MEAN, list(runs.values())
