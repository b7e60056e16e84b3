"""How a claim is judged: questions with intervals, Holm's adjustment, and the agreement of two views."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np

from shapelens.stats.correlation import kendall_tau, permutation_test
from shapelens.stats.intervals import UNDEFINED, Interval, holm, percentile
from shapelens.stats.resampling import Quantity

Verdict = Literal["yes", "no", "undecided"]
YES: Verdict = "yes"
NO: Verdict = "no"
UNDECIDED: Verdict = "undecided"

POINTS = "points"
SCALES = {POINTS: 100.0}
"""Factor from a quantity to its unit, where it is not 1."""


class Answer(NamedTuple):
    """What a question's interval says at one confidence; the interval in the question's unit."""

    verdict: Verdict
    interval: Interval


@dataclass(frozen=True)
class Question(ABC):
    """One condition of a claim."""

    name: str
    """What is asked, in words."""
    unit: str = POINTS
    """Unit of its interval."""
    basis: str = ""
    """The values that it rests on, in words."""

    @abstractmethod
    def ask(self, confidence: float) -> Answer:
        """Judge with intervals of this confidence."""

    @property
    def counted(self) -> bool:
        """Whether it takes a share of Holm's error."""
        return True


@dataclass(frozen=True)
class Missing(Question):
    """A condition whose inputs the study does not have: always undecided."""

    def ask(self, confidence: float) -> Answer:
        """Return undecided."""
        return Answer(UNDECIDED, UNDEFINED)

    @property
    def counted(self) -> bool:
        """Nothing is tested."""
        return False


@dataclass(frozen=True)
class Inside(Question):
    """Does a quantity lie within a region? Yes or no only if its whole interval does or does not."""

    quantity: Quantity = field(kw_only=True)
    above: float = -math.inf
    """Lower end of the region, left out of it."""
    below: float = math.inf
    """Upper end of the region, left out of it."""
    sign_only: bool = False
    """Ask for the side of the value alone; no only if the whole interval is on the other side."""

    def ask(self, confidence: float) -> Answer:
        """Judge with intervals of this confidence."""
        found = self.quantity.interval(confidence)
        inside = found.value if self.sign_only else None
        verdict = region_verdict(found, self.above, self.below, inside)
        return Answer(verdict, found.scaled(SCALES.get(self.unit, 1.0)))

    @property
    def counted(self) -> bool:
        """A bare sign is not tested."""
        return not self.sign_only


def region_verdict(found: Interval, above: float, below: float, value: float | None = None) -> Verdict:
    """Return yes or no where an interval lies wholly inside or outside the open region from ``above`` to ``below``.

    With ``value``, yes is decided by that alone.
    """
    if math.isnan(found.low) or math.isnan(found.high):
        return UNDECIDED
    if found.high <= above or found.low >= below:
        return NO
    low, high = (found.low, found.high) if value is None else (value, value)
    return YES if low > above and high < below else UNDECIDED


@dataclass(frozen=True)
class Share(Inside):
    """The same for a share of a whole that must itself differ clearly from zero, or the question is undecided."""

    whole: Quantity = field(kw_only=True)
    positive: bool = False
    """The whole must be clearly above zero."""

    def ask(self, confidence: float) -> Answer:
        """Judge with intervals of this confidence, the whole's included."""
        answer = super().ask(confidence)
        whole = self.whole.interval(confidence)
        clear = whole.low > 0 or (whole.high < 0 and not self.positive)
        return answer if clear else Answer(UNDECIDED, answer.interval)


@dataclass(frozen=True)
class Measured(Question):
    """The same as `Inside` for a number whose interval is already known; its arms are scaled to other levels."""

    found: Interval = field(kw_only=True)
    confidence: float = field(kw_only=True)
    """Confidence of that interval."""
    above: float = -math.inf
    below: float = math.inf

    def ask(self, confidence: float) -> Answer:
        """Judge with the arms of the given interval scaled to this confidence."""
        given, normal = self.found, NormalDist()
        factor = normal.inv_cdf((1 + confidence) / 2) / normal.inv_cdf((1 + self.confidence) / 2)
        low, high = (given.value + factor * (end - given.value) for end in (given.low, given.high))
        found = Interval(given.value, low, high, given.method)
        return Answer(region_verdict(found, self.above, self.below), found.scaled(SCALES.get(self.unit, 1.0)))


@dataclass(frozen=True)
class Dose(Question):
    """Does a score rise with another over models? One-sided permutation test of Kendall's τ-b.

    Yes: p < α and the interval of τ-b over images (and seeds) lies above zero. No: p ≥ α, and no τ-b in the interval
    would reach significance. With so few models that even perfect order cannot, undecided.
    """

    x: Sequence[Quantity] = field(kw_only=True)
    y: Sequence[Quantity] = field(kw_only=True)
    data_seed: int = 0

    def ask(self, confidence: float) -> Answer:
        """Judge at α = 1 − confidence."""
        alpha = 1 - confidence
        test = permutation_test([q.value for q in self.x], [q.value for q in self.y], self.data_seed)
        if math.isnan(test.tau):
            return Answer(UNDECIDED, UNDEFINED)
        draws = kendall_tau(*(np.stack([q.draws for q in side], axis=-1) for side in (self.x, self.y)))
        low, high = percentile(test.tau, draws, confidence)
        found = Interval(test.tau, low, high, f"percentile, p = {_p(test.p)}")
        critical = test.critical(alpha)
        if math.isinf(critical):
            return Answer(UNDECIDED, found._replace(method=f"{found.method}, too few models for p < {_p(alpha)}"))
        if math.isnan(low):
            return Answer(UNDECIDED, found)
        if test.p < alpha:
            return Answer(YES if low > 0 else UNDECIDED, found)
        return Answer(NO if high < critical else UNDECIDED, found)


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1g}"


