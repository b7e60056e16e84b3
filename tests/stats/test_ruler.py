"""What the rulers read, from answers whose shares are known."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from shapelens.names.models import MODEL_OF
from shapelens.stats.accuracy import accuracy_table
from shapelens.stats.paired import Paired, pair
from shapelens.stats.resampling import Resampler
from shapelens.stats.ruler import Ruler, chance, model_bias, ruler_table
from shapelens.stats.shape_bias import shape_bias_per_class
from shapelens.stats.spec import Statistics

from ..stats_data import frame

N, CLASSES = 400, 4
LABELS = np.arange(N) % CLASSES
STATISTICS = Statistics(resamples=400)
S1 = {
    "texture": {
        "clean": 1.0,
        "stylised": 0.80,
        "saturation-1024": 0.38,
        "patch-shuffle-2": 1.0,
        "patch-shuffle-8": 0.52,
    },
    "shape": {
        "clean": 1.0,
        "stylised": 0.54,
        "saturation-1024": 0.99,
        "patch-shuffle-2": 0.53,
        "patch-shuffle-8": 0.27,
    },
}
"""Accuracies of a BagNet and of a shape-only model on images like those of case S1 (notes of the prototype)."""


def answers(share: float, seed: int) -> np.ndarray:
    """Return answers of which a share is right, evenly over classes; the others are the next class."""
    order = np.random.default_rng(seed).permutation(N)
    right = np.zeros(N, bool)
    right[order[: round(share * N)]] = True
    return np.where(right, LABELS, (LABELS + 1) % CLASSES)


def conflict(testset: str, bias: float, seed: int) -> pd.DataFrame:
    """Return decisions of which a share names the shape and all others the texture."""
    textures = (LABELS + 2) % CLASSES
    shape = np.random.default_rng(seed).permutation(N) < round(bias * N)
    return frame(testset, LABELS, np.where(shape, LABELS, textures), textures)


def study(accuracies: Mapping[str, Mapping[str, float]], conflicts: Mapping[str, Mapping[str, float]] = {}) -> Paired:
    runs = {}
    for number, (cue, sets) in enumerate(accuracies.items()):
        parts = [frame(name, LABELS, answers(share, 10 * number + k)) for k, (name, share) in enumerate(sets.items())]
        parts += [conflict(name, bias, 50 + number) for name, bias in conflicts.get(cue, {}).items()]
        runs[MODEL_OF.get(cue, cue), 0] = pd.concat(parts)
    return pair(runs, {})


def ruler(paired: Paired, statistics: Statistics = STATISTICS) -> Ruler:
    return Ruler(paired, Resampler(len(paired.ids), statistics.resamples, 0), statistics)


def test_what_is_left_is_accuracy_above_chance_relative_to_clean() -> None:
    found = ruler(study({"texture": {"clean": 0.75, "low-pass": 0.5}}))
    left = found.left("texture", "low-pass")
    assert left is not None and left.value == pytest.approx((0.5 - 0.25) / (0.75 - 0.25))
    interval = left.interval(0.95)
    assert interval.low < 0.5 < interval.high
    assert found.left("shape", "low-pass") is None and found.cues == ["texture"]


def test_chance_is_the_share_of_the_most_frequent_class() -> None:
    labels = np.array([0] * 6 + [1] * 4)
    paired = pair({("calibration-texture", 0): frame("clean", labels, labels)}, {})
    assert chance(paired.answers["calibration-texture", 0]["clean"]) == pytest.approx(0.6)


def test_sets_like_s1_are_read_or_refused_as_they_should_be() -> None:
    found = ruler(study(S1))
    assert found.unreadable_set("saturation-1024", kept="shape", removed="texture") is None
    assert found.unreadable_set("patch-shuffle-2", kept="texture", removed="shape") is None
    assert found.unreadable_set("patch-shuffle-8", kept="texture", removed="shape") is None
    stylised = found.unreadable_set("stylised", kept="shape", removed="texture")
    assert stylised is not None and "leaves 39 % of shape and 73 % of texture" in stylised.reason
    # And the other way round nothing is readable: a set is not said to do the opposite of what it does.
    for testset in ("saturation-1024", "patch-shuffle-2"):
        kept = "texture" if testset.startswith("saturation") else "shape"
        removed = "shape" if kept == "texture" else "texture"
        assert found.unreadable_set(testset, kept=kept, removed=removed) is not None  # type: ignore[arg-type]


def test_a_ruler_that_has_learned_nothing_says_so() -> None:
    found = ruler(study({"texture": {"clean": 0.25, "stylised": 0.25}, "shape": {"clean": 0.9, "stylised": 0.9}}))
    refusal = found.unreadable_set("stylised", kept="shape", removed="texture")
    assert refusal is not None and "the texture ruler has learned nothing" in refusal.reason
    assert not found.has_learned("texture") and found.has_learned("shape")


def test_without_rulers_nothing_is_read() -> None:
    found = ruler(study({"standard": {"clean": 0.9, "stylised": 0.5}}, {"standard": {"cue-conflict": 0.9}}))
    assert found.cues == []
    assert "rulers" in found.unreadable_set("stylised", "shape", "texture").reason  # type: ignore[union-attr]
    assert "rulers" in found.unreadable_bias("cue-conflict").reason  # type: ignore[union-attr]


def test_a_bias_between_near_ends_is_withheld_and_between_far_ends_has_a_place() -> None:
    clean = {"clean": 1.0}
    paired = study(
        {"texture": clean, "shape": clean, "standard": clean},
        {
            "texture": {"cue-conflict": 0.84, "hybrid": 0.10},
            "shape": {"cue-conflict": 0.91, "hybrid": 0.90},
            "standard": {"cue-conflict": 0.90, "hybrid": 0.30},
        },
    )
    found = ruler(paired)
    refusal = found.unreadable_bias("cue-conflict")
    assert refusal is not None and "84 %" in refusal.reason and "91 %" in refusal.reason
    assert found.unreadable_bias("hybrid") is None
    bias = model_bias(paired, Resampler(N, 400, 0), "standard", "hybrid")
    assert bias is not None and bias.value == pytest.approx(0.3)
    place = ruler(paired).place(bias, "hybrid")
    assert place is not None and place.value == pytest.approx((0.3 - 0.1) / (0.9 - 0.1))


def test_ends_in_the_wrong_order_are_not_apart() -> None:
    clean = {"clean": 1.0}
    found = ruler(study({"texture": clean, "shape": clean}, {"texture": {"hybrid": 0.9}, "shape": {"hybrid": 0.1}}))
    assert found.unreadable_bias("hybrid") is not None


def test_the_table_has_every_reading_once() -> None:
    paired = study(S1, {"texture": {"hybrid": 0.0}, "shape": {"hybrid": 0.97}})
    table = ruler_table(paired, Resampler(N, 400, 0), STATISTICS, dataset="own")
    assert not table.duplicated(["model", "testset", "metric"]).any()
    apart = table[table["metric"] == "apart"].iloc[0]
    assert apart["value"] == pytest.approx(0.97) and apart["readable"] is True
    clean = table[table["metric"] == "accuracy"]
    assert clean["testset"].unique().tolist() == ["clean"] and clean["readable"].tolist() == [True, True]
    assert set(table[table["metric"] == "left"]["testset"]) == set(S1["texture"]) - {"clean"}


def test_of_one_cue_alone_only_its_ruler_is_read() -> None:
    sets = {"clean": 0.9, "shape-only": 0.9, "texture-only": 0.9}
    table = ruler_table(study({"texture": sets, "shape": sets}), Resampler(N, 400, 0), STATISTICS, dataset="cues")
    read = table[table["metric"] == "left"]
    assert list(zip(read["model"], read["testset"], strict=True)) == [
        ("calibration-shape", "shape-only"),
        ("calibration-texture", "texture-only"),
    ]


def voices(model: str, shape: float, texture: float, clean: float = 1.0) -> pd.DataFrame:
    """Return a model's clean answers, and decisions on hybrids of which these shares name the shape and the texture."""
    textures = (LABELS + 2) % CLASSES
    place = np.random.default_rng(7).permutation(N) / N
    named = np.where(place < shape, LABELS, np.where(place < shape + texture, textures, (LABELS + 1) % CLASSES))
    return pd.concat([frame("clean", LABELS, answers(clean, 3)), frame("hybrid", LABELS, named, textures)])


