"""Stylised test sets: from the networks to every file."""

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from shapelens.artefacts.files import ImageSet, open_image_set, read_json, sha256
from shapelens.errors import UserError
from shapelens.stylisation.apply import Stylist, stylise_set
from shapelens.stylisation.detail import Exchange
from shapelens.stylisation.networks import Layout, StyleNet, build
from shapelens.stylisation.spec import CueConflict, Stylised
from shapelens.stylisation.testset import write_stylised_testset

RNG = np.random.default_rng(0)
SOURCE = ImageSet(
    RNG.integers(0, 256, (10, 3, 17, 17), dtype=np.uint8), np.arange(10) % 3, np.full(10, -1, dtype=np.int64)
)
STYLES = RNG.integers(0, 256, (4, 3, 17, 17), dtype=np.uint8)
ALL = np.arange(10)
LAX = {"min_texture_removed": 0.0, "min_shape_kept": 0.0, "detail": 0}
FILES = {
    "images.npy", "labels.npy", "textures.npy", "styles.npy", "quality.csv", "manifest.json", "contact_sheet.png"
}  # fmt: skip


@pytest.fixture(scope="module")
def networks() -> StyleNet:
    return build(Layout((4, 6), (1,)), [0.5] * 3, [0.25] * 3, 0)


def run(networks: StyleNet, path: Path, alpha: float = 1.0, batch: int = 4, precision: str = "fp32") -> np.ndarray:
    stylist = Stylist(networks, "cpu", precision)  # type: ignore[arg-type]
    stylise_set(stylist, SOURCE.images, ALL, STYLES, ALL % 4, alpha, path, batch=batch)
    return np.asarray(np.load(path))


def test_a_set_is_its_images_one_by_one(networks: StyleNet, tmp_path: Path) -> None:
    found = run(networks, tmp_path / "a.npy")
    assert found.shape == SOURCE.images.shape
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    np.testing.assert_allclose(found, run(networks, tmp_path / "b.npy", batch=1), atol=1e-5)
    stylist = Stylist(networks, "cpu")
    for i in range(10):
        style = stylist.statistics(STYLES, np.array([i % 4]), 1)
        np.testing.assert_allclose(found[i : i + 1], stylist.stylise(SOURCE.images[i : i + 1], style, 1.0), atol=1e-5)
    wrong = stylist.stylise(SOURCE.images[:1], stylist.statistics(STYLES, np.array([1]), 1), 1.0)
    assert np.abs(found[:1] - wrong).max() > 1e-3  # another style would be seen


def test_alpha_zero_is_the_reconstruction(networks: StyleNet, tmp_path: Path) -> None:
    with torch.no_grad():
        plain = networks.decoder(networks.encoder(torch.from_numpy(SOURCE.images).float() / 255))
    expected = plain[:, :, :17, :17].clamp(0, 1).numpy()
    np.testing.assert_allclose(run(networks, tmp_path / "a.npy", alpha=0.0), expected, atol=1e-5)
    assert np.abs(run(networks, tmp_path / "b.npy") - expected).max() > 1e-3


