"""The gates of the calibration models."""

import math

import numpy as np
import pandas as pd
import pytest

from shapelens.stats.calibration import calibration_gates

from ..stats_data import frame


def run(cue: str, accuracy: float, shapes: int, textures: int, images: int = 1000) -> pd.DataFrame:
    """Label 1 is the shape's, 2 the texture's, 0 neither."""
    named = np.repeat([1, 2, 0], [shapes, textures, images - shapes - textures])
    right = (np.arange(images) < accuracy * images).astype(int)
    return pd.concat([frame(f"{cue}-calibration", 1, right), frame("conflict-calibration", 1, named, 2)])


@pytest.mark.parametrize(
    ("cue", "accuracy", "shapes", "textures", "passed"),
    [
        ("shape-only", 0.99, 980, 20, (True, True)),
        ("shape-only", 0.989, 979, 21, (False, False)),
        ("shape-only", 1.0, 490, 10, (True, True)),
        ("shape-only", 1.0, 0, 1000, (True, False)),
        ("texture-only", 1.0, 20, 980, (True, True)),
        ("texture-only", 0.5, 21, 979, (False, False)),
        ("texture-only", 1.0, 0, 0, (True, False)),
    ],
)
def test_gates(cue: str, accuracy: float, shapes: int, textures: int, passed: tuple[bool, bool]) -> None:
    name = f"calibration-{cue.removesuffix('-only')}"
    gates = calibration_gates(
        {(name, 0): run(cue, accuracy, shapes, textures), ("standard", 0): frame("clean", 1, [1])}
    )
    assert tuple(gate.passed for gate in gates) == passed
    assert [gate.quantity for gate in gates] == [
        f"accuracy on {cue}-calibration",
        "shape bias on conflict-calibration",
    ]
    assert all(gate.model == name and gate.low <= gate.high for gate in gates)
    assert gates[0].value == pytest.approx(accuracy)
    if shapes + textures:
        assert gates[1].value == pytest.approx(shapes / (shapes + textures))


def test_what_was_not_measured_is_not_passed() -> None:
    gates = calibration_gates({("calibration-shape", 0): frame("clean", 1, [1, 1])})
    assert len(gates) == 2 and not any(gate.passed for gate in gates) and all(math.isnan(g.value) for g in gates)


def test_models_may_have_other_names_and_several_seeds() -> None:
    good = run("shape-only", 1.0, 1000, 0)
    runs = {("mine", seed): good for seed in (0, 1)}
    assert calibration_gates(runs) == []
    gates = calibration_gates(runs, {"mine": "shape-only"})
    assert [gate.seed for gate in gates] == [0, 0, 1, 1] and all(gate.passed for gate in gates)
