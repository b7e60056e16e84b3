"""Spec of the predictions (torch-free)."""

from typing import Literal

from shapelens.instruments.spec import InstrumentSpec


class Predictions(InstrumentSpec):
    """A model's answers to every test image."""

    models: Literal["all"] = "all"
    """Every model answers: all other numbers are set against these."""
