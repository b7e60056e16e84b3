"""The shape ruler's training images: what replaces their texture is what the test sets' transformations do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from shapelens.artefacts.files import read_json
from shapelens.models.spec import Network
from shapelens.training.retexture import CUT, SATURATION, Retexturing, hybrids, level_at, retexturing, saturated
from shapelens.training.run import run_training, sizes, smallest_that_learns
from shapelens.training.spec import Training, TrainingRun
from shapelens.transforms import mixed, saturation
from shapelens.transforms.fourier import low_pass

from .small import CPU, SETTINGS, spec

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 16, 16), dtype=np.uint8)
X = torch.from_numpy(IMAGES / np.float32(255))


def test_its_arithmetic_is_that_of_the_test_sets() -> None:
    order = [3, 4, 5, 0, 1, 2]
    assert np.allclose(hybrids(X, X[order], 2.5), mixed.hybrids(IMAGES, IMAGES[order], 2.5), atol=1e-6)
    assert np.allclose(hybrids(X, None, 2.5), np.clip(low_pass(IMAGES / 255, 2.5), 0, 1), atol=1e-6)
    assert np.allclose(saturated(X, 64), saturation.saturate(IMAGES / 255, 64), atol=1e-6)


def test_a_minibatch_depends_on_its_seed_alone_and_every_way_occurs() -> None:
    ruler, nothing = Retexturing(16), torch.nn.Identity()
    made = [ruler.attack(nothing, X, torch.zeros(6), step, seed) for step, seed in enumerate(range(40))]
    again = ruler.attack(nothing, X, torch.zeros(6), 99, 7)
    assert torch.equal(made[7], again)
    assert all(float(m.min()) >= 0 and float(m.max()) <= 1 for m in made)
    # Saturated images keep each pixel's side of grey; low-passed ones have no mode beyond the largest radius.
    beyond = [float(np.abs(m.numpy() - np.clip(low_pass(m.numpy(), CUT[1] * 2), 0, 1)).max()) for m in made]
    kept_side = [bool(((m > 0.5) == (X > 0.5))[X != 0.5].all()) for m in made]
    assert 5 < sum(kept_side) < 25 and 5 < sum(b < 0.2 for b in beyond) < 25
    assert sum(not side and b >= 0.2 for side, b in zip(kept_side, beyond, strict=True)) > 5


def test_levels_span_the_range() -> None:
    assert level_at(0.0) == pytest.approx(SATURATION[0]) and level_at(1.0) == pytest.approx(SATURATION[1])
    assert level_at(0.5) == pytest.approx((SATURATION[0] * SATURATION[1]) ** 0.5)


def test_only_a_run_on_retextured_images_has_it() -> None:
    with pytest.raises(ValueError, match="keep their texture"):
        retexturing(spec(), 16)
    assert retexturing(spec().model_copy(update={"images": "retextured"}), 16) == Retexturing(16)


def bagnet(*fields: int) -> TrainingRun:
    network = Network(arch="bagnet", width=2, receptive_field=fields)
    return TrainingRun(model="calibration-texture", seed=0, network=network, training=Training.model_validate(SETTINGS))


def test_one_run_for_each_receptive_field_the_smallest_first() -> None:
    assert [run.network.receptive_field for run in sizes(bagnet(9, 5, 7, 5))] == [(5,), (7,), (9,)]
    assert sizes(spec()) == [spec()]


@pytest.mark.parametrize(
    ("accuracies", "kept"),
    [([0.9, 1.0, 1.0], 7), ([0.95, 1.0, 1.0], 5), ([0.25, 0.25, 0.25], 5), ([0.1, 0.2, 0.15], 7), ([0.3, 0.9, 1.0], 9)],
)
def test_the_smallest_that_still_learns_is_kept(accuracies: list[float], kept: int) -> None:
    class Found:
        def __init__(self, size: int, accuracy: float) -> None:
            self.size, self.accuracy, self.run = size, accuracy, bagnet(size)

    # Of four classes: nine tenths of what 1.0 has above chance is 0.925.
    several = [Found(size, accuracy) for size, accuracy in zip((5, 7, 9), accuracies, strict=True)]
    assert smallest_that_learns(several, 4).size == kept  # type: ignore[arg-type, comparison-overlap]


def test_a_bagnet_of_several_fields_leaves_the_kept_one(data: Path, tmp_path: Path) -> None:
    run_training(bagnet(3, 5), data, tmp_path / "out", tmp_path / "state", CPU, code="c")
    record = read_json(tmp_path / "out" / "selection.json")["receptive_field"]
    kept = read_json(tmp_path / "out" / "spec.json")["spec"]["network"]["receptive_field"]
    assert kept == [record["kept"]] and set(record["validation_accuracy"]) == {"3", "5"}
    assert not list((tmp_path / "state").glob("*"))


def test_a_shape_ruler_is_trained_and_is_chosen_by_what_it_reads_without_texture(data: Path, tmp_path: Path) -> None:
    run = spec("calibration-shape").model_copy(update={"images": "retextured"})
    with pytest.raises(ValueError, match="factory"):
        run_training(run, data, tmp_path / "out", tmp_path / "state", CPU, code="c")
    run_training(run, data, tmp_path / "out", tmp_path / "state", CPU, retexturing, code="c")
    assert read_json(tmp_path / "out" / "selection.json")["criterion"] == "pgd"
