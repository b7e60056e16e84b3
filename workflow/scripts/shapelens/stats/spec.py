"""Specs of statistics (torch-free)."""

from pydantic import Field

from shapelens.spec import Spec


class Statistics(Spec):
    """How intervals and verdicts are made."""

    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Coverage of intervals."""
    resamples: int = Field(default=2000, ge=100)
    """Bootstrap resamples."""
    margin: float = Field(default=0.02, gt=0)
    """Margin δ of the claims, as a share."""
