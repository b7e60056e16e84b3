"""The embedded images: what is drawn is what the specification says, and each cue alone names the class."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from shapelens.artefacts.files import open_image_set, read_json, sha256
from shapelens.datasets.cues import (
    MODES,
    OUTLINES,
    SHAPES,
    TESTSETS,
    TEXTURES,
    TILES,
    class_names,
    draw,
    write_cue_testset,
)
from shapelens.datasets.spec import Cues
from shapelens.errors import UserError

TEN = Cues(kind="cues", classes=10)
QUIET = Cues(kind="cues", classes=10, noise=0, contrast=(0.2, 0.3), clutter=0)


@pytest.mark.parametrize("mode", MODES)
def test_an_image_does_not_depend_on_how_many_are_drawn(mode):
    few = draw(TEN, count=7, stream="test", mode=mode, data_seed=3)
    many = draw(TEN, count=203, stream="test", mode=mode, data_seed=3)
    for name in ("images", "labels", "textures"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:7])


def test_streams_modes_and_seeds_give_different_images():
    def digest(stream="train", mode="both", seed=0):
        drawn = draw(TEN, count=4, stream=stream, mode=mode, data_seed=seed)
        return hashlib.sha256(drawn.images.tobytes()).hexdigest()

    assert len({digest(), digest(stream="test"), digest(mode="conflict"), digest(seed=1)}) == 4
    assert digest() == digest()


def with_texture(spec: Cues, amplitude: float) -> Cues:
    return spec.model_copy(update={"texture": amplitude})


def test_shape_dtype_and_no_images():
    drawn = draw(TEN, count=5, stream="test", mode="both", data_seed=0)
    assert drawn.images.shape == (5, 3, 32, 32)
    assert (drawn.images.dtype, drawn.labels.dtype, drawn.textures.dtype) == (np.uint8, np.int64, np.int64)
    assert draw(TEN, count=0, stream="test", mode="conflict", data_seed=0).images.shape == (0, 3, 32, 32)


@settings(max_examples=25, deadline=None)
@given(classes=st.integers(2, 10), count=st.integers(0, 60), seed=st.integers(0, 2**40), mode=st.sampled_from(MODES))
def test_classes_are_balanced(classes, count, seed, mode):
    spec = Cues(kind="cues", classes=classes, size=16)
    drawn = draw(spec, count=count, stream="train", mode=mode, data_seed=seed)
    share = np.bincount(drawn.labels, minlength=classes)
    assert share.max() - share.min() <= 1 and len(share) == classes
    if mode not in ("conflict", "random-texture"):
        assert (drawn.textures == -1).all()


def pair_counts(labels, textures, classes):
    return np.bincount(labels * classes + textures, minlength=classes**2).reshape(classes, classes)


def pairs_uniform(counts):
    unequal = counts[~np.eye(len(counts), dtype=bool)]
    return np.trace(counts) == 0 and unequal.max() - unequal.min() <= 1


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_conflict_pairs_are_uniform_and_never_congruent(classes):
    spec = Cues(kind="cues", classes=classes, size=16)
    period = classes * (classes - 1)
    for count in (period, 2 * period, 2 * period + classes):
        drawn = draw(spec, count=count, stream="test", mode="conflict", data_seed=5)
        assert pairs_uniform(pair_counts(drawn.labels, drawn.textures, classes))
        textures = np.bincount(drawn.textures, minlength=classes)
        assert textures.max() - textures.min() <= 1


def test_conflict_check_catches_independent_draws():
    rng = np.random.default_rng(0)
    assert not pairs_uniform(pair_counts(rng.integers(8, size=560), rng.integers(8, size=560), 8))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), low=st.floats(0.05, 0.4))
def test_foreground_and_background_lie_on_different_sides_of_grey(seed, low):
    spec = Cues(kind="cues", noise=0, contrast=(low, 0.45), scale=(0.6, 0.9))
    image = draw(spec, count=8, stream="t", mode="shape-only", data_seed=seed).images[seed % 8].astype(float) / 255
    background = image[:, 0, 0]  # the silhouette lies in a circle inside the image: it never reaches a corner
    side = np.sign(background - 0.5)
    assert np.all(side == side[0])
    flat = image.reshape(3, -1)
    extreme = flat[:, np.argmax(-side[0] * flat.sum(0))]  # a pixel wholly inside the silhouette
    assert np.all(np.sign(extreme - 0.5) == -side)
    for colour in (background, extreme):
        assert np.all(np.abs(colour - 0.5) >= low - 1 / 255) and np.all(np.abs(colour - 0.5) <= 0.45 + 1 / 255)


def test_contrast_is_log_uniform_and_either_side_is_as_likely():
    spec = Cues(kind="cues", noise=0, contrast=(0.02, 0.45), size=16)
    images = draw(with_texture(spec, 0), count=1200, stream="t", mode="texture-only", data_seed=0).images / 255.0
    colours = images[:, :, 0, 0] - 0.5
    assert abs((colours[:, 0] > 0).mean() - 0.5) < 0.06
    distance = np.log(np.abs(colours).mean(1))
    place = np.sort((distance - np.log(0.02)) / np.log(0.45 / 0.02))
    # Channel variation and quantisation blur the ends a little; a linear draw would be off by 0.4.
    assert np.abs(place - np.linspace(0, 1, len(place))).max() < 0.08
    linear = np.random.default_rng(0).uniform(0.02, 0.45, 1200)
    fault = np.sort(np.log(linear / 0.02) / np.log(0.45 / 0.02))
    assert np.abs(fault - np.linspace(0, 1, len(fault))).max() > 0.3


@pytest.mark.parametrize("amplitude", [0.03, 0.1])
def test_texture_has_the_stated_amplitude_everywhere(amplitude):
    drawn = draw(with_texture(QUIET, amplitude), count=40, stream="t", mode="texture-only", data_seed=1)
    for image, label in zip(drawn.images / 255.0, drawn.labels, strict=True):
        for channel in image:
            assert channel.max() - channel.min() == pytest.approx(2 * amplitude, abs=1.01 / 255)
            if label < 8:  # two-valued textures: half of the pixels at either end
                assert abs((channel > (channel.max() + channel.min()) / 2).mean() - 0.5) < 1e-9


def test_texture_lies_over_foreground_and_background_and_changes_nothing_else():
    plain, loud = (draw(with_texture(QUIET, a), count=30, stream="t", mode="both", data_seed=1) for a in (0.0, 0.1))
    np.testing.assert_array_equal(plain.labels, loud.labels)
    difference = (loud.images.astype(int) - plain.images) / 255
    binary = loud.labels < 8
    np.testing.assert_allclose(np.abs(difference[binary]), 0.1, atol=1.01 / 255)


def test_noise_has_the_stated_deviation():
    spec = QUIET.model_copy(update={"noise": 0.02})
    images = draw(with_texture(spec, 0), count=60, stream="t", mode="texture-only", data_seed=1).images / 255.0
    assert np.std(images - images.mean((2, 3), keepdims=True)) == pytest.approx(0.02, rel=0.03)


def test_clutter_adds_small_discs():
    shares = []
    for clutter in (0, 1, 6):
        spec = Cues(kind="cues", noise=0, clutter=clutter)
        images = draw(with_texture(spec, 0), count=60, stream="t", mode="texture-only", data_seed=1).images
        median = np.median(images, axis=(2, 3), keepdims=True)
        shares.append(np.mean(np.any(images != median, axis=1)))
    assert shares[0] == 0 and 0 < shares[1] < 0.04 and shares[1] < shares[2] < 0.2


def waves(images):
    """Spectral energy at the wave vectors of each texture, the strongest texture wins."""
    side = images.shape[-1]
    window = np.outer(np.hanning(side), np.hanning(side))
    energy = np.abs(np.fft.fft2(images.mean(1) / 255.0 * window)) ** 2
    scores = []
    for tile in TILES.values():
        repeats = -(-side // len(tile))
        patterns = [np.tile(t, (repeats, repeats))[:side, :side] * window for t in (tile, tile[:, ::-1])]
        spectra = [np.abs(np.fft.fft2(p)) for p in patterns]
        scores.append(np.max([(energy * (s > 0.6 * s.max())).sum((1, 2)) for s in spectra], axis=0))
    return np.stack(scores, axis=1)


@pytest.mark.parametrize("amplitude", [0.03, 0.1])
def test_the_texture_alone_names_the_class_also_in_the_mirror(amplitude):
    drawn = draw(with_texture(TEN, amplitude), count=200, stream="t", mode="texture-only", data_seed=0)
    assert (waves(drawn.images).argmax(1) == drawn.labels).all()
    assert (waves(drawn.images[..., ::-1]).argmax(1) == drawn.labels).all()
    conflict = draw(with_texture(TEN, amplitude), count=180, stream="t", mode="conflict", data_seed=0)
    found = waves(conflict.images).argmax(1)
    assert (found == conflict.textures).mean() > 0.9 and (found == conflict.labels).mean() < 0.1
    absent = draw(TEN, count=200, stream="t", mode="shape-only", data_seed=0)
    assert (waves(absent.images).argmax(1) == absent.labels).mean() < 0.3


def test_textures_are_balanced_and_orthogonal():
    phases = {name: [np.roll(t, (a, b), (0, 1)) for a in range(4) for b in range(4)] for name, t in TILES.items()}
    full = {name: [np.tile(t, (12 // len(t),) * 2) for t in tiles] for name, tiles in phases.items()}
    assert all(t.mean() == 0 for t in TILES.values())
    worst = 0.0
    for i, a in enumerate(TEXTURES):
        for b in TEXTURES[i + 1 :]:
            worst = max(worst, max(abs(float((p * q).mean())) for p in full[a] for q in full[b]))
    assert worst < 1e-6


def shape_features(images):
    """Measures of a silhouette that do not change when it is moved, turned or enlarged."""
    grey = images.mean(1) / 255.0
    bright = np.median(grey[:, [0, 0, -1, -1], [0, -1, 0, -1]], axis=1) > 0.5
    mask = np.where(bright[:, None, None], grey < 0.5, grey > 0.5).astype(float)
    y, x = np.mgrid[: images.shape[2], : images.shape[3]]
    features = []
    for m in np.maximum(mask, 1e-9):
        area = m.sum() + 1e-9
        dy, dx = y - (m * y).sum() / area, x - (m * x).sum() / area
        radius = np.hypot(dy, dx)
        top = np.sort(radius[m >= m.max()])[-3:].mean()
        rings = [(m * (radius / top >= a) * (radius / top < b)).sum() / area for a, b in pairwise(np.arange(8) / 7)]
        angle = np.arctan2(dy, dx)
        turns = [np.abs((m * (radius / top) ** k * np.exp(1j * k * angle)).sum()) / area for k in range(2, 7)]
        features.append([area / top**2, (m * radius**2).sum() / area**2, *rings, *turns])
    return np.asarray(features)


def nearest_mean(train: NDArray, labels: NDArray, test: NDArray) -> NDArray:
    classes = int(labels.max()) + 1
    means = np.stack([train[labels == c].mean(0) for c in range(classes)])
    within = np.cov((train - means[labels]).T) + 1e-6 * np.eye(train.shape[1])
    gap = test[:, None] - means
    return np.einsum("nci,ij,ncj->nc", gap, np.linalg.inv(within), gap).argmin(1)


def test_a_random_texture_says_nothing_of_the_class():
    spec = Cues(kind="cues", classes=4, size=16)
    drawn = draw(spec, count=4000, stream="train", mode="random-texture", data_seed=0)
    pairs = np.zeros((4, 4), dtype=int)
    np.add.at(pairs, (drawn.labels, drawn.textures), 1)
    # Every pair, equal ones too, is as frequent as any other: within five standard deviations of 250.
    assert np.abs(pairs - 250).max() < 5 * np.sqrt(250)
    assert (pairs.sum(0) == 1000).all() and (pairs.sum(1) == 1000).all()


def test_the_shape_alone_names_the_class():
    train = draw(TEN, count=600, stream="train", mode="shape-only", data_seed=0)
    features = shape_features(train.images)
    for mode in ("shape-only", "conflict"):
        test = draw(TEN, count=180, stream="test", mode=mode, data_seed=0)
        found = nearest_mean(features, train.labels, shape_features(test.images))
        assert (found == test.labels).mean() > 0.9, mode
    absent = draw(TEN, count=180, stream="test", mode="texture-only", data_seed=0)
    found = nearest_mean(features, train.labels, shape_features(absent.images))
    assert (found == absent.labels).mean() < 0.3


def test_silhouettes_lie_in_the_unit_circle():
    for polygons in OUTLINES.values():
        assert np.linalg.norm(polygons[0], axis=1).max() == pytest.approx(1, abs=0.01)
    assert len(SHAPES) == len(TEXTURES) == 10


def test_cue_test_sets_are_written_with_their_hashes(tmp_path):
    spec = Cues(kind="cues", classes=3, size=16, test=12)
    for name in TESTSETS:
        manifest = write_cue_testset(spec, name, 0, tmp_path / name)
        assert read_json(tmp_path / name / "manifest.json") == manifest
        assert manifest["sha256"] == {f: sha256(tmp_path / name / f) for f in manifest["sha256"]}
        images = open_image_set(tmp_path / name)
        assert len(images) == manifest["images"] == 12
        assert (images.textures >= 0).all() == name.startswith("conflict")
        assert (tmp_path / name / "contact_sheet.png").exists()
    with pytest.raises(UserError, match="allowed: shape-only"):
        write_cue_testset(spec, "conflicts", 0, tmp_path)


def test_wrong_settings_are_refused():
    with pytest.raises(UserError, match="allowed: both"):
        draw(TEN, count=1, stream="t", mode="shape", data_seed=0)
    with pytest.raises(ValidationError, match=r"0 < least <= greatest <= 0\.5"):
        Cues(kind="cues", contrast=(0.4, 0.2))
    with pytest.raises(ValidationError, match="scale"):
        Cues(kind="cues", scale=(0.5, 1.2))


def test_class_names_come_from_the_shapes():
    assert class_names(Cues(kind="cues", classes=2)) == ("disc", "ring")


def test_every_class_may_have_an_amplitude_of_its_own():
    amplitudes = (2 / 255, 4 / 255, 8 / 255)
    each = Cues(kind="cues", classes=3, noise=0, texture=("2/255", "4.0/255", "8/255"))
    assert each.amplitudes == pytest.approx(amplitudes)
    for mode in ("both", "texture-only", "conflict"):
        drawn = draw(each, count=12, stream="t", mode=mode, data_seed=0)
        shown = drawn.textures if mode == "conflict" else drawn.labels
        for label, amplitude in enumerate(amplitudes):
            alike = each.model_copy(update={"texture": amplitude})
            whole = draw(alike, count=12, stream="t", mode=mode, data_seed=0)
            np.testing.assert_array_equal(drawn.images[shown == label], whole.images[shown == label])
    with pytest.raises(ValidationError, match="2 amplitudes for 3 classes"):
        Cues(kind="cues", classes=3, texture=(0.1, 0.2))


def test_at_a_fixed_phase_the_mean_image_shows_the_texture_and_at_a_random_one_it_does_not():
    for phase, share in (("fixed", 1.0), ("random", 0.0)):
        spec = Cues(kind="cues", classes=8, noise=0.01, texture=0.05, phase=phase)
        drawn = draw(spec, count=800, stream="t", mode="texture-only", data_seed=0)
        for label, tile in enumerate(list(TILES.values())[:8]):
            mean = drawn.images[drawn.labels == label].mean(axis=(0, 1)) / 255
            pattern = np.tile(tile, (8, 8))
            assert (mean * pattern).mean() / 0.05 == pytest.approx(share, abs=0.35)


def test_the_phase_changes_nothing_but_the_texture():
    spec = Cues(kind="cues", texture=0)
    fixed = spec.model_copy(update={"phase": "fixed"})
    for mode in MODES:
        a, b = (draw(s, count=8, stream="t", mode=mode, data_seed=0).images for s in (spec, fixed))
        np.testing.assert_array_equal(a, b)


def test_some_silhouettes_are_of_another_class_and_some_textures_faint():
    plain = Cues(kind="cues", classes=4, size=16, noise=0, texture=(0.02, 0.08, 0.08, 0.08))
    mixed = plain.model_copy(update={"mismatch": 0.2, "faint": 0.3})
    a, b = (draw(s, count=1000, stream="train", mode="both", data_seed=0) for s in (plain, mixed))
    np.testing.assert_array_equal(a.labels, b.labels)
    blank = plain.model_copy(update={"texture": 0.0})
    bare, off = (
        draw(s, count=1000, stream="train", mode="both", data_seed=0).images
        for s in (blank, blank.model_copy(update={"mismatch": 0.2, "faint": 0.3}))
    )
    mismatched = (bare != off).any(axis=(1, 2, 3))
    assert mismatched.mean() == pytest.approx(0.2, abs=0.04)
    faint = (a.images != b.images).any(axis=(1, 2, 3)) & ~mismatched
    assert not faint[a.labels == 0].any()  # these have the least amplitude anyhow
    assert faint[a.labels > 0].mean() == pytest.approx(0.3, abs=0.05)
    soft = draw(plain.model_copy(update={"texture": 0.02}), count=1000, stream="train", mode="both", data_seed=0).images
    np.testing.assert_array_equal(b.images[faint], soft[faint])
    few = draw(mixed, count=17, stream="train", mode="both", data_seed=0)
    np.testing.assert_array_equal(few.images, b.images[:17])
    for stream, mode in (
        *(("train", mode) for mode in set(MODES) - {"both"}),
        ("validation", "both"),
        ("test", "both"),
    ):
        x, y = (draw(s, count=20, stream=stream, mode=mode, data_seed=0).images for s in (plain, mixed))
        np.testing.assert_array_equal(x, y)
    with pytest.raises(ValidationError, match="more than all"):
        Cues(kind="cues", mismatch=0.6, faint=0.5)
