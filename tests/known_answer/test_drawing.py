"""The known-answer images: balanced, equal bytes, and one cue alone holds no trace of the other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shapelens.datasets.readers import read_image_folder

from . import drawing
from .drawing import FAMILIES, OUTLINES, PATTERNS, Known, draw, write_folder

ALL = [Known(family=family, everywhere=everywhere) for family in FAMILIES for everywhere in (True, False)]
each = pytest.mark.parametrize("known", ALL, ids=lambda known: f"{known.family}-{known.everywhere}")


@each
def test_classes_are_balanced_and_conflicts_are_conflicts(known: Known) -> None:
    for cue in ("both", "shape", "texture", "conflict", "independent"):
        assert np.bincount(draw(known, 40, cue, "test").labels).tolist() == [10] * 4
    both, conflict = draw(known, 40, "both", "test"), draw(known, 40, "conflict", "test")
    assert (both.shapes == both.textures).all()
    assert (conflict.shapes != conflict.textures).all()
    assert np.bincount(conflict.textures).tolist() == [10] * 4
    free = draw(replace(known, side=4), 800, "independent", "test")
    pairs = np.bincount(4 * free.shapes + free.textures, minlength=16)
    assert abs(pairs - 50).max() < 30  # four deviations of a count of 50


@each
def test_equal_arguments_give_equal_bytes_and_others_do_not(known: Known) -> None:
    def bytes_of(known: Known, stream: str = "train") -> bytes:
        return draw(known, 8, "both", stream).images.tobytes()

    assert bytes_of(known) == bytes_of(known)
    others = [replace(known, **{key: value}) for key, value in (("seed", 1), ("period", 6.0), ("coloured", False))]
    assert len({bytes_of(known), bytes_of(known, "test"), *map(bytes_of, others)}) == 5


@each
@pytest.mark.parametrize(("cue", "absent"), [("shape", PATTERNS), ("texture", OUTLINES)])
def test_one_cue_alone_holds_no_trace_of_the_other(
    known: Known, cue: drawing.Cue, absent: dict[str, tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever class the absent cue would have had, the images are the same."""
    before, both = draw(known, 8, cue, "train"), draw(known, 8, "both", "train")
    monkeypatch.setitem(absent, known.family, absent[known.family][::-1])
    np.testing.assert_array_equal(draw(known, 8, cue, "train").images, before.images)
    assert (draw(known, 8, "both", "train").images != both.images).any()  # the swap would be seen


@each
def test_the_pattern_has_its_amplitude_and_its_place(known: Known) -> None:
    """Less the same images without it, the pattern remains: on the object or everywhere."""
    with_pattern, without = (draw(replace(known, amplitude=a), 40, "both", "test").images / 255 for a in (0.09, 0.0))
    difference = (with_pattern - without).mean(axis=1)
    covered = (np.abs(difference) > 1.5 / 255).mean(axis=(1, 2))
    if known.everywhere:
        assert difference.std() == pytest.approx(0.09, rel=0.1)
    else:
        assert covered.max() < 0.6


@pytest.mark.parametrize("family", FAMILIES)
def test_texture_names_the_class_and_colour_does_not(family: str) -> None:
    """By closed form, without any model: spectra of the class's own patterns are nearer than those of others."""
    known = Known(family=family)  # type: ignore[arg-type]
    known = replace(known, coloured=False)
    train, test = (draw(known, 200, "texture", stream) for stream in ("train", "test"))

    def spectra(images: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.fft2(images.mean(axis=1))) ** 2
        cycles = np.hypot(*np.meshgrid(*[np.fft.fftfreq(32, 1 / 32)] * 2))
        fine = np.where(cycles > 4, power, 0).reshape(len(images), -1)
        return np.sqrt(fine / fine.sum(axis=1, keepdims=True))

    def named(features: list[np.ndarray]) -> float:
        centres = np.stack([features[0][train.labels == label].mean(axis=0) for label in range(4)])
        nearest = np.square(features[1][:, None] - centres).sum(axis=2).argmin(axis=1)
        return float((nearest == test.labels).mean())

    assert named([spectra(part.images) for part in (train, test)]) > 0.95
    assert named([part.images.mean(axis=(2, 3)) for part in (train, test)]) < 0.4


def test_a_folder_is_read_as_users_images_are(tmp_path: Path) -> None:
    known = Known(family="signs", classes=3, side=24)
    listing = read_image_folder(write_folder(known, tmp_path / "images", train=9, test=6))
    assert listing.classes == ("signs-0", "signs-1", "signs-2")
    assert sorted((record.split, record.label) for record in listing.records) == sorted(
        [("train", n % 3) for n in range(9)] + [("test", n % 3) for n in range(6)]
    )


def test_a_family_has_as_many_outlines_as_patterns() -> None:
    assert all(len(OUTLINES[family]) == len(PATTERNS[family]) for family in FAMILIES)
    with pytest.raises(AssertionError, match="2 to 5 classes"):
        Known(classes=6)
