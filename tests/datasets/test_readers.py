"""Readers: small trees in the official layouts."""

import numpy as np
import pytest
from PIL import Image

from shapelens.datasets.images import load
from shapelens.datasets.readers import read_caltech256, read_cifar10, read_image_folder, read_tinyimagenet
from shapelens.errors import UserError


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never opened by a reader")


def tree(root, **classes):
    root.mkdir(parents=True, exist_ok=True)
    for name, count in classes.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        touch(*(root / name / f"{n}.jpg" for n in range(count)))
    return root


def names(listing, split):
    return [record.name for record in listing.records if record.split == split]


def cifar(root, batches=2, per_batch=20):
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    (root / "batches.meta.txt").write_text("plane\ncar\n\n")
    for name in [f"data_batch_{n + 1}.bin" for n in range(batches)] + ["test_batch.bin"]:
        labels = np.arange(per_batch, dtype=np.uint8)[:, None] % 2
        pixels = rng.integers(0, 256, (per_batch, 3072), dtype=np.uint8)
        (root / name).write_bytes(np.concatenate([labels, pixels], axis=1).tobytes())
    return root


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-bin", "a/b"])
def test_cifar10_binary(tmp_path, inside):
    root = cifar(tmp_path / inside)
    listing = read_cifar10(tmp_path)
    assert listing.classes == ("plane", "car")
    assert len(names(listing, "train")) == 40 and len(names(listing, "test")) == 20
    record = listing.records[21]
    assert (record.name, record.label) == ("data_batch_2.bin#1", 1)
    pixels = load(record, fit="native", resize=32, size=32)
    raw = np.frombuffer((root / "data_batch_2.bin").read_bytes(), dtype=np.uint8).reshape(20, 3073)
    # Channels first, then rows: red at (row 2, column 5) is byte 2·32 + 5.
    assert pixels[0, 2, 5] == raw[1, 1 + 2 * 32 + 5] and pixels[2, 0, 0] == raw[1, 1 + 2048]


def test_cifar10_faults(tmp_path):
    with pytest.raises(UserError, match=r"no batches\.meta\.txt"):
        read_cifar10(tree(tmp_path / "wrong", a=1, b=1))
    root = cifar(tmp_path / "cifar")
    (root / "test_batch.bin").write_bytes(b"\0" * 3072)
    with pytest.raises(UserError, match="3072 bytes are no whole number"):
        read_cifar10(root)
    (root / "test_batch.bin").write_bytes(b"\2" + b"\0" * 3072)
    with pytest.raises(UserError, match="label 2 has no name"):
        read_cifar10(root)
    (root / "test_batch.bin").unlink()
    with pytest.raises(UserError, match=r"no test_batch\.bin"):
        read_cifar10(root)


def tiny(root, extra=""):
    (root / "val").mkdir(parents=True)
    (root / "wnids.txt").write_text("n2\nn1\nn3\n")
    (root / "words.txt").write_text("n1\tgoldfish, Carassius auratus\nn2\tcrane\nn3\tcrane, machine\nn4\tcat\n")
    touch(*(root / f"train/n{c}/images/n{c}_{n}.JPEG" for c in (1, 2, 3) for n in range(3)))
    touch(*(root / f"val/images/val_{n}.JPEG" for n in range(2)))
    (root / "val/val_annotations.txt").write_text("val_0.JPEG\tn1\t0\t0\t9\t9\nval_1.JPEG\tn2\t0\t0\t9\t9\n" + extra)
    return root


def test_tinyimagenet(tmp_path):
    tiny(tmp_path / "tiny-imagenet-200")
    listing = read_tinyimagenet(tmp_path)
    assert listing.ids == ("n2", "n1", "n3")
    assert listing.classes == ("crane (n2)", "goldfish", "crane (n3)")
    test = [(r.name, r.label) for r in listing.records if r.split == "test"]
    assert test == [("val/images/val_0.JPEG", 1), ("val/images/val_1.JPEG", 0)]
    assert len(names(listing, "train")) == 9
    assert all(f"/{listing.ids[r.label]}/" in r.name for r in listing.records if r.split == "train")


