"""What the rulers read: how much of each cue a test set leaves, and the two ends of every scale of shape bias.

A ruler is a model whose answer is known by construction (``names.models.RULERS``): one cannot see shape, one cannot
use texture, one sees the colours of single pixels. What each of them still names right on a test set says what is left
there of its cue, without a threshold on pictures; what the first two answer where cues conflict are the ends between
which every other model's shape bias lies.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shapelens.names.models import ENDS, MODEL_OF, RULERS, Cue
from shapelens.stats.intervals import Interval
from shapelens.stats.paired import CLEAN, ROBUST, Answers, Paired
from shapelens.stats.resampling import Quantity, Resampler
from shapelens.stats.spec import Statistics
from shapelens.stats.tidy import MEAN

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("dataset", "model", "seed", "testset", "metric", "value", "low", "high", "n", "published", "readable")
LEFT, END, APART = "left", "shape_bias", "apart"
ALONE = {"shape-only": ("shape",), "texture-only": ("texture",)}
"""Drawn sets that hold one cue alone, by what a ruler can name there."""


DOES: dict[str, tuple[Cue, Cue]] = {
    "saturation-": ("shape", "texture"),
    "low-pass": ("shape", "texture"),
    "gaussian-blur": ("shape", "texture"),
    "bilateral": ("shape", "texture"),
    "stylised": ("shape", "texture"),
    "patch-shuffle-": ("texture", "shape"),
    "high-pass": ("texture", "shape"),
}
"""What a test set must do, by the beginning of its name: the cue that it keeps, and the one that it removes."""
HALF = 0.5
READS = 2 / 3
"""Share of what a model can on clean images that must be left where cues conflict, or its answers are mostly guesses. A
model that uses shape alone had 0.63 on hybrids of signs under grain, and there a bias of 0.74 where the truth is 1."""

TWO_CLASSES = "of two classes every answer names one: a guess cannot be told from a reading"


class Refusal(NamedTuple):
    """Why something cannot be read on a test set, with the readings."""

    testset: str
    reason: str


class Ruler:
    """The rulers' answers, aligned with those of all other models of a study.

    ``has_scale``: False where no ruler can be trained, so that nobody knows the ends of a scale of shape bias; it is
    then held back only from models that guess.
    """

    def __init__(self, paired: Paired, resampler: Resampler, statistics: Statistics, *, has_scale: bool = True) -> None:
        self._paired, self._resampler, self._statistics = paired, resampler, statistics
        self._has_scale = has_scale
        self._left: dict[tuple[str, str], Quantity | None] = {}
        self._withheld: dict[tuple[str, str], str | None] = {}
        self._ends: dict[str, tuple[Quantity, Quantity] | None] = {}

    @cached_property
    def cues(self) -> list[Cue]:
        """The cues of which the study has a ruler."""
        cues: tuple[Cue, ...] = ("texture", "shape", "colour")
        return [cue for cue in cues if self.answers(cue, CLEAN)]

    def clean(self, cue: Cue) -> Quantity | None:
        """Return a ruler's accuracy on clean images less chance, the share of the most frequent class."""
        return self._above_chance(cue, CLEAN)

    def has_learned(self, cue: Cue) -> bool:
        """Tell whether a ruler's accuracy on clean images lies clearly above chance."""
        clean = self.clean(cue)
        return clean is not None and clean.interval(self._statistics.confidence).low > 0

    def left(self, cue: Cue, testset: str) -> Quantity | None:
        """Return the share of a cue that a test set leaves; None without its ruler, or where that has learned nothing.

        That is the ruler's accuracy there above chance, relative to that on clean images: 1 is all, 0 nothing.
        """
        key = (cue, testset)
        if key not in self._left:
            here, clean = self._above_chance(cue, testset), self.clean(cue)
            known = here is not None and clean is not None and self.has_learned(cue)
            self._left[key] = here / clean if known else None  # type: ignore[operator]
        return self._left[key]

    def ends(self, testset: str) -> tuple[Quantity, Quantity] | None:
        """Return the shape bias of the texture and of the shape ruler on a conflict set; None without them."""
        if testset not in self._ends:
            both = [self.answers(cue, testset) for cue in ENDS]
            usable = all(both) and all(found.conflict.any() for side in both for found in side)
            self._ends[testset] = (
                (mean_bias(both[0], self._resampler), mean_bias(both[1], self._resampler)) if usable else None
            )
        return self._ends[testset]

    def apart(self, testset: str) -> Quantity | None:
        """Return how far apart the ends of a conflict set's scale are."""
        ends = self.ends(testset)
        return None if ends is None else ends[1] - ends[0]

    def unreadable_bias(self, testset: str) -> Refusal | None:
        """Return why shape bias cannot be read on a conflict set, or None where it can.

        The ends must be apart by more than ``statistics.apart``, with their interval.
        """
        ends, apart = self.ends(testset), self.apart(testset)
        if ends is None or apart is None:
            return Refusal(testset, f"no ruler was measured on {testset}: see the key `rulers`")
        found = apart.interval(self._statistics.confidence)
        if found.low > self._statistics.apart:
            return None
        low, high = (end.value for end in ends)
        return Refusal(
            testset,
            f"{testset}: the texture ruler reads a shape bias of {_percent(low)}, the shape ruler {_percent(high)}: "
            f"{_points(found)} apart, and {100 * self._statistics.apart:g} are needed",
        )

    def place(self, bias: Quantity, testset: str) -> Quantity | None:
        """Return where a shape bias lies between the two ends: 0 at the texture ruler's, 1 at the shape ruler's."""
        ends = self.ends(testset)
        return None if ends is None else (bias - ends[0]) / (ends[1] - ends[0])

    def unreadable_set(self, testset: str, kept: Cue, removed: Cue) -> Refusal | None:
        """Return why a test set does not do what is said of it, or None where it does.

        What is left of the kept cue must exceed what is left of the removed one by more than ``statistics.apart``, with
        the interval of the difference.
        """
        for cue in (kept, removed):
            if not self.answers(cue, testset):
                return Refusal(testset, f"no {cue} ruler was measured on {testset}: see the key `rulers`")
            if not self.has_learned(cue):
                return Refusal(testset, f"the {cue} ruler has learned nothing: on clean images it is at chance")
        both = self.left(kept, testset), self.left(removed, testset)
        assert both[0] is not None and both[1] is not None
        found = (both[0] - both[1]).interval(self._statistics.confidence)
        if found.low > self._statistics.apart:
            return None
        return Refusal(
            testset,
            f"{testset} leaves {_percent(both[0].value)} of {kept} and {_percent(both[1].value)} of {removed}: "
            f"{_points(found)} between them, and {100 * self._statistics.apart:g} are needed",
        )

    def unreadable(self, testset: str) -> Refusal | None:
        """Return why a test set does not do what its kind must (``DOES``), or None where it does or need do nothing."""
        does = next((cues for start, cues in DOES.items() if testset.startswith(start)), None)
        return None if does is None else self.unreadable_set(testset, *does)

    def still_there(self, testset: str, removed: Cue) -> Refusal | None:
        """Return that half of a cue or more may be left on a test set, or None where clearly less is."""
        if not self.answers(removed, testset):
            return Refusal(testset, f"no {removed} ruler was measured on {testset}: see the key `rulers`")
        left = self.left(removed, testset)
        if left is None:
            return Refusal(testset, f"the {removed} ruler has learned nothing: on clean images it is at chance")
        found = left.interval(self._statistics.confidence)
        if found.high < HALF:
            return None
        return Refusal(testset, f"{testset} may leave half of {removed}: {_points(found, '%')}")

    def names_neither(self, model: str, testset: str) -> str | None:
        """Return that a model's shape bias on a conflict set is no reading of either cue, or None where it is one.

        Whoever guesses names either class in 2 of C images and has a bias of one half. So the share of images in which
        a model names either class, above that of guessing and relative to what it is above chance on clean images, must
        exceed READS, with its interval. With two classes every answer names a class, so nobody can tell.
        """
        runs = [self._paired.answers[model, seed] for seed in self._paired.seeds(model)]
        runs = [sets for sets in runs if testset in sets and CLEAN in sets]
        if not runs:
            return f"{model} was not measured on clean images"
        labels = runs[0][CLEAN].labels
        classes = len(np.unique(labels[labels >= 0]))
        if classes <= 2:
            return TWO_CLASSES
        right, present = (np.stack([getattr(sets[CLEAN], key) for sets in runs]) for key in ("right", "present"))
        named = self._named(testset, runs)
        clean = self._resampler.ratios(right[:, None], present[:, None])[0]
        guessed = 2 / classes
        reads = (named - guessed) * (1 / (1 - guessed)) / ((clean - 1 / classes) * (1 / (1 - 1 / classes)))
        if reads.interval(self._statistics.confidence).low > READS:
            return None
        return _names_too_few(model, named, guessed)

    def _guesses(self, model: str, testset: str) -> str | None:
        """Return that a model may be guessing on a conflict set, by how often it names either cue's class, or None.

        The classes are those of all test sets; with two, every answer names one.
        """
        runs = [self._paired.answers[model, seed] for seed in self._paired.seeds(model)]
        labels = np.concatenate([found.labels for sets in runs for found in sets.values()])
        classes = len(np.unique(labels[labels >= 0]))
        if classes <= 2:
            return TWO_CLASSES
        named = self._named(testset, [sets for sets in runs if testset in sets])
        if named.interval(self._statistics.confidence).low > 2 / classes:
            return None
        return _names_too_few(model, named, 2 / classes)

    def _named(self, testset: str, runs: Sequence[Mapping[str, Answers]]) -> Quantity:
        """Return the share of a conflict set's images in which either cue's class is named."""
        either = np.stack([sets[testset].right & sets[testset].conflict | sets[testset].texture for sets in runs])
        conflict = np.stack([sets[testset].conflict for sets in runs])
        return self._resampler.ratios(either[:, None], conflict[:, None])[0]

    def withheld(self, model: str, testset: str) -> str | None:
        """Return why a model's shape bias on a conflict set is not to be printed, or None; the two ends always are."""
        if RULERS.get(model) in ENDS:
            return None
        key = (model, testset)
        if key not in self._withheld:
            self._withheld[key] = self._withhold(model, testset)
        return self._withheld[key]

    def _withhold(self, model: str, testset: str) -> str | None:
        if not self._has_scale:
            return self._guesses(model, testset)
        if (refusal := self.unreadable_bias(testset)) is not None:
            return refusal.reason
        return self.names_neither(model, testset)

    def answers(self, cue: Cue, testset: str) -> list[Answers]:
        """Return a ruler's answers on a test set, one of each seed; none where it was not measured there."""
        model = MODEL_OF[cue]
        sets = [self._paired.answers[model, seed] for seed in self._paired.seeds(model)]
        return [found[testset] for found in sets if testset in found]

    def _above_chance(self, cue: Cue, testset: str) -> Quantity | None:
        answers = self.answers(cue, testset)
        if not answers:
            return None
        right = np.stack([found.right for found in answers])[:, None]
        present = np.stack([found.present for found in answers])[:, None]
        return self._resampler.ratios(right, present)[0] - chance(answers[0])


