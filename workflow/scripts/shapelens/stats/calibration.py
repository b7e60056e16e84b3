"""The gates that the calibration models must pass: models trained on one cue alone must show that cue."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from shapelens.stats.paired import Paired, Run, pair

if TYPE_CHECKING:
    import pandas as pd

CONFLICT = "conflict-calibration"
OWN_CUE = 0.99
SHAPE_BIAS = 0.98


class Gate(NamedTuple):
    """One requirement of one run."""

    model: str
    seed: int
    quantity: str
    """``accuracy on <test set>`` or ``shape bias on <test set>``."""
    value: float
    """What was measured; NaN where nothing could be."""
    low: float
    """Least value that passes."""
    high: float
    """Greatest value that passes."""
    passed: bool


GATES = {
    "shape-only": ("shape-only-calibration", (SHAPE_BIAS, 1.0)),
    "texture-only": ("texture-only-calibration", (0.0, 1.0 - SHAPE_BIAS)),
}
"""By the images that a model was trained on: the cue set that it must read, and the range of its shape bias."""
MODELS = {"calibration-shape": "shape-only", "calibration-texture": "texture-only"}
"""The calibration models and their training images."""


def calibration_gates(predictions: Mapping[Run, "pd.DataFrame"], models: Mapping[str, str] = MODELS) -> list[Gate]:
    """Return the gates of every run of the calibration models.

    At least 99 % on their own cue; a shape bias of at least 0.98 (trained on shape) and at most 0.02 (on texture) on
    the conflict set of their own. A run without these test sets, or whose decisions name neither cue, fails its gates:
    what was not measured is not passed. Other models are passed over.

    Args:
        predictions: per-image answers by (model, seed).
        models: the training images, ``shape-only`` or ``texture-only``, of each calibration model.
    """
    own = {run: predictions[run] for run in predictions if run[0] in models}
    if not own:
        return []
    paired = pair(own, {})
    return [gate for run in sorted(own) for gate in _gates(paired, run, models[run[0]])]


def _gates(paired: Paired, run: Run, images: str) -> list[Gate]:
    model, seed = run
    testset, (low, high) = GATES[images]
    sets = paired.answers[run]
    accuracy = bias = float("nan")
    if testset in sets:
        found = sets[testset]
        accuracy = int(found.right.sum()) / int(found.present.sum())
    if CONFLICT in sets:
        conflict = sets[CONFLICT]
        shape = int((conflict.right & conflict.conflict).sum())
        named = shape + int(conflict.texture.sum())
        bias = shape / named if named else bias
    # 1 − 0.98 is not 0.02 in floating point; a billionth decides no gate.
    slack = 1e-9
    return [
        Gate(model, seed, f"accuracy on {testset}", accuracy, OWN_CUE, 1.0, OWN_CUE - slack <= accuracy <= 1.0),
        Gate(model, seed, f"shape bias on {CONFLICT}", bias, low, high, low - slack <= bias <= high + slack),
    ]
