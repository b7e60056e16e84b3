"""The shape bias that is predicted on the drawn images."""

import math

import numpy as np
import pandas as pd
import pytest

from shapelens.attacks.spec import Attack, SpatialAttack
from shapelens.datasets.spec import Cues
from shapelens.stats.known_answer import known_answers, predicted_shape_bias, predictions, reach

from ..stats_data import frame

MIXED = Cues(kind="cues", classes=4, texture=("2/255", "4/255", "4/255", "8/255"), phase="fixed")


def inf(eps: float) -> Attack:
    return Attack(eps=eps / 255)


@pytest.mark.parametrize("side", [24, 32])
@pytest.mark.parametrize("amplitude", [0.01, 0.03])
def test_equal_textures_are_within_reach_at_their_amplitude_and_in_l2_at_a_root_of_half_their_norm(
    side: int, amplitude: float
) -> None:
    spec = Cues(kind="cues", size=side, texture=amplitude)
    np.testing.assert_allclose(reach(spec, "inf"), amplitude)
    np.testing.assert_allclose(reach(spec, "l2"), amplitude * math.sqrt(3 * side**2) / math.sqrt(2))
    assert predicted_shape_bias(spec, Attack(eps=amplitude * 0.999)) == 0
    assert predicted_shape_bias(spec, Attack(eps=amplitude * 1.001)) == 1


def test_the_nearest_texture_of_another_class_decides_also_one_that_is_sometimes_faint() -> None:
    np.testing.assert_allclose(reach(MIXED, "inf") * 255, [3, 3, 3, 5])
    faint = MIXED.model_copy(update={"faint": 0.5})
    np.testing.assert_allclose(reach(faint, "inf") * 255, [2, 3, 3, 5])
    squares = np.array([2 * 2**2, 2**2 + 4**2, 2**2 + 4**2, 2**2 + 8**2])
    np.testing.assert_allclose(reach(faint, "l2") * 255, np.sqrt(squares * 3 * 32**2) / 2)


def test_the_prediction_is_the_share_of_textures_within_reach() -> None:
    spec = MIXED.model_copy(update={"faint": 0.5})
    assert [predicted_shape_bias(spec, inf(eps)) for eps in (0, 1, 2.01, 3.01, 5.01)] == [0, 0, 0.25, 0.75, 1]
    assert predicted_shape_bias(spec, Attack(eps=2.01 / 255, steps=1, random_start=False)) == 0.25
    assert predicted_shape_bias(spec, None) == 0
    assert predicted_shape_bias(spec, SpatialAttack(kind="spatial", budget=0.5)) is None


def test_an_l2_eps_is_scaled_with_the_side_first() -> None:
    least = 4 / 255 * math.sqrt(3 * 32**2 / 2) * 224 / 32
    spec = Cues(kind="cues", texture=4 / 255)
    for factor, bias in ((0.999, 0), (1.001, 1)):
        assert predicted_shape_bias(spec, Attack(norm="l2", eps=factor * least, eps_reference_side=224)) == bias


def test_rulers_have_their_ends_and_models_without_a_prediction_are_left_out() -> None:
    adversaries = {"standard": None, "pgd-inf-4": inf(4), "spatial": SpatialAttack(kind="spatial", budget=0.5)}
    assert predictions(MIXED, adversaries) == {
        "standard": 0,
        "pgd-inf-4": 0.75,
        "calibration-texture": 0,
        "calibration-shape": 1,
    }


def conflict(shapes: int, textures: int) -> pd.DataFrame:
    return frame("conflict", 1, np.repeat([1, 2, 0], [shapes, textures, 100 - shapes - textures]), 2)


def test_readings_stand_beside_their_predictions_with_the_mean_over_seeds() -> None:
    runs = {("a", 0): conflict(40, 40), ("a", 1): conflict(60, 20), ("b", 0): conflict(0, 0), ("c", 0): conflict(1, 1)}
    found = known_answers(runs, {"a": 0.60, "b": 0.0}, ["b", "c", "a"], dataset="cues")
    assert list(zip(found["model"], found["seed"], found["passed"], strict=True)) == [
        ("b", "0", False),
        ("b", "mean", False),
        ("a", "0", True),
        ("a", "1", True),
        ("a", "mean", True),
    ]
    assert list(found["value"][2:]) == pytest.approx([0.5, 0.75, 0.625])
    assert found["value"][:2].isna().all()


@pytest.mark.parametrize(
    ("model", "predicted", "shapes", "passed"),
    [
        ("pgd-inf-4", 0.65, 50, True),
        ("pgd-inf-4", 0.651, 50, False),
        ("pgd-inf-4", 0.35, 50, True),
        ("pgd-inf-4", 0.349, 50, False),
        ("calibration-shape", 1.0, 98, True),
        ("calibration-shape", 1.0, 97, False),
    ],
)
def test_the_gate_has_its_edges_and_rulers_a_narrower_one(
    model: str, predicted: float, shapes: int, passed: bool
) -> None:
    found = known_answers({(model, 0): conflict(shapes, 100 - shapes)}, {model: predicted}, [model], dataset="cues")
    assert list(found["passed"]) == [passed, passed]
