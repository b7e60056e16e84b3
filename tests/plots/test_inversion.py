"""Pictures of inversions, and the animation that a figure may have beside it."""

import numpy as np
import pytest
from PIL import Image

from shapelens.artefacts.files import save_npz, sha256, write_json
from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo
from shapelens.plots import inversion
from shapelens.plots.save import FRAME_MS, REST_MS, save_animation
from shapelens.plots.shown import Shown

from ..tidy_data import shown

MODELS = [ModelInfo(name=name, family=name) for name in ("standard", "underfit")]


def arrays(seed=0, targets=3, starts=2, steps=(0, 3, 9)):
    rng = np.random.default_rng(seed)

    def pixels(*shape):
        return rng.integers(0, 256, (*shape, 3, 6, 6)).astype(np.uint8)

    return {
        "sources": np.array([f"image-{n + 1}" for n in range(starts)]),
        "images": np.arange(targets),
        "steps": np.array(steps),
        "targets": pixels(targets),
        "starts": pixels(targets, starts),
        "way": pixels(len(steps), targets, starts),
        "pixel_distance": rng.random((targets, starts)),
    }


def given(**found):
    return shown("inversion", MODELS, arrays=lambda _: found)


def pictures_of(figure):
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


def test_a_row_has_the_target_the_start_and_where_each_model_ended():
    found = {model.name: arrays(seed) for seed, model in enumerate(MODELS)}
    drawn = pictures_of(inversion.pictures(given(**found), Display()))
    assert len(drawn) == 3 * 2 * 4
    own = found["standard"]
    expected = [own["targets"][1], own["starts"][1, 0], own["way"][-1, 1, 0], found["underfit"]["way"][-1, 1, 0]]
    for picture, pixels in zip(drawn[8:12], expected, strict=True):
        np.testing.assert_allclose(picture, pixels.transpose(1, 2, 0) / 255, atol=1e-6)


def test_the_way_goes_from_the_start_to_the_end():
    found = {"standard": arrays()}
    drawn = pictures_of(inversion.way(given(**found), Display()))
    own = found["standard"]
    for picture, pixels in zip(drawn, [own["targets"][0], *own["way"][:, 0, 0]], strict=True):
        np.testing.assert_allclose(picture, pixels.transpose(1, 2, 0) / 255, atol=1e-6)


def test_models_of_other_targets_are_refused():
    with pytest.raises(UserError, match="underfit was measured on other images than standard"):
        inversion.pictures(given(standard=arrays(), underfit={**arrays(), "images": np.array([5, 6, 7])}), Display())
    with pytest.raises(UserError, match="no model was measured"):
        inversion.way(given(), Display())


def test_an_animation_has_a_picture_for_each_step_and_rests_on_the_last(tmp_path):
    frames = inversion.way_frames(given(standard=arrays()), Display())
    for name in ("one.gif", "two.gif"):
        save_animation(frames, tmp_path / name, 80)
    assert (tmp_path / "one.gif").read_bytes() == (tmp_path / "two.gif").read_bytes()
    with Image.open(tmp_path / "one.gif") as gif:
        assert gif.n_frames == 3 and gif.info["loop"] == 0
        times, seen = [], []
        for number in range(gif.n_frames):
            gif.seek(number)
            times.append(gif.info["duration"])
            seen.append(np.asarray(gif.convert("RGB")))
    assert times == [FRAME_MS, FRAME_MS, REST_MS]
    assert not np.array_equal(seen[0], seen[1]) and seen[0].shape == seen[2].shape


def test_a_figure_reads_each_models_first_seed_and_no_file_that_its_record_does_not_name(tmp_path):

    paths = []
    for seed in (0, 1):
        path = tmp_path / "inversion" / "standard" / f"seed{seed}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_npz(path, arrays(seed))
        write_json(path.with_suffix(".json"), {"sha256": {path.name: sha256(path)}})
        paths.append(path)
    given = Shown(shown("inversion", MODELS).job, {"inversion_arrays": paths})
    (found,) = given.arrays("inversion").values()
    assert found.keys() == arrays().keys() and all(np.array_equal(found[k], v) for k, v in arrays(0).items())
    save_npz(paths[0], arrays(5))
    with pytest.raises(UserError, match="seed0"):
        given.arrays("inversion")
