"""How a claim is judged: questions with intervals, Holm's adjustment, and the agreement of two views."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np

from shapelens.stats.correlation import kendall_tau, permutation_test
from shapelens.stats.intervals import UNDEFINED, Interval, combined, holm, percentile, t_lengths
from shapelens.stats.resampling import Quantity, mean

Verdict = Literal["yes", "no", "undecided", "not asked", "not readable"]
YES: Verdict = "yes"
NO: Verdict = "no"
UNDECIDED: Verdict = "undecided"
NOT_ASKED: Verdict = "not asked"
"""The study lacks what the claim needs, and a line of its config would ask it."""
NOT_READABLE: Verdict = "not readable"
"""The instrument does not read here what the claim is about."""
REACHED = (YES, NO, UNDECIDED)
"""Verdicts of a claim that was asked and could be read."""

POINTS = "points"
SCALES = {POINTS: 100.0}
"""Factor from a quantity to its unit, where it is not 1."""
MOST_IMAGES = 100
"""Times as many images as there are beyond which it is not said how many would decide."""


class Answer(NamedTuple):
    """What a question's interval says at one confidence; the interval in the question's unit."""

    verdict: Verdict
    interval: Interval
    why: str = ""
    """What else the verdict rests on, in words."""


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

    def decided(self, answer: Answer) -> bool:
        """Tell whether an answer is a decision in which an error could be made."""
        return answer.verdict != UNDECIDED

    @property
    def counted(self) -> bool:
        """Whether it takes a share of Holm's error."""
        return True


@dataclass(frozen=True)
class Missing(Question):
    """A condition whose inputs the study does not have: always undecided."""

    config: str = ""
    """The line of a config that would ask for them; empty where none would, as after a collapse."""

    def ask(self, confidence: float) -> Answer:
        """Return undecided."""
        return Answer(UNDECIDED, UNDEFINED)

    @property
    def counted(self) -> bool:
        """Nothing is tested."""
        return False


@dataclass(frozen=True)
class Inside(Question):
    """Does a quantity lie within a region? Yes or no only if its whole interval does or does not.

    Where it is a mean over models, only if most of them say so each by itself: not for one model's sake.
    """

    quantity: Quantity = field(kw_only=True)
    above: float = -math.inf
    """Lower end of the region, left out of it."""
    below: float = math.inf
    """Upper end of the region, left out of it."""
    by_value: bool = False
    """Yes by the value alone, which is no decision and cannot carry a claim; no only by the whole interval."""
    parts: Mapping[str, Quantity] = field(default_factory=dict)
    """The same of each model whose mean the quantity is, by model."""

    def ask(self, confidence: float) -> Answer:
        """Judge with intervals of this confidence."""
        found = self.quantity.interval(confidence)
        inside = found.value if self.by_value else None
        verdict = region_verdict(found, self.above, self.below, inside)
        scaled = found.scaled(SCALES.get(self.unit, 1.0))
        if verdict == UNDECIDED or (held := self._held(verdict)) is None:
            return Answer(verdict, scaled)
        return Answer(UNDECIDED, scaled, held)

    def decided(self, answer: Answer) -> bool:
        """Tell whether an answer is a decision: agreement by the value alone is none."""
        return answer.verdict == NO if self.by_value else super().decided(answer)

    def holds(self, quantity: Quantity) -> bool:
        """Tell whether a value lies within the region."""
        return self.above < quantity.value < self.below

    def _held(self, verdict: Verdict) -> str | None:
        """Return in words that most models do not say this by themselves; None where they do."""
        agree = sum(self.holds(part) == (verdict == YES) for part in self.parts.values())
        if not self.parts or 2 * agree > len(self.parts):
            return None
        return f"but {agree} of {len(self.parts)} models by themselves"

    def over_models(self) -> str:
        """Return in words over which range of models the quantity is a mean; empty for one model."""
        return _range(self.parts, SCALES.get(self.unit, 1.0), 1 if self.unit == POINTS else 3)

    def images_needed(self, confidence: float) -> float:
        """Return how many images would decide, were all estimates to stay as they are; infinite where none would.

        The standard error over images falls with the root of their number; that over training seeds stays.
        """
        value, count = self.quantity.value, self.quantity.n
        edges = [abs(value - end) for end in (self.above, self.below) if math.isfinite(end)]
        if self._held(YES if self.holds(self.quantity) else NO) is not None or not edges:
            return math.inf
        found = self.quantity.interval(confidence)
        spread, seeds = self.quantity.error, self.quantity.seed_error
        if math.isnan(found.low) or count < 2 or spread == 0:
            return math.inf
        images = np.unique(np.ceil(count * np.geomspace(1, MOST_IMAGES, 150)))[1:]
        error = spread * np.sqrt(count / images)
        lengths, _ = t_lengths(images, error, 0.0, confidence)
        if seeds:
            half, _ = t_lengths(len(self.quantity.without_seed), seeds, 0.0, confidence)
            lengths = combined(lengths, error, half, seeds)
        enough = images[lengths < min(edges)]
        return float(enough[0]) if len(enough) else math.inf


