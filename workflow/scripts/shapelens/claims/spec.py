"""Spec of the claims (torch-free)."""

from typing import Literal

from pydantic import field_validator

from shapelens.spec import Spec
from shapelens.stats.spec import StatisticsJob


class Expectation(Spec):
    """A verdict stated beforehand."""

    verdict: Literal["yes", "no", "undecided", "not asked", "not readable"]
    """The expected verdict."""
    why: str = ""
    """The reason."""

    @field_validator("verdict", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        """Take true and false for yes and no: without quotes YAML reads these words so."""
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def function_of(claim: str) -> str:
    """Return the name of the function that judges a claim."""
    return f"claim_{claim.replace('-', '_')}"


class ClaimEntry(Spec):
    """A claim, and the module whose function judges it."""

    id: str
    text: str
    module: str
    """Dotted name; it has a function ``claim_ID``, where dashes of the id are underscores."""

    @property
    def function(self) -> str:
        """Name of the function that judges it."""
        return function_of(self.id)


class ClaimsJob(StatisticsJob):
    """What the job that judges the claims is given."""

    side: int
    """Side of the test images as they are stored, in pixels."""
    sides: dict[str, int]
    """The same of every study of the run, by name."""
    expected: dict[str, Expectation]
    """Verdicts stated beforehand, by claim."""
    claims: tuple[ClaimEntry, ...]
    """The claims, in the order of the report."""