def four(**models: pd.DataFrame) -> Paired:
    """Return rulers that are far apart on hybrids, and some models."""
    rulers = {"calibration-texture": voices("t", 0.0, 0.95), "calibration-shape": voices("s", 0.95, 0.0)}
    return pair({(name, 0): rows for name, rows in {**rulers, **models}.items()}, {})


@pytest.mark.parametrize(
    ("shape", "texture", "reads"),
    # Of four classes guessing names either class in half of the images; 0.83 is two thirds of what is above that.
    [(0.0, 1.0, True), (0.45, 0.48, True), (0.25, 0.25, False), (0.40, 0.40, False), (0.1, 0.1, False)],
)
def test_a_model_that_guesses_reads_neither_cue(shape: float, texture: float, reads: bool) -> None:
    found = ruler(four(m=voices("m", shape, texture)))
    said = found.withheld("m", "hybrid")
    assert (said is None) == reads
    assert reads or (said is not None and "guessing does in 50 %" in said)


def test_a_weak_model_is_asked_for_two_thirds_of_what_it_can() -> None:
    # It is right on 62.5 % of clean images, half of what is above chance: two thirds of that on hybrids are 66.7 %.
    assert ruler(four(m=voices("m", 0.4, 0.4, clean=0.625))).withheld("m", "hybrid") is None
    assert ruler(four(m=voices("m", 0.33, 0.3, clean=0.625))).withheld("m", "hybrid") is not None


