"""The shape bias that a model must have on the drawn images, predicted before it is trained.

Every class's texture has an amplitude of its own. An adversary takes a texture away if it can move two images, one
with it and one with another class's, to the same place half-way. A model trained against it then has the shape alone;
every other model goes by the texture, which is right more often and is learned first. So the share of textures within
the adversary's reach is the share of conflict images that are decided for the shape (docs/explanation/known-answer.md).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shapelens.attacks.spec import AnyAttack, Attack
from shapelens.datasets.cues import TEXTURES, TILES
from shapelens.datasets.spec import Cues
from shapelens.names.models import MODEL_OF
from shapelens.stats.paired import Answers, Run, pair
from shapelens.stats.shape_bias import DRAWN, bias_count
from shapelens.stats.tidy import MEAN

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 0.15
"""Greatest distance between a measured shape bias and its prediction."""
ENDS_OF_SCALE = {MODEL_OF["texture"]: 0.0, MODEL_OF["shape"]: 1.0}
"""The shape bias of the rulers, which cannot use the other cue."""
RULER_TOLERANCE = 0.02
COLUMNS = ("dataset", "model", "seed", "predicted", "value", "tolerance", "passed")


def reach(spec: Cues, norm: str) -> NDArray[np.float64]:
    """Return, for each class, the least eps that moves its texture half-way to another class's; shaped (classes,).

    Of two-valued textures of one amplitude a that is a in ℓ∞, and a·√(3·side²)/√2 in ℓ2, for they are orthogonal. With
    ``spec.faint`` the other texture may also have the least amplitude.
    """
    side = spec.size
    tiles = [TILES[name].astype(np.float64) for name in TEXTURES[: spec.classes]]
    patterns = [np.tile(tile, (-(-side // len(tile)),) * 2)[:side, :side] for tile in tiles]
    least = min(spec.amplitudes)
    found = np.full(spec.classes, np.inf)
    for own in range(spec.classes):
        for other in set(range(spec.classes)) - {own}:
            for amplitude in {spec.amplitudes[other], least if spec.faint else spec.amplitudes[other]}:
                apart = spec.amplitudes[own] * patterns[own] - amplitude * patterns[other]
                whole = np.abs(apart).max() if norm == "inf" else np.sqrt(3 * np.square(apart).sum())
                found[own] = min(found[own], whole / 2)
    return found


def predicted_shape_bias(spec: Cues, adversary: AnyAttack | None) -> float | None:
    """Return the shape bias that a model trained on ``spec`` against ``adversary`` is predicted to have.

    Without an adversary 0: every texture can be read. None for an adversary that is not bounded by a norm: nothing is
    predicted.
    """
    if adversary is None:
        return 0.0
    if not isinstance(adversary, Attack):
        return None
    within = reach(spec, adversary.norm) <= adversary.resolved(spec.size).eps
    return float(within.mean())


def predictions(spec: Cues, adversaries: Mapping[str, AnyAttack | None]) -> dict[str, float]:
    """Return the predicted shape bias of the rulers and of every model that has a prediction."""
    found = {name: predicted_shape_bias(spec, adversary) for name, adversary in adversaries.items()}
    return {name: bias for name, bias in found.items() if bias is not None} | ENDS_OF_SCALE


def known_answers(
    answers: Mapping[Run, "pd.DataFrame"], predicted: Mapping[str, float], order: Sequence[str], *, dataset: str
) -> "pd.DataFrame":
    """Return the shape bias of every run on the drawn conflict, and each model's mean over seeds, beside the predicted.

    Args:
        answers: per-image answers by (model, seed).
        predicted: predictions by model; models without one are passed over.
        order: names of the models, in the order of the result.
        dataset: name of the study.

    Returns ``COLUMNS``; seed is the training seed or ``mean``, value is NaN where no decision names either cue, and
    such a run has not passed: what was not measured is not as predicted.
    """
    import pandas as pd

    own = {run: answers[run] for run in answers if run[0] in predicted}
    paired = pair(own, {})
    rows = []
    for model in (name for name in order if name in predicted):
        seeds = paired.seeds(model)
        values = [_bias(paired.answers[model, seed].get(DRAWN)) for seed in seeds]
        readings = [*zip(map(str, seeds), values, strict=True), (MEAN, float(np.mean(values)))]
        tolerance = RULER_TOLERANCE if model in ENDS_OF_SCALE else TOLERANCE
        for seed, value in readings:
            # A billionth decides nothing: 0.625 + 0.15 is not 0.775 in floating point.
            passed = abs(value - predicted[model]) <= tolerance + 1e-9
            rows.append((dataset, model, seed, predicted[model], value, tolerance, passed))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _bias(found: Answers | None) -> float:
    if found is None:
        return float("nan")
    count = bias_count(found)
    named = int(count.below.sum())
    return int(count.above.sum()) / named if named else float("nan")