def _range(parts: Mapping[str, Quantity], scale: float, digits: int) -> str:
    if len(parts) < 2:
        return ""
    ends = sorted(parts, key=lambda model: parts[model].value)
    texts = [f"{number(scale * parts[model].value, digits)} ({model})" for model in (ends[0], ends[-1])]
    return f"over {len(parts)} models {texts[0]} to {texts[1]}"


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
    """The same for a share of a whole, which must itself be clearly of one sign, or the question is undecided.

    Without a clear gain there is nothing of which a part could be explained. ``parts`` are the shares of each model's
    own whole.
    """

    whole: Quantity = field(kw_only=True)
    sign: int = 1
    """1: the whole must be clearly above zero; −1: below."""

    def ask(self, confidence: float) -> Answer:
        """Judge with intervals of this confidence, the whole's included."""
        answer = super().ask(confidence)
        whole = self.whole.interval(confidence)
        if whole.low > 0 if self.sign > 0 else whole.high < 0:
            return answer
        side = "above" if self.sign > 0 else "below"
        return Answer(UNDECIDED, answer.interval, f"for the whole is not clearly {side} zero")

    def holds(self, quantity: Quantity) -> bool:
        """Tell whether a share lies within the region, and its whole on its side of zero."""
        return super().holds(quantity) and _whole(quantity).value * self.sign > 0

    def over_models(self) -> str:
        """Return in words over which range of models the whole is a mean."""
        wholes = {model: _whole(part) for model, part in self.parts.items()}
        return f"the whole {text}" if (text := _range(wholes, SCALES[POINTS], 1)) else ""

    def images_needed(self, confidence: float) -> float:
        """Return infinity: two quantities must be clear at once."""
        return math.inf