def test_tinyimagenet_faults(tmp_path):
    root = tiny(tmp_path / "one", extra="val_2.JPEG\tn9\t0\t0\t9\t9\n")
    with pytest.raises(UserError, match=r"line 3: class 'n9' is not in wnids\.txt"):
        read_tinyimagenet(root)
    (root / "val/val_annotations.txt").unlink()
    with pytest.raises(UserError, match="val_annotations"):
        read_tinyimagenet(root)
    root = tiny(tmp_path / "two")
    (root / "wnids.txt").write_text("n1\nn2\nn3\nn7\n")
    with pytest.raises(UserError, match="no training images for n7"):
        read_tinyimagenet(root)


@pytest.mark.parametrize("inside", ["", "256_ObjectCategories", "caltech/256_ObjectCategories"])
def test_caltech256(tmp_path, inside):
    root = tree(tmp_path / inside, **{"001.ak47": 3, "056.dog": 2, "257.clutter": 1})
    touch(root / "056.dog/greg/vision309/extra.jpg", root / "056.dog/RENAME2", root / "056.dog/._0.jpg")
    listing = read_caltech256(tmp_path)
    assert listing.classes == ("ak47", "dog", "clutter") and listing.ids[0] == "001.ak47"
    assert [r.label for r in listing.records] == [0, 0, 0, 1, 1, 2]
    assert names(listing, "all")[0] == "001.ak47/0.jpg"


def test_caltech256_faults(tmp_path):
    with pytest.raises(UserError, match=r"no folders such as 001\.ak47"):
        read_caltech256(tree(tmp_path / "wrong", cat=1, dog=1))
    with pytest.raises(UserError, match=r"no training images for 002\.flag"):
        read_caltech256(tree(tmp_path / "empty", **{"001.ak47": 1, "002.flag": 0}))


def test_a_tree_of_classes(tmp_path):
    root = tree(tmp_path / "wrapped" / "again", dog=2, cat=3)
    touch(root / "cat/deeper/x.PNG", root / "cat/notes.txt", root / "cat/.hidden.jpg", root / ".git/a.jpg")
    listing = read_image_folder(tmp_path)
    assert listing.classes == ("cat", "dog")
    assert names(listing, "all") == [
        "cat/0.jpg",
        "cat/1.jpg",
        "cat/2.jpg",
        "cat/deeper/x.PNG",
        "dog/0.jpg",
        "dog/1.jpg",
    ]


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("train", "test"), {"train": 2, "test": 2}),
        (("Train", "Val"), {"train": 2, "test": 2}),
        (("train", "val", "test"), {"train": 2, "validation": 2, "test": 2}),
        (("training", "testing"), {"train": 2, "test": 2}),
    ],
)
def test_trees_of_splits(tmp_path, folders, expected):
    for folder in folders:
        tree(tmp_path / folder, cat=1, dog=1)
    listing = read_image_folder(tmp_path)
    found = {split: len(names(listing, split)) for split in ("train", "validation", "test", "all")}
    assert {split: n for split, n in found.items() if n} == expected


def test_a_class_may_be_called_train(tmp_path):
    listing = read_image_folder(tree(tmp_path, train=1, plane=2))
    assert listing.classes == ("plane", "train") and len(names(listing, "all")) == 3


def test_image_folder_faults(tmp_path):
    with pytest.raises(UserError, match="no images"):
        read_image_folder(tree(tmp_path / "flat"))
    with pytest.raises(UserError, match=r"dog: no images; allowed: \.apng"):
        read_image_folder(tree(tmp_path / "empty", cat=1, dog=0))
    with pytest.raises(UserError, match="one class, cat"):
        read_image_folder(tree(tmp_path / "one", cat=2))
    tree(tmp_path / "strange/train", cat=1, dog=1)
    tree(tmp_path / "strange/test", cat=1, cow=1)
    with pytest.raises(UserError, match=r"cow missing in .*train; every class needs training images"):
        read_image_folder(tmp_path / "strange")
    for name in ("train", "test", "labels"):
        tree(tmp_path / "mixed" / name, cat=1, dog=1)
    with pytest.raises(UserError, match="its folders are labels, test, train; allowed"):
        read_image_folder(tmp_path / "mixed")


def test_readers_open_no_image(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("opened")

    monkeypatch.setattr(Image, "open", refuse)
    read_image_folder(tree(tmp_path, cat=1, dog=1))
