"""Whole datasets from small sources: what is written, and what a user with faulty images is told."""

import csv
import hashlib
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from shapelens.artefacts.files import open_image_set, read_json, sha256
from shapelens.datasets.build import build_dataset, channel_moments
from shapelens.datasets.cues import draw
from shapelens.datasets.spec import (
    Caltech256,
    Cifar10,
    Cues,
    Dataset,
    ImageFolder,
    TinyImageNet,
    class_count,
    test_side,
    train_side,
)
from shapelens.errors import UserError

FOLDER = ImageFolder(kind="image_folder", path="mine", size=16, resize=20)
COLOURS = {"blue": (20, 20, 200), "green": (20, 200, 20), "red": (200, 20, 20)}


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "mine" / name).mkdir(parents=True)
        for n in range(20):
            pixels = np.full((24 + n, 50 - n, 3), colour) + rng.integers(-10, 10, (24 + n, 50 - n, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "mine" / name / f"{n:02d}.png")
    return tmp_path / "mine"


def rows(folder):
    with open(folder / "index.csv", newline="") as file:
        return list(csv.DictReader(file))


def everything(folder):
    return {p.relative_to(folder).as_posix(): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_an_image_folder_becomes_splits(source, tmp_path):
    out = tmp_path / "out"
    manifest = build_dataset(FOLDER, 0, source, out)
    assert read_json(out / "manifest.json") == manifest
    assert manifest["classes"] == ["blue", "green", "red"] and manifest["skipped"] == []
    # 60 images: a fifth is the test, a tenth of the rest validation, each stratified.
    assert {k: v["images"] for k, v in manifest["splits"].items()} == {"train": 43, "validation": 5, "test": 12}
    assert {k: v["shape"][-1] for k, v in manifest["splits"].items()} == {"train": 20, "validation": 16, "test": 16}
    index = rows(out)
    assert len(index) == 60 == len({row["file"] for row in index})
    for split, about in manifest["splits"].items():
        images = open_image_set(out / split)
        assert images.images.dtype == np.uint8 and list(images.images.shape[1:]) == about["shape"]
        assert about["sha256"] == {f: sha256(out / split / f) for f in ("images.npy", "labels.npy")}
        mine = [row for row in index if row["split"] == split]
        assert [int(row["image"]) for row in mine] == list(range(len(images)))
        assert [int(row["label"]) for row in mine] == images.labels.tolist()
        for row, image in zip(mine, images.images, strict=True):
            assert row["file"].startswith(row["class"] + "/")
            np.testing.assert_allclose(image.mean((1, 2)), COLOURS[row["class"]], atol=4)
    assert (np.bincount(open_image_set(out / "test").labels) == 4).all()
    assert sorted(p.name for p in out.iterdir()) == sorted(
        ["train", "validation", "test", "index.csv", "contact_sheet.png", "manifest.json"]
    )


def test_the_same_seed_gives_the_same_bytes_from_folder_archive_and_threads(source, tmp_path):
    with tarfile.open(tmp_path / "mine.tar.gz", "w:gz") as tar:
        tar.add(source, "mine")
    build_dataset(FOLDER, 1, source, tmp_path / "a")
    build_dataset(FOLDER, 1, source, tmp_path / "b", workers=3)
    assert everything(tmp_path / "a") == everything(tmp_path / "b")
    manifest = build_dataset(FOLDER, 1, tmp_path / "mine.tar.gz", tmp_path / "c")
    assert manifest["source"] == {"kind": "archive", "name": "mine.tar.gz", "sha256": sha256(tmp_path / "mine.tar.gz")}
    first, second = everything(tmp_path / "a"), everything(tmp_path / "c")
    assert {k for k in first if first[k] != second[k]} == {"manifest.json"}
    build_dataset(FOLDER, 2, source, tmp_path / "d")
    assert everything(tmp_path / "d")["index.csv"] != first["index.csv"]


def spoil(source):
    (source / "red" / "03.png").write_bytes(b"<html>")
    (source / "blue" / "05.png").write_bytes((source / "blue" / "05.png").read_bytes()[:100])
    Image.fromarray(np.ones((30, 30), dtype=np.float32)).save(source / "green" / "x.tif")
    return ["blue/05.png", "green/x.tif", "red/03.png"]


def test_all_bad_images_are_listed_at_once(source, tmp_path):
    bad = spoil(source)
    with pytest.raises(UserError, match=r"3 image\(s\).*cannot be used") as caught:
        build_dataset(FOLDER, 0, source, tmp_path / "out")
    assert all(name in str(caught.value) for name in [*bad, "floating-point", "on_bad_image: skip"])
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_bad_images_may_be_skipped_and_are_recorded(source, tmp_path):
    bad = spoil(source)
    spec = FOLDER.model_copy(update={"on_bad_image": "skip"})
    manifest = build_dataset(spec, 0, source, tmp_path / "out")
    assert sorted(entry["file"] for entry in manifest["skipped"]) == bad
    index = rows(tmp_path / "out")
    assert len(index) == 61 - 3 and not set(bad) & {row["file"] for row in index}
    for split in manifest["splits"]:
        images = open_image_set(tmp_path / "out" / split)
        assert len(images) == manifest["splits"][split]["images"]
        for image, label in zip(images.images, images.labels, strict=True):
            np.testing.assert_allclose(image.mean((1, 2)), list(COLOURS.values())[label], atol=4)
    for file in (source / "red").iterdir():
        file.write_bytes(b"")
    with pytest.raises(UserError, match="none of the training images of red"):
        build_dataset(spec, 0, source, tmp_path / "again")


def test_limits_and_classes(source, tmp_path):
    spec = FOLDER.model_copy(update={"limit_train": 20, "limit_test": 4, "classes": ("red", "blue")})
    manifest = build_dataset(spec, 0, source, tmp_path / "out")
    assert manifest["classes"] == ["blue", "red"]
    assert {k: v["images"] for k, v in manifest["splits"].items()} == {"train": 18, "validation": 2, "test": 4}
    for split in ("train", "test"):
        assert len(set(np.bincount(open_image_set(tmp_path / "out" / split).labels))) == 1
    with pytest.raises(UserError, match=r"no class 'rde'.*did you mean"):
        build_dataset(FOLDER.model_copy(update={"classes": ("rde", "blue")}), 0, source, tmp_path / "x")
    with pytest.raises(UserError, match=r"no training images are left for .*raise limit_train"):
        build_dataset(FOLDER.model_copy(update={"limit_train": 2}), 0, source, tmp_path / "x")


def test_given_splits_are_kept(source, tmp_path):
    for split, part in (("train", range(12)), ("val", range(12, 16)), ("test", range(16, 20))):
        for name in COLOURS:
            (tmp_path / "given" / split / name).mkdir(parents=True)
            for n in part:
                shutil.copy(source / name / f"{n:02d}.png", tmp_path / "given" / split / name)
    manifest = build_dataset(FOLDER, 0, tmp_path / "given", tmp_path / "out")
    assert {k: v["images"] for k, v in manifest["splits"].items()} == {"train": 36, "validation": 12, "test": 12}
    folders = {"train": "train/", "validation": "val/", "test": "test/"}
    assert all(row["file"].startswith(folders[row["split"]]) for row in rows(tmp_path / "out"))
    limited = FOLDER.model_copy(update={"limit_train": 16})
    manifest = build_dataset(limited, 0, tmp_path / "given", tmp_path / "less")
    assert {k: v["images"] for k, v in manifest["splits"].items()} == {"train": 12, "validation": 4, "test": 12}


def test_caltech256_and_native_sizes(source, tmp_path):
    for n, name in enumerate(COLOURS, start=1):
        (source / name).rename(source / f"{n:03d}.{name}")
    spec = Caltech256(kind="caltech256", size=8, resize=10)
    assert build_dataset(spec, 0, source, tmp_path / "out")["classes"] == list(COLOURS)
    root = tmp_path / "tiny"
    for wnid in ("n1", "n2"):
        (root / "train" / wnid / "images").mkdir(parents=True)
        for n in range(4):
            Image.new("RGB", (64, 64)).save(root / "train" / wnid / "images" / f"{n}.JPEG")
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("n1\nn2\n")
    Image.new("RGB", (64, 60)).save(root / "val" / "images" / "a.JPEG")
    (root / "val" / "val_annotations.txt").write_text("a.JPEG\tn1\nmissing.JPEG\tn2\n")
    with pytest.raises(UserError, match="64×60 pixels where the dataset has 64×64") as caught:
        build_dataset(TinyImageNet(kind="tinyimagenet"), 0, root, tmp_path / "out2")
    assert "missing.JPEG: [Errno 2]" in str(caught.value)


def test_cues_are_drawn(tmp_path):
    spec = Cues(kind="cues", size=16, classes=3, train=30, validation=9, test=12)
    manifest = build_dataset(spec, 4, None, tmp_path / "data")
    assert manifest["classes"] == ["disc", "ring", "triangle"]
    assert {k: v["images"] for k, v in manifest["splits"].items()} == {"train": 30, "validation": 9, "test": 12}
    expected = draw(spec, count=30, stream="train", mode="both", data_seed=4)
    np.testing.assert_array_equal(open_image_set(tmp_path / "data" / "train").images, expected.images)
    assert {row["file"] for row in rows(tmp_path / "data")} == {""}
    single = build_dataset(spec, 4, None, tmp_path / "single", ("train", "validation"), cue="shape-only")
    alone = draw(spec, count=30, stream="train", mode="shape-only", data_seed=4)
    np.testing.assert_array_equal(open_image_set(tmp_path / "single" / "train").images, alone.images)
    assert set(single["splits"]) == {"train", "validation"} and single["source"]["cue"] == "shape-only"


def test_channel_moments_are_those_of_numpy():
    images = np.random.default_rng(0).integers(0, 256, (300, 3, 5, 5), dtype=np.uint8)
    mean, std = channel_moments(images)
    np.testing.assert_allclose(mean, (images / 255).mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, (images / 255).std((0, 2, 3)), rtol=1e-12)


def test_wrong_uses_are_named(tmp_path):
    with pytest.raises(UserError, match=r"set dataset\.path"):
        build_dataset(FOLDER, 0, None, tmp_path / "out")
    with pytest.raises(UserError, match="no such folder or archive"):
        build_dataset(FOLDER, 0, tmp_path / "none", tmp_path / "out")
    with pytest.raises(UserError, match="unknown split 'dev'"):
        build_dataset(Cues(kind="cues"), 0, None, tmp_path / "out", ("train", "dev"))


def test_sides_and_numbers_of_classes_are_known_beforehand():
    cases = [
        (Cues(kind="cues", classes=5, size=40), 40, 40, 5),
        (Cifar10(kind="cifar10"), 32, 32, 10),
        (Cifar10(kind="cifar10", classes=("cat", "dog")), 32, 32, 2),
        (TinyImageNet(kind="tinyimagenet"), 64, 64, 200),
        (TinyImageNet(kind="tinyimagenet", path="x"), 64, 64, None),
        (TinyImageNet(kind="tinyimagenet", path="x", classes=20), 64, 64, 20),
        (Caltech256(kind="caltech256"), 224, 256, 257),
        (Caltech256(kind="caltech256", resize=None), 224, 224, 257),
        (FOLDER, 16, 20, None),
    ]
    for spec, test, train, classes in cases:
        assert (test_side(spec), train_side(spec), class_count(spec)) == (test, train, classes)
        assert TypeAdapter(Dataset).validate_json(spec.canonical()) == spec
    with pytest.raises(ValidationError, match="resize: 100 is below size: 224"):
        Caltech256(kind="caltech256", resize=100)
    assert hashlib.sha256(FOLDER.canonical().encode()).hexdigest() == FOLDER.digest()
