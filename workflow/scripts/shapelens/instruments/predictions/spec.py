"""Spec of the predictions (torch-free)."""

from shapelens.spec import Spec


class Predictions(Spec):
    """A model's answers to every test image; there is nothing to set."""
