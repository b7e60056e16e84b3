"""The real images of ../shared/data, through the readers that a user would use."""

import csv
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shapelens.artefacts.files import open_image_set
from shapelens.datasets.archives import unpack
from shapelens.datasets.build import build_dataset
from shapelens.datasets.images import open_rgb
from shapelens.datasets.readers import read_image_folder, read_tinyimagenet
from shapelens.datasets.spec import ImageFolder, TinyImageNet

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real images in {DATA}"),
]


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    """Unpack an archive once for all tests."""
    root = tmp_path_factory.mktemp("real")

    def get(name):
        folder = root / name
        return folder if folder.exists() else unpack(DATA / f"{name}.tar.xz", folder)

    return get


def rows(folder):
    with open(folder / "index.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_cifar10_as_an_image_folder(unpacked, tmp_path):
    source = unpacked("cifar10-jpeg")
    listing = read_image_folder(source)
    splits = [record.split for record in listing.records]
    assert (splits.count("train"), splits.count("test"), len(listing.classes)) == (50_000, 10_000, 10)
    spec = ImageFolder(kind="image_folder", path=str(source), size=32, limit_train=1000, limit_test=200)
    manifest = build_dataset(spec, 0, source, tmp_path)
    assert {k: v["images"] for k, v in manifest["splits"].items()} == {"train": 900, "validation": 100, "test": 200}
    train = open_image_set(tmp_path / "train")
    assert (np.bincount(train.labels) == 90).all()
    # CIFAR-10's published channel means and deviations, within what 900 images allow.
    np.testing.assert_allclose(manifest["channel_mean"], [0.4914, 0.4822, 0.4465], atol=0.03)
    np.testing.assert_allclose(manifest["channel_std"], [0.2470, 0.2435, 0.2616], atol=0.02)
    for row, image in list(zip(rows(tmp_path), train.images, strict=False))[:20]:
        with Image.open(source / row["file"]) as original:
            np.testing.assert_array_equal(image, np.asarray(original.convert("RGB")).transpose(2, 0, 1))


def test_tiny_imagenet_from_a_local_archive(unpacked, tmp_path):
    source = unpacked("tiny-imagenet-50")
    listing = read_tinyimagenet(source)
    splits = [record.split for record in listing.records]
    assert (splits.count("train"), splits.count("test")) == (25_000, 2_500)
    assert len(set(listing.classes)) == 50 and not any(name.startswith("n0") for name in listing.classes)
    spec = TinyImageNet(kind="tinyimagenet", path=str(source), classes=5, limit_train=500, limit_test=100)
    manifest = build_dataset(spec, 0, source, tmp_path)
    assert len(manifest["classes"]) == 5 and set(manifest["classes"]) < set(listing.classes)
    assert all(about["shape"] == [3, 64, 64] for about in manifest["splits"].values())
    test = open_image_set(tmp_path / "test")
    assert (np.bincount(test.labels) == 20).all()


def test_caltech101_as_an_image_folder_without_a_test_split(unpacked, tmp_path):
    source = unpacked("caltech101-20")
    spec = ImageFolder(kind="image_folder", path="x", size=56, resize=64, limit_train=400, limit_test=100)
    started = time.perf_counter()
    manifest = build_dataset(spec, 0, source, tmp_path)
    assert time.perf_counter() - started < 60
    assert len(manifest["classes"]) == 20 and manifest["skipped"] == []
    assert {k: v["images"] for k, v in manifest["splits"].items()} == {"train": 360, "validation": 40, "test": 100}
    files = [row["file"] for row in rows(tmp_path)]
    assert len(set(files)) == 500
    listing = read_image_folder(source)
    assert len(listing.records) == 1695
    modes = {}
    for record in listing.records:
        with Image.open(record.path) as image:
            modes.setdefault(image.mode, record.path)
    assert "L" in modes, "the archive has photographs in greyscale"
    grey = np.asarray(open_rgb(modes["L"]))
    assert grey.shape[2] == 3 and (grey[..., 0] == grey[..., 2]).all()


def test_an_archive_is_read_without_unpacking_it_first(tmp_path):
    spec = ImageFolder(kind="image_folder", path="x", size=32, classes=("crab", "ketch"))
    manifest = build_dataset(spec, 0, DATA / "caltech101-20.tar.xz", tmp_path)
    expected = next(
        line.split()[0] for line in (DATA / "SHA256SUMS").read_text().splitlines() if "caltech101-20" in line
    )
    assert manifest["source"]["sha256"] == expected
    assert not list(tmp_path.glob(".unpacked*"))