def _whole(share: Quantity) -> Quantity:
    return share.terms[1] if share.terms else share


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

    Yes: p < α and the interval of τ-b over images (and seeds) lies above zero. No: the half of the models that has more
    of the other does not score more than a margin above the half that has less, by its whole interval. A small τ-b
    alone denies nothing, since noise breaks any order.
    """

    x: Sequence[Quantity] = field(kw_only=True)
    y: Sequence[Quantity] = field(kw_only=True)
    data_seed: int = 0
    margin: float = 0.0
    """Rise that counts as none."""

    def ask(self, confidence: float) -> Answer:
        """Judge at α = 1 − confidence."""
        alpha = 1 - confidence
        test = permutation_test([q.value for q in self.x], [q.value for q in self.y], self.data_seed)
        if math.isnan(test.tau):
            return Answer(UNDECIDED, UNDEFINED)
        draws = kendall_tau(*(np.stack([q.draws for q in side], axis=-1) for side in (self.x, self.y)))
        low, high = percentile(test.tau, draws, confidence)
        found = Interval(test.tau, low, high, f"percentile, p = {_p(test.p)}")
        if math.isinf(test.critical(alpha)):
            found = found._replace(method=f"{found.method}, too few models for p < {_p(alpha)}")
        rise = self._rise().interval(confidence).scaled(SCALES[POINTS])
        value, *ends = (number(end, 1) for end in rise[:3])
        why = f"the upper half less the lower {value} [{', '.join(ends)}] points"
        rises, flat = test.p < alpha and low > 0, rise.high < SCALES[POINTS] * self.margin
        return Answer(UNDECIDED if rises == flat else YES if rises else NO, found, why)

    def _rise(self) -> Quantity:
        """Return the mean score of the half that has more of the other less that of the rest, the middle left out."""
        order = sorted(range(len(self.x)), key=lambda place: self.x[place].value)
        half = len(order) // 2
        lower, upper = ([self.y[place] for place in part] for part in (order[:half], order[-half:]))
        return mean(upper) - mean(lower)


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
    asks: tuple[str, ...] = ()
    """Lines of a config that would ask what the study lacks."""

    @property
    def as_expected(self) -> bool | None:
        """Whether the verdict is the one stated beforehand; None where none was, or none was reached."""
        if self.expected is None or (self.verdict != self.expected and self.verdict not in REACHED):
            return None
        return self.verdict == self.expected

    @property
    def remark(self) -> str:
        """What a reader must know of the verdict beside the expected one; empty where they agree or none was stated."""
        if self.as_expected is None and self.expected is not None:
            return f"expected {self.expected}, {self.verdict}"
        return "a surprise" if self.as_expected is False else ""


COMMON = "common subset"
PLAIN = "plain accuracy"


def judge(
    claim: str, text: str, views: Mapping[str, Sequence[Question]], confidence: float, notes: Sequence[str]
) -> Claim:
    """Judge one claim.

    A view says yes where every question does, no where one says no, else undecided. Views that differ make the claim
    undecided. A claim of which the study lacks something that a config could ask for is not asked, unless a question
    that was asked denies it.

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
    needed: list[str] = []
    leading: tuple[Question, Answer] | None = None
    leading_view = ""
    for view, questions in views.items():
        levels, answers = _ask_all(questions, confidence)
        verdicts[view] = _conjunction([answer.verdict for _, answer in answers])
        rows += [_row(view, question, answer, level) for (question, answer), level in zip(answers, levels, strict=True)]
        found += [f"not in this study: {q.name}" for q in questions if isinstance(q, Missing)]
        needed += _enough(answers, confidence) if verdicts[view] == UNDECIDED else []
        if leading is None and answers:
            leading, leading_view = min(answers, key=_urgency), view
            # Without all its conditions a claim has no effect to state, unless one alone denies it.
            if leading[1].verdict != NO and any(isinstance(question, Missing) for question in questions):
                leading = next(pair for pair in answers if isinstance(pair[0], Missing))
    distinct = set(verdicts.values())
    verdict = distinct.pop() if len(distinct) == 1 else UNDECIDED
    asks = [q.config for questions in views.values() for q in questions if isinstance(q, Missing) and q.config]
    if asks and verdict == UNDECIDED:
        verdict = NOT_ASKED
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
        "; ".join(dict.fromkeys([*found, *needed, *notes])),
        verdicts,
        asks=tuple(dict.fromkeys(asks)),
    )


def _ask_all(questions: Sequence[Question], confidence: float) -> tuple[list[float], list[tuple[Question, Answer]]]:
    """Return the confidence of each question of a view, and its answer.

    Holm's: so the chance that any of several questions is decided falsely is at most α. Where none of them says no
    like that, all are read once more at 1 − α each. If then all say yes, so does the claim: to say yes falsely, the one
    question whose answer is not yes would have to, and that happens with a chance of at most α however many others
    there are (the intersection–union test, Berger 1982).
    """
    levels = _levels(questions, confidence)
    answers = [question.ask(level) for question, level in zip(questions, levels, strict=True)]
    said = {answer.verdict for answer in answers}
    if NO not in said and UNDECIDED in said and not any(isinstance(question, Missing) for question in questions):
        alone = [question.ask(confidence) for question in questions]
        if all(answer.verdict == YES for answer in alone):
            levels, answers = [confidence] * len(questions), alone
    return levels, list(zip(questions, answers, strict=True))


