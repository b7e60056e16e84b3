"""Spec of the claims (torch-free)."""

from typing import Literal

from shapelens.spec import Spec
from shapelens.stats.spec import StatisticsJob


class Expectation(Spec):
    """A verdict stated beforehand."""

    verdict: Literal["yes", "no", "undecided"]
    """The expected verdict."""
    why: str = ""
    """The reason."""


class ClaimsJob(StatisticsJob):
    """What the job that judges the claims is given."""

    side: int
    """Side of the test images as they are stored, in pixels."""
    sides: dict[str, int]
    """The same of every study of the run, by name."""
    expected: dict[str, Expectation]
    """Verdicts stated beforehand, by claim."""