def chance(answers: Answers) -> float:
    """Return the share of a test set's most frequent class: what naming that class alone gets right."""
    labels = answers.labels[answers.present]
    return float(np.bincount(labels).max() / len(labels)) if len(labels) else math.nan


def ruler_table(paired: Paired, resampler: Resampler, statistics: Statistics, *, dataset: str) -> "pd.DataFrame":
    """Return everything that the rulers read, as a tidy table.

    Metrics: ``left`` (see ``Ruler.left``), for each test set and ruler that has learned anything; on clean images
    ``accuracy``; on conflict sets ``shape_bias``, the ends of the scale, and ``apart``, how far the
    shape ruler's lies above the texture ruler's. Of the drawn sets with one cue alone, only that cue's ruler is read.

    Returns columns dataset, model, seed (always ``mean``, over training seeds), testset, metric, value, low, high, n,
    published (nothing is) and readable: for ``apart`` whether shape bias can be read there, for ``accuracy`` whether
    the ruler has learned anything; else empty.
    """
    import pandas as pd

    ruler = Ruler(paired, resampler, statistics)
    rows: list[tuple[object, ...]] = []

    def add(model: str, testset: str, metric: str, quantity: Quantity, readable: bool | None = None) -> None:
        found = quantity.interval(statistics.confidence)
        rows.append((dataset, model, MEAN, testset, metric, *found[:3], quantity.n, None, readable))

    for testset in (name for name in paired.testsets() if name != ROBUST):
        for cue in ruler.cues:
            answers = ruler.answers(cue, testset)
            if not answers or cue not in ALONE.get(testset, ruler.cues) or ruler.ends(testset) is not None:
                continue
            clean, left = ruler.clean(cue), ruler.left(cue, testset)
            if testset == CLEAN and clean is not None:
                add(MODEL_OF[cue], CLEAN, "accuracy", clean + chance(answers[0]), ruler.has_learned(cue))
            elif left is not None:
                add(MODEL_OF[cue], testset, LEFT, left)
        ends, apart = ruler.ends(testset), ruler.apart(testset)
        if ends is not None and apart is not None:
            for cue, end in zip(ENDS, ends, strict=True):
                add(MODEL_OF[cue], testset, END, end)
            add(MODEL_OF["shape"], testset, APART, apart, ruler.unreadable_bias(testset) is None)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _names_too_few(model: str, named: Quantity, guessed: float) -> str:
    return f"{model} names either class in {_percent(named.value)} of the images; guessing does in {_percent(guessed)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _points(found: Interval, unit: str = "points") -> str:
    low, high = (f"{100 * end:.0f}".replace("-", "−") for end in (found.low, found.high))
    return f"{100 * found.value:.0f} [{low}, {high}] {unit}".replace("-", "−")


def model_bias(paired: Paired, resampler: Resampler, model: str, testset: str) -> Quantity | None:
    """Return a model's shape bias on a conflict set, the mean over its seeds; None where it was not measured."""
    sets: list[Mapping[str, Answers]] = [paired.answers[model, seed] for seed in paired.seeds(model)]
    answers = [found[testset] for found in sets if testset in found]
    return mean_bias(answers, resampler) if answers else None


def mean_bias(answers: Sequence[Answers], resampler: Resampler) -> Quantity:
    """Return the shape bias of one model's answers, one of each seed, averaged over seeds."""
    shape = np.stack([found.right & found.conflict for found in answers])[:, None]
    either = shape | np.stack([found.texture for found in answers])[:, None]
    return resampler.ratios(shape, either)[0]