def test_the_colour_ruler_is_no_end_of_the_scale() -> None:
    found = ruler(four(**{"calibration-colour": voices("c", 0.2, 0.3)}))
    assert found.withheld("calibration-colour", "hybrid") is not None
    assert found.withheld("calibration-shape", "hybrid") is None


def test_of_two_classes_nobody_can_tell_a_guess_from_a_reading() -> None:
    labels = np.arange(100) % 2
    sets = {"calibration-texture": 1 - labels, "calibration-shape": labels, "m": labels}
    runs = {
        (name, 0): pd.concat([frame("clean", labels, labels), frame("hybrid", labels, said, 1 - labels)])
        for name, said in sets.items()
    }
    found = ruler(pair(runs, {}))
    assert found.unreadable_bias("hybrid") is None
    assert "of two classes" in str(found.withheld("m", "hybrid"))


def test_withheld_numbers_are_in_no_table_and_the_rulers_always_are() -> None:
    models = {"standard": voices("m", 0.1, 0.85), "guess": voices("m", 0.25, 0.25)}
    rows = {
        **models,
        "calibration-texture": voices("t", 0.0, 0.95),
        "calibration-shape": voices("s", 0.95, 0.0),
    }
    table = accuracy_table(
        {(name, 0): frame_ for name, frame_ in rows.items()},
        {},
        dataset="own",
        order=list(rows),
        statistics=STATISTICS,
        data_seed=0,
    )
    bias = table[(table["metric"] == "shape_bias") & (table["seed"] == "mean")].set_index("model")["value"]
    assert np.isnan(bias["guess"]) and bias["standard"] == pytest.approx(0.1 / 0.95)
    assert bias["calibration-texture"] == 0 and bias["calibration-shape"] == 1
    place = table[table["metric"] == "shape_bias_place"]
    assert place["model"].tolist() == ["standard"] and place["value"].iloc[0] == pytest.approx(0.1 / 0.95)
    classes = shape_bias_per_class(
        {(name, 0): frame_ for name, frame_ in rows.items()},
        dataset="own",
        order=list(rows),
        classes=list("abcd"),
        statistics=STATISTICS,
        data_seed=0,
    )
    assert classes[classes["model"] == "guess"]["value"].isna().all()
    assert classes[classes["model"] == "standard"]["value"].notna().all()


def test_sets_must_do_what_their_kind_must() -> None:
    found = ruler(study(S1))
    assert found.unreadable("clean") is None and found.unreadable("saturation-1024") is None
    assert found.unreadable("patch-shuffle-2") is None and found.unreadable("stylised") is not None
    assert found.still_there("patch-shuffle-8", "shape") is None
    assert "may leave half of shape" in str(found.still_there("saturation-1024", "shape"))
