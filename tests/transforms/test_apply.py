"""Transformed test sets on disk."""

import json
import logging
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from shapelens.artefacts.files import ImageSet, open_image_set, sha256
from shapelens.errors import UserError
from shapelens.transforms import apply
from shapelens.transforms.blur import bilateral, gaussian_blur
from shapelens.transforms.colour import channel_permutations, greyscale, shuffle_channels
from shapelens.transforms.fourier import high_pass, low_pass, random_filter
from shapelens.transforms.patch_frame import frame_patches
from shapelens.transforms.patch_shuffle import patch_permutations, shuffle_patches
from shapelens.transforms.saturation import saturate
from shapelens.transforms.spec import (
    Bilateral,
    ChannelShuffle,
    Clean,
    GaussianBlur,
    Greyscale,
    HighPass,
    LowPass,
    PatchFrame,
    PatchShuffle,
    RandomFilter,
    Saturation,
)

SPECS = [
    Clean(),
    Saturation(level=1024),
    Saturation(level=0.25),
    PatchShuffle(k=4),
    LowPass(radius=4),
    HighPass(radius=4),
    RandomFilter(),
    GaussianBlur(sigma=0.05),
    Bilateral(sigma=0.05),
    Greyscale(),
    ChannelShuffle(),
    PatchFrame(k=4),
]
IN_BYTES = ("clean", "patch-shuffle", "greyscale", "channel-shuffle", "patch-frame")


def source(count=40, side=16, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    return ImageSet(images, rng.integers(0, 5, count), np.full(count, -1))


def exact(images, spec, seed):
    """The same transform in float64 throughout."""
    x = images / 255
    match spec.kind:
        case "clean":
            return x
        case "saturation":
            return saturate(x, spec.level)
        case "patch-shuffle":
            return shuffle_patches(x, patch_permutations(len(x), spec.k, seed))
        case "low-pass":
            return low_pass(x, spec.radius)
        case "high-pass":
            return high_pass(x, spec.radius)
        case "random-filter":
            return random_filter(x, spec.probability, seed)
        case "gaussian-blur":
            return gaussian_blur(x, spec.sigma)
        case "bilateral":
            return bilateral(x, spec.sigma, spec.range_sigma)
        case "greyscale":
            return greyscale(images) / 255
        case "channel-shuffle":
            return shuffle_channels(x, channel_permutations(len(x), seed))
        case "patch-frame":
            return frame_patches(x, patch_permutations(len(x), spec.k, seed))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_written_set(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(apply, "CHUNK_VALUES", 7 * 3 * 16 * 16)  # chunks of 7: the last one is shorter
    clean = source()
    apply.write_testset(clean, spec, 9, tmp_path / "set")
    written = open_image_set(tmp_path / "set")
    assert np.array_equal(written.images, apply.transform(clean.images, spec, 9, 0))
    assert np.array_equal(written.labels, clean.labels) and np.array_equal(written.textures, clean.textures)
    manifest = json.loads((tmp_path / "set/manifest.json").read_text())
    assert manifest["testset"] == spec.name and manifest["spec"] == spec.model_dump(mode="json")
    assert (manifest["images"], manifest["shape"], manifest["data_seed"]) == (40, [3, 16, 16], 9)
    assert manifest["dtype"] == ("uint8" if spec.kind in IN_BYTES else "float32")
    assert manifest["sha256"] == {n: sha256(tmp_path / "set" / n) for n in ("images.npy", "labels.npy", "textures.npy")}
    with Image.open(tmp_path / "set/contact_sheet.png") as sheet:
        assert sheet.size[0] <= 1200
    apply.write_testset(clean, spec, 9, tmp_path / "again")
    for path in (tmp_path / "set").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == [
        "contact_sheet.png", "images.npy", "labels.npy", "manifest.json", "textures.npy"
    ]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_what_is_stored_does_not_change_a_prediction(spec):
    torch.set_num_threads(1)
    clean = source(count=64, side=32)
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 3, stride=2), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(32 * 15 * 15, 10),
    )  # fmt: skip
    stored = apply.transform(clean.images, spec, 3, 0)
    x = torch.from_numpy(stored.astype(np.float32) / (255 if stored.dtype == np.uint8 else 1))
    with torch.no_grad():
        logits = network(x)
        reference = network.double()(torch.from_numpy(exact(clean.images, spec, 3)))
    assert torch.equal(logits.argmax(1), reference.argmax(1))
    assert (logits - reference).abs().max() < 1e-4


def test_storing_catches_eight_bit_filters():
    spec, clean = HighPass(radius=4), source()
    truth = exact(clean.images, spec, 3)
    assert np.abs(np.rint(np.clip(truth, 0, 1) * 255) / 255 - truth).max() > 0.1
    assert np.abs(apply.transform(clean.images, spec, 3, 0) - truth).max() < 1e-6


def test_add_half_shifts_high_pass_only():
    x = source().images
    plain, shifted = (apply.transform(x, HighPass(radius=3, add_half=half), 0, 0) for half in (False, True))
    np.testing.assert_allclose(shifted, plain + 0.5, atol=1e-6)


@pytest.mark.parametrize(
    "spec", [PatchShuffle(k=4), RandomFilter(), ChannelShuffle(), PatchFrame(k=2)], ids=lambda spec: spec.name
)
def test_chunks_do_not_change_the_draws(spec):
    x = source().images
    parts = [apply.transform(x[first : first + 9], spec, 2, first) for first in range(0, len(x), 9)]
    assert np.array_equal(np.concatenate(parts), apply.transform(x, spec, 2, 0))
    assert not np.array_equal(apply.transform(x, spec, 3, 0), apply.transform(x, spec, 2, 0))


def test_images_that_a_shuffle_leaves_whole_are_counted(tmp_path, caplog):
    clean = source(480)
    whole = (patch_permutations(480, 2, 0) == np.arange(4)).all(axis=1).sum()
    assert 10 < whole < 32  # one permutation in 24
    with caplog.at_level(logging.INFO, "shapelens"):
        apply.write_testset(clean, PatchShuffle(k=2), 0, tmp_path / "shuffled")
        apply.write_testset(clean, ChannelShuffle(), 0, tmp_path / "recoloured")
    assert [line for line in caplog.messages if "as they were" in line] == [
        f"patch-shuffle-2: {whole} of 480 images are as they were"
    ]


def test_memory_stays_flat(tmp_path, monkeypatch):
    monkeypatch.setattr(apply, "CHUNK_VALUES", 2**16)

    def peak(count):
        tracemalloc.start()
        apply.write_testset(source(count), LowPass(radius=3), 0, tmp_path / str(count))
        size = tracemalloc.get_traced_memory()[1] - count * 3 * 16 * 16  # the source itself
        tracemalloc.stop()
        return size

    peak(100)
    assert peak(2000) < peak(500) + 400_000  # the written floats alone would be 4.6 MB more


def test_refusals(tmp_path):
    with pytest.raises(UserError, match="k = 3"):
        apply.write_testset(source(), PatchShuffle(k=3), 0, tmp_path / "set")
    assert not list(tmp_path.rglob("*.npy"))
    with pytest.raises(UserError, match="no images"):
        apply.write_testset(source(0), Clean(), 0, tmp_path / "set")
    with pytest.raises(ValueError, match="float64"):
        apply.transform(source().images / 255, Clean(), 0, 0)