def _levels(questions: Sequence[Question], confidence: float) -> list[float]:
    def decider(question: Question) -> Callable[[float], bool]:
        return lambda level: question.decided(question.ask(level))

    levels = holm({i: decider(question) for i, question in enumerate(questions) if question.counted}, confidence)
    return [levels.get(i, confidence) for i in range(len(questions))]


def _enough(answers: Sequence[tuple[Question, Answer]], confidence: float) -> list[str]:
    """Return how many images would decide an undecided view, in words; nothing where that cannot be estimated."""
    asked = [question for question, _ in answers]
    if not asked or not all(isinstance(question, Inside) for question in asked):
        return []
    inside = [question for question in asked if isinstance(question, Inside)]
    outside = [question for question in inside if not question.holds(question.quantity)]
    if outside:
        images = min(question.images_needed(1 - (1 - confidence) / len(inside)) for question in outside)
    else:
        still = [q for q, answer in answers if isinstance(q, Inside) and q.ask(confidence).verdict == UNDECIDED]
        images = max((question.images_needed(confidence) for question in still), default=math.inf)
    if math.isinf(images):
        return []
    there = min(question.quantity.n for question in inside)
    return [f"undecided with {there} images; about {_rounded(images):,} would decide it, were all values to stay"]


def _rounded(count: float) -> int:
    """Return a number of images, rounded up to two digits."""
    unit = int(10 ** max(0, len(str(math.ceil(count))) - 2))
    return math.ceil(count / unit) * unit


def _conjunction(verdicts: Sequence[Verdict]) -> Verdict:
    if NO in verdicts:
        return NO
    return YES if verdicts and all(verdict == YES for verdict in verdicts) else UNDECIDED


def _urgency(item: tuple[Question, Answer]) -> tuple[bool, int, float]:
    """Return a key whose least value marks the condition that decides."""
    question, (verdict, found, _) = item
    scale = SCALES.get(question.unit, 1.0)
    ends = (getattr(question, "above", -math.inf) * scale, getattr(question, "below", math.inf) * scale)
    room = min(found.value - ends[0], ends[1] - found.value)
    if isinstance(question, Dose):
        room = found.value
    rank = (NO, UNDECIDED, YES).index(verdict)
    # What agrees by its value alone carries no claim, so its effect is not the claim's.
    if verdict == YES and not question.decided(item[1]):
        rank += 1
    return math.isnan(found.value), rank, math.inf if math.isnan(room) else room


def _row(view: str, question: Question, answer: Answer, confidence: float) -> str:
    text = f"{question.name} ({view})"
    if isinstance(question, Missing):
        return f"{question.name}: not in this study" + (f"; asked by `{question.config}`" if question.config else "")
    found = answer.interval
    if math.isnan(found.value):
        text += ": undefined"
    else:
        digits = 1 if question.unit == POINTS else 3
        value, low, high = (number(end, digits) for end in found[:3])
        text += f": {value} [{low}, {high}] {question.unit}, {100 * confidence:.4g} % {found.method}"
        text += f", n = {question.quantity.n}" if isinstance(question, Inside) else ""
    if isinstance(question, Inside) and (models := question.over_models()):
        text += f", {models}"
    by_value = isinstance(question, Inside) and question.by_value and answer.verdict == YES
    text += f" → {answer.verdict}" + (" by its value" if by_value else "") + (f", {answer.why}" if answer.why else "")
    return f"{text}; {question.basis}" if question.basis else text


def number(value: float | None, digits: int) -> str:
    """Write a number with its sign; ∞ stands for an end that is open."""
    if value is None or math.isinf(value):
        return "∞" if value is None or value > 0 else "−∞"
    return f"{value:+.{digits}f}".replace("-", "−")


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