def test_each_style_is_encoded_once(networks: StyleNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    whole = Stylist.encode
    monkeypatch.setattr(Stylist, "encode", lambda self, images: (seen.append(len(images)), whole(self, images))[1])
    run(networks, tmp_path / "a.npy")
    assert sum(seen) == len(SOURCE) + len(STYLES)


def test_bfloat16_is_near(networks: StyleNet, tmp_path: Path) -> None:
    difference = np.abs(run(networks, tmp_path / "a.npy") - run(networks, tmp_path / "b.npy", precision="bf16"))
    assert 0 < difference.mean() < 0.02


def test_memory_is_flat(networks: StyleNet, tmp_path: Path) -> None:
    """Tenfold the images, the same peak; a set held in memory would be 3.5 MB."""
    peaks = []
    stylist = Stylist(networks, "cpu")
    for count in (100, 1000):
        contents = np.arange(count) % 10
        tracemalloc.start()
        stylise_set(stylist, SOURCE.images, contents, STYLES, contents % 4, 1.0, tmp_path / "a.npy", batch=20)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 500_000


def write(networks: StyleNet, spec: Stylised | CueConflict, folder: Path) -> dict[str, np.ndarray]:
    styles = STYLES if isinstance(spec, Stylised) else None
    write_stylised_testset(SOURCE, styles, networks, spec, 5, folder, device="cpu", batch=4)
    return {path.stem: np.load(path) for path in folder.glob("*.npy")}


@pytest.mark.parametrize("spec", [Stylised(**LAX), CueConflict(**LAX, count=7)], ids=["stylised", "cue-conflict"])
def test_every_file_of_a_set(networks: StyleNet, tmp_path: Path, spec: Stylised | CueConflict) -> None:
    arrays = write(networks, spec, tmp_path / "set")
    count = 10 if isinstance(spec, Stylised) else 7
    assert {path.name for path in (tmp_path / "set").iterdir()} == FILES
    assert {len(array) for array in arrays.values()} == {count}
    assert {str(arrays[name].dtype) for name in ("labels", "textures", "styles")} == {"int64"}
    manifest = read_json(tmp_path / "set" / "manifest.json")
    assert (manifest["testset"], manifest["images"], manifest["dtype"]) == (spec.name, count, "float32")
    assert manifest["sha256"] == {f"{name}.npy": sha256(tmp_path / "set" / f"{name}.npy") for name in arrays}
    np.testing.assert_array_equal(arrays["labels"], SOURCE.labels[:count])
    with open(tmp_path / "set" / "quality.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "texture_removed", "shape_kept"]
    assert len(rows) == count
    assert len(open_image_set(tmp_path / "set")) == count
    write(networks, spec, tmp_path / "again")
    assert {path.name: sha256(path) for path in (tmp_path / "set").iterdir()} == {
        path.name: sha256(path) for path in (tmp_path / "again").iterdir()
    }


def test_a_conflict_names_both_classes_and_the_style_image(networks: StyleNet, tmp_path: Path) -> None:
    arrays = write(networks, CueConflict(**LAX), tmp_path / "set")
    np.testing.assert_array_equal(arrays["textures"], SOURCE.labels[arrays["styles"]])
    assert (arrays["textures"] != arrays["labels"]).all()
    stylist = Stylist(networks, "cpu")
    style = stylist.statistics(SOURCE.images, arrays["styles"][3:4], 1)
    np.testing.assert_allclose(arrays["images"][3:4], stylist.stylise(SOURCE.images[3:4], style, 1.0), atol=1e-5)


def test_the_detail_of_what_was_decoded_is_exchanged(networks: StyleNet, tmp_path: Path) -> None:
    """Image by image, whatever the batches are; with a detail of 0 it stays."""
    plain, found = write(networks, CueConflict(**LAX), tmp_path / "plain"), {}
    for name, detail in (("named", 2.0), ("default", None)):
        found = write(networks, CueConflict(**{**LAX, "detail": detail}), tmp_path / name)
    assert sha256(tmp_path / "named" / "images.npy") == sha256(tmp_path / "default" / "images.npy")
    exchange = Exchange(2.0, 5)
    for i, style in enumerate(found["styles"]):
        expected = exchange(plain["images"][i : i + 1], SOURCE.images[style : style + 1], i)
        np.testing.assert_allclose(found["images"][i : i + 1], expected, atol=1e-4)
    assert np.abs(found["images"] - plain["images"]).mean() > 1e-3


def test_a_stylised_set_names_its_styles_and_no_texture(networks: StyleNet, tmp_path: Path) -> None:
    arrays = write(networks, Stylised(**LAX), tmp_path / "set")
    assert set(arrays["textures"]) == {-1}
    assert set(arrays["styles"]) <= set(range(4))


def test_a_failed_stylisation_is_refused(networks: StyleNet, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="min_shape_kept"):
        write(networks, Stylised(min_texture_removed=0.0, min_shape_kept=1.0), tmp_path / "set")
    assert not (tmp_path / "set" / "manifest.json").exists()
    with pytest.raises(UserError, match="no images"):
        empty = ImageSet(SOURCE.images[:0], SOURCE.labels[:0], SOURCE.textures[:0])
        write_stylised_testset(empty, STYLES, networks, Stylised(), 0, tmp_path / "none", device="cpu", batch=4)