@dataclass(frozen=True)
class Claim:
    """A claim with its verdict."""

    id: str
    text: str
    verdict: Verdict
    effect: float | None
    """Estimate of the condition that decides: the failed one, else the open one, else the narrowest."""
    low: float | None
    high: float | None
    unit: str
    decided_by: str
    """That condition and its view, in words; empty where there is no effect."""
    rows: tuple[str, ...]
    """What the verdict rests on, in words."""
    note: str
    views: Mapping[str, Verdict]
    """The verdict by each view: on the common subset and in plain accuracy, or the only one there is."""
    expected: Verdict | None = None
    why: str = ""
    """The reason stated beforehand for the expectation."""

    @property
    def as_expected(self) -> bool | None:
        """Whether the verdict is the one stated beforehand; None where none was."""
        return None if self.expected is None else self.verdict == self.expected


COMMON = "common subset"
PLAIN = "plain accuracy"


def judge(
    claim: str, text: str, views: Mapping[str, Sequence[Question]], confidence: float, notes: Sequence[str]
) -> Claim:
    """Judge one claim.

    A view says yes where every question does, no where one says no, else undecided; its intervals are Holm-adjusted
    over its questions. Views that differ make the claim undecided.

    Args:
        claim: id of the claim.
        text: what it says.
        views: questions by view; the first view is the one whose effect is reported.
        confidence: 1 − α, for all questions of a view together.
        notes: what a reader must know.
    """
    verdicts: dict[str, Verdict] = {}
    rows: list[str] = []
    found: list[str] = []
    leading: tuple[Question, Answer] | None = None
    leading_view = ""
    for view, questions in views.items():
        levels = _levels(questions, confidence)
        answers = [(question, question.ask(level)) for question, level in zip(questions, levels, strict=True)]
        verdicts[view] = _conjunction([answer.verdict for _, answer in answers])
        rows += [_row(view, question, answer, level) for (question, answer), level in zip(answers, levels, strict=True)]
        found += [f"not in this study: {q.name}" for q in questions if isinstance(q, Missing)]
        if leading is None and answers:
            leading, leading_view = min(answers, key=_urgency), view
            # Without all its conditions a claim has no effect to state, unless one alone denies it.
            if leading[1].verdict != NO and any(isinstance(question, Missing) for question in questions):
                leading = next(pair for pair in answers if isinstance(pair[0], Missing))
    distinct = set(verdicts.values())
    verdict = distinct.pop() if len(distinct) == 1 else UNDECIDED
    if len(set(verdicts.values())) > 1:
        found.append("the views differ (" + ", ".join(f"{view}: {said}" for view, said in verdicts.items()) + ")")
    question, answer = leading or (Missing("nothing"), Answer(UNDECIDED, UNDEFINED))
    effect, low, high = (_finite(number) for number in answer.interval[:3])
    return Claim(
        claim,
        text,
        verdict,
        effect,
        low,
        high,
        question.unit,
        f"{question.name}, {leading_view}" if effect is not None else "",
        tuple(rows),
        "; ".join(dict.fromkeys([*found, *notes])),
        verdicts,
    )


def _levels(questions: Sequence[Question], confidence: float) -> list[float]:
    def decider(question: Question) -> Callable[[float], bool]:
        return lambda level: question.ask(level).verdict != UNDECIDED

    levels = holm({i: decider(question) for i, question in enumerate(questions) if question.counted}, confidence)
    return [levels.get(i, confidence) for i in range(len(questions))]


def _conjunction(verdicts: Sequence[Verdict]) -> Verdict:
    if NO in verdicts:
        return NO
    return YES if verdicts and all(verdict == YES for verdict in verdicts) else UNDECIDED


def _urgency(item: tuple[Question, Answer]) -> tuple[bool, int, float]:
    """Return a key whose least value marks the condition that decides."""
    question, (verdict, found) = item
    scale = SCALES.get(question.unit, 1.0)
    ends = (getattr(question, "above", -math.inf) * scale, getattr(question, "below", math.inf) * scale)
    room = min(found.value - ends[0], ends[1] - found.value)
    if isinstance(question, Dose):
        room = found.value
    rank = (NO, UNDECIDED, YES).index(verdict)
    return math.isnan(found.value), rank, math.inf if math.isnan(room) else room


def _row(view: str, question: Question, answer: Answer, confidence: float) -> str:
    text = f"{question.name} ({view})"
    if isinstance(question, Missing):
        return f"{question.name}: not in this study"
    found = answer.interval
    if math.isnan(found.value):
        text += ": undefined"
    else:
        digits = 1 if question.unit == POINTS else 3
        value, low, high = (number(end, digits) for end in found[:3])
        text += f": {value} [{low}, {high}] {question.unit}, {100 * confidence:.4g} % {found.method}"
        text += f", n = {question.quantity.n}" if isinstance(question, Inside) else ""
    text += f" → {answer.verdict}"
    return f"{text}; {question.basis}" if question.basis else text


def number(value: float | None, digits: int) -> str:
    """Write a number with its sign; ∞ stands for an end that is open."""
    if value is None or math.isinf(value):
        return "∞" if value is None or value > 0 else "−∞"
    return f"{value:+.{digits}f}".replace("-", "−")


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
