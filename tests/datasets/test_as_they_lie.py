"""Sources as they lie on users' disks: read rightly, counted, or refused with a remedy; never another number."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shapelens.artefacts.files import open_image_set, read_json
from shapelens.datasets.build import build_dataset
from shapelens.datasets.class_folders import read_class_folders, role
from shapelens.datasets.readers import read_caltech256, read_image_folder, read_tinyimagenet, source_files
from shapelens.datasets.spec import ImageFolder
from shapelens.datasets.walk import HIDDEN, LINKED_AGAIN, NO_IMAGE, OUTSIDE, look
from shapelens.errors import UserError
from shapelens.models.normalisation import normalisation
from shapelens.planning.for_readers import source_notes
from shapelens.planning.source_digest import content_digest
from shapelens.stylisation.spec import StyleFolder
from shapelens.stylisation.styles import write_styles
from tests.datasets.test_readers import names, tiny, touch, tree


def link(path, target, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target, **options)


def splits(listing):
    found = {}
    for record in listing.records:
        found[record.split] = found.get(record.split, 0) + 1
    return found


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("training_set", "test_set"), {"train": 4, "test": 4}),
        (("seg_train/seg_train", "seg_test/seg_test"), {"train": 4, "test": 4}),
        (("train_images", "validation_images"), {"train": 4, "test": 4}),
        (("TrainSet", "ValSet", "TestSet"), {"train": 4, "validation": 4, "test": 4}),
        (("trainset", "testset"), {"train": 4, "test": 4}),
        (("train2017", "val2017"), {"train": 4, "test": 4}),
        (("Training Data", "Testing Data"), {"train": 4, "test": 4}),
        (("val",), {"test": 4}),
        (("wrapped/test",), {"test": 4}),
        (("test", "val"), {"validation": 4, "test": 4}),
        (("train",), {"all": 4}),
    ],
)
def test_splits_under_their_usual_names(tmp_path, folders, expected):
    for folder in folders:
        tree(tmp_path / "source" / folder, cats=2, dogs=2)
    listing = read_image_folder(tmp_path / "source")
    assert listing.classes == ("cats", "dogs")
    assert splits(listing) == expected
    assert listing.said


@pytest.mark.parametrize(
    "folders",
    [
        ("first/cats", "first/dogs", "second/cats", "second/dogs"),
        ("cats_train", "cats_test", "dogs_train", "dogs_test"),
        ("trainA", "trainB", "testA", "testB"),
        ("cats/train", "cats/test", "dogs/train", "dogs/test"),
        ("train", "test1"),
        ("train", "unlabelled"),
        ("cats", "dogs", "test"),
        ("train/cats", "train/dogs", "extra"),
        ("images", "masks"),
        ("JPEGImages", "SegmentationClass"),
        ("images/train", "images/val", "annotations/train", "annotations/val"),
        ("train/cats", "train/dogs", "test"),
        ("train/cats", "train/dogs", "training/cats", "training/dogs"),
        ("photo/cats", "sketch/cats"),
    ],
)
def test_what_is_no_tree_of_classes_is_refused_with_the_remedy(tmp_path, folders):
    tree(tmp_path, **dict.fromkeys(folders, 3))
    with pytest.raises(UserError, match=r"[Nn]ame|allowed|Allowed|Sort them") as refused:
        read_image_folder(tmp_path)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("train", "plane"), ["plane", "train"]),
        (("bullet train", "steam_train", "tram"), ["bullet train", "steam_train", "tram"]),
        (("cat/images", "dog/images"), ["cat", "dog"]),
        (("test_tube", "beaker"), ["beaker", "test_tube"]),
        (("0", "1", "10"), ["0", "1", "10"]),
        (("001.ak47", "002.american-flag"), ["001.ak47", "002.american-flag"]),
        (("face masks", "hats"), ["face masks", "hats"]),
    ],
)
def test_classes_that_only_sound_like_splits_are_classes(tmp_path, folders, expected):
    tree(tmp_path, **dict.fromkeys(folders, 2))
    listing = read_image_folder(tmp_path)
    assert list(listing.classes) == expected and splits(listing) == {"all": 2 * len(folders)}
    assert sorted(read_class_folders(tmp_path).images) == expected


def test_images_without_a_class_are_passed_over_beside_labelled_ones(tmp_path):
    for folder in ("seg_train/seg_train", "seg_test/seg_test"):
        tree(tmp_path / "intel" / folder, forest=2, sea=2)
    touch(*(tmp_path / f"intel/seg_pred/seg_pred/{n}.jpg" for n in range(3)))
    listing = read_image_folder(tmp_path / "intel")
    assert splits(listing) == {"train": 4, "test": 4}
    assert [len(found) for reason, found in listing.passed_over.by_reason().items() if "without a class" in reason] == [
        3
    ]
    for folder in ("train", "val"):
        tree(tmp_path / "tiny" / folder, n1=2, n2=2)
    touch(tmp_path / "tiny/test/images/0.jpg")
    assert splits(read_image_folder(tmp_path / "tiny")) == {"train": 4, "test": 4}


JPEG = b"\xff\xd8\xff\xe0 and so on"


def test_every_usual_suffix_is_read_and_the_others_are_counted(tmp_path):
    usual = ".jpg .jpeg .jpe .jfif .mpo .png .apng .bmp .gif .tif .tiff .webp .avif .ppm .pgm .pbm .pnm .PNG .Jfif"
    usual = usual.split(" ")
    for label in ("cat", "dog"):
        touch(*(tmp_path / label / f"{n}{suffix}" for n, suffix in enumerate(usual)))
        (tmp_path / label / "without").write_bytes(JPEG)
        (tmp_path / label / "img_1.25").write_bytes(JPEG)
        touch(tmp_path / label / "README", tmp_path / label / "notes.txt", tmp_path / label / "a.heic")
        touch(tmp_path / label / "b.HEIC", tmp_path / label / ".hidden.jpg", tmp_path / label / "Thumbs.db")
    touch(tmp_path / "stray.jpg")
    listing = read_image_folder(tmp_path)
    assert len(listing.records) == 2 * (len(usual) + 2)
    assert {reason: len(found) for reason, found in listing.passed_over.by_reason().items()} == {
        HIDDEN: 4,
        NO_IMAGE: 2,
        OUTSIDE: 1,
        "an image of a format that is not read (.heic)": 4,
        "no image by its suffix (.txt)": 2,
    }


def test_links_that_lead_nowhere_are_bad_images_and_no_class_is_lost(tmp_path):
    root = tree(tmp_path / "source", cat=2, dog=2)
    link(root / "cat/gone.jpg", tmp_path / "nowhere.jpg")
    link(root / "cat/gone", tmp_path / "nowhere")
    listing = read_image_folder(root)
    assert [record.name for record in listing.records if record.label == 0] == [
        "cat/0.jpg",
        "cat/1.jpg",
        "cat/gone",
        "cat/gone.jpg",
    ]
    link(root / "cow", tmp_path / "cows")
    with pytest.raises(UserError, match=r"links that lead nowhere: cow \(to .*cows\); mend or delete"):
        read_image_folder(root)


def test_loops_of_links_end_and_multiply_nothing(tmp_path):
    pool = tree(tmp_path / "pool", dog=3)
    root = tree(tmp_path / "source", cat=2)
    link(root / "dog", pool / "dog")
    link(root / "cat/again", root / "cat")
    link(root / "cat/up", root)
    link(root / "self", root)
    link(root / "kitten", root / "cat")
    link(pool / "dog/back", root)
    link(pool / "dog/own", pool)
    listing = read_image_folder(root)
    assert names(listing, "all") == ["cat/0.jpg", "cat/1.jpg", "dog/0.jpg", "dog/1.jpg", "dog/2.jpg"]
    passed = listing.passed_over.by_reason()[LINKED_AGAIN]
    assert passed == ["cat/again", "cat/up", "dog/back", "dog/own/dog", "kitten", "self"]


def test_the_reader_and_the_class_folders_agree_with_what_lies_there(tmp_path):
    root = tree(tmp_path / "wrapped/photos", cat=2, dog=1)
    found = read_class_folders(tmp_path)
    assert found.root == root
    assert {name: [file.name for file in files] for name, files in found.images.items()} == {
        "cat": ["0.jpg", "1.jpg"],
        "dog": ["0.jpg"],
    }
    tree(tmp_path / "split/test", cat=1, dog=1)
    assert read_class_folders(tmp_path / "split").root == tmp_path / "split/test"
    tree(tmp_path / "split/train", cat=1, dog=1)
    with pytest.raises(UserError, match="test, train are splits, not classes; give the path of one"):
        read_class_folders(tmp_path / "split")
    (tmp_path / "flat").mkdir()
    touch(tmp_path / "flat/a.jpg")
    with pytest.raises(UserError, match="no class folders"):
        read_class_folders(tmp_path / "flat")


@settings(max_examples=60, deadline=None)
@given(
    files=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "a/deep", "b/deep/deeper", ".git", "c.d"]),
            st.sampled_from(["1.jpg", "2.PNG", "x.txt", ".DS_Store", "noname", "y.heic", "z.1"]),
        ),
        unique=True,
    )
)
def test_every_file_is_read_or_counted_once(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("any")
    touch(root / "a/first.jpg", root / "b/first.jpg", *(root / folder / name for folder, name in files))
    if any(folder == "c.d" for folder, _ in files):
        touch(root / "c.d/first.jpg")
    listing = read_image_folder(root)
    counted = [name for found in listing.passed_over.by_reason().values() for name in found]
    read = [record.name for record in listing.records]
    hidden = {name for name in counted if (root / name).is_dir()}
    there = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not any(path.is_relative_to(root / folder) for folder in hidden)
    ]
    assert sorted([*read, *(set(counted) - hidden)]) == sorted(there)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    root = tree(tmp_path, cat=1, dog=1)
    (root / "dog").chmod(0)
    with pytest.raises(UserError, match="dog: cannot be listed"):
        look(root)
    (root / "dog").chmod(0o755)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train", "train"),
        ("Training_Set", "train"),
        ("seg_pred", "unlabelled"),
        ("test1", "test"),
        ("valid", "validation"),
        ("steam_train", None),
        ("contest", None),
        ("value", None),
        ("images", None),
        ("train_test", None),
        ("données_train", None),
    ],
)
def test_which_split_a_name_stands_for(name, expected):
    assert role(name) == expected
    assert Path(name).name == name


def test_tiny_imagenet_with_its_validation_images_sorted(tmp_path):
    root = tiny(tmp_path / "annotated")
    sorted_one = tiny(tmp_path / "sorted")
    for n, wnid in ((0, "n1"), (1, "n2")):
        place = sorted_one / "val" / wnid / ("images" if n else "") / f"val_{n}.JPEG"
        place.parent.mkdir(parents=True)
        (sorted_one / f"val/images/val_{n}.JPEG").rename(place)
    touch(sorted_one / "test/images/test_0.JPEG")
    expected = sorted((record.path.name, record.label) for record in read_tinyimagenet(root).records)
    for complete in (True, False):
        if not complete:  # as some scripts leave it
            (sorted_one / "val/val_annotations.txt").unlink()
            (sorted_one / "val/images").rmdir()
        listing = read_tinyimagenet(sorted_one)
        assert sorted((record.path.name, record.label) for record in listing.records) == expected
        assert [len(found) for found in listing.passed_over.by_reason().values()] == [1]
    assert splits(read_image_folder(sorted_one)) == {"train": 9, "test": 2}


def test_tiny_imagenet_half_sorted_loses_nothing(tmp_path):
    root = tiny(tmp_path)
    (root / "val/n1").mkdir()
    (root / "val/images/val_0.JPEG").rename(root / "val/n1/val_0.JPEG")
    listing = read_tinyimagenet(root)
    assert names(listing, "test") == ["val/n1/val_0.JPEG", "val/images/val_1.JPEG"]


def test_tiny_imagenet_without_its_list_of_classes(tmp_path):
    for split in ("train", "val"):
        tree(tmp_path / "tiny" / split, n01443537=2, n01629819=2)
    listing = read_tinyimagenet(tmp_path)
    assert listing.ids == ("n01443537", "n01629819") and splits(listing) == {"train": 4, "test": 4}


def test_caltech256_with_own_splits(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        tree(tmp_path / "256" / split, **{"001.ak47": count, "002.flag": count})
    listing = read_caltech256(tmp_path)
    assert splits(listing) == {"train": 6, "test": 4} and listing.classes == ("ak47", "flag")
    assert names(listing, "test")[0].endswith("test/001.ak47/0.jpg")
    shutil.rmtree(tmp_path / "256/test/002.flag")
    assert splits(read_caltech256(tmp_path)) == {"train": 6, "test": 2}
    tree(tmp_path / "other/copy", **{"001.ak47": 1, "002.flag": 1})
    tree(tmp_path / "other/again", **{"001.ak47": 1, "002.flag": 1})
    with pytest.raises(UserError, match=r"2 folders fit folders such as .*again, copy; set dataset.path"):
        read_caltech256(tmp_path / "other")


SPEC = ImageFolder(kind="image_folder", path="mine", size=8, resize=10, validation=0.25, test_share=0.25)


def paint(path, seed, kind=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, kind)


@pytest.fixture
def photographs(tmp_path):
    for split, start in (("train", 0), ("test", 100)):
        for n in range(8):
            paint(tmp_path / "mine" / split / ("cat", "dog")[n % 2] / f"{n}.png", start + n)
    return tmp_path / "mine"


def test_test_images_that_are_training_images_are_counted_by_content(photographs, tmp_path, caplog):
    manifest = build_dataset(SPEC, 0, photographs, tmp_path / "before")
    none = {"test": 0, "validation": 0, "other_class": 0, "two_classes": 0, "examples": []}
    assert manifest["same_images"] == none
    shutil.copy(photographs / "train/cat/0.png", photographs / "test/cat/copy.png")
    with Image.open(photographs / "train/dog/1.png") as image:
        image.save(photographs / "test/dog/copy.bmp")  # other bytes, the same pixels
    shutil.copy(photographs / "train/dog/3.png", photographs / "test/cat/wrong.png")
    with caplog.at_level("WARNING", logger="shapelens"):
        found = build_dataset(SPEC, 0, photographs, tmp_path / "out")["same_images"]
    assert found["test"] == 3 and found["validation"] == 0 and found["other_class"] == 1
    assert sorted(found["examples"]) == [
        ["test", "test/cat/copy.png", "train/cat/0.png"],
        ["test", "test/cat/wrong.png", "train/dog/3.png"],
        ["test", "test/dog/copy.bmp", "train/dog/1.png"],
    ]
    assert "3 test images and 0 validation images are also in an earlier split" in caplog.text
    assert "Of the test images 3 are also training" in source_notes(read_json(tmp_path / "out/manifest.json"))


def test_what_was_passed_over_stands_in_log_manifest_and_report(photographs, tmp_path, caplog):
    touch(photographs / "train/cat/a.heic", photographs / "train/dog/b.heic", photographs / "notes.txt")
    with caplog.at_level("INFO", logger="shapelens"):
        manifest = build_dataset(SPEC, 0, photographs, tmp_path / "out")
    assert manifest["passed_over"] == {
        "an image of a format that is not read (.heic)": {
            "files": 2,
            "examples": ["train/cat/a.heic", "train/dog/b.heic"],
        },
        "no image by its suffix (.txt)": {"files": 1, "examples": ["notes.txt"]},
    }
    assert "passed over 2: an image of a format that is not read (.heic); such as train/cat/a.heic" in caplog.text
    assert "2 (an image of a format that is not read (.heic))" in source_notes(manifest)


def test_a_class_without_test_images_is_named(photographs, tmp_path, caplog):
    shutil.rmtree(photographs / "test/dog")
    manifest = build_dataset(SPEC, 0, photographs, tmp_path / "out")
    assert manifest["classes_without_images"] == {"train": [], "validation": [], "test": ["dog"]}
    assert "no test images of dog" in caplog.text and "No test images of dog." in source_notes(manifest)
    for n in range(6):
        paint(tmp_path / "single/many" / f"{n}.png", n)
    paint(tmp_path / "single/one/0.png", 9)
    manifest = build_dataset(SPEC, 0, tmp_path / "single", tmp_path / "again")
    assert manifest["classes_without_images"] == {"train": [], "validation": ["one"], "test": ["one"]}


def test_of_test_images_alone_all_are_measured_and_nothing_is_trained(photographs, tmp_path):
    shutil.rmtree(photographs / "train")
    with pytest.raises(UserError, match=r"no training images: nothing can be trained.*but the study trains models"):
        source_files(SPEC, photographs, trains=True)
    assert len(source_files(SPEC, photographs)) == 8
    manifest = build_dataset(SPEC, 0, photographs, tmp_path / "out")
    assert {name: split["images"] for name, split in manifest["splits"].items()} == {
        "train": 0,
        "validation": 0,
        "test": 8,
    }
    assert open_image_set(tmp_path / "out/test").labels.tolist().count(1) == 4
    assert "all images are measured" in source_notes(manifest)
    with pytest.raises(UserError, match="dataset needs training images"):
        normalisation("dataset", manifest["channel_mean"], manifest["channel_std"])


def test_a_link_that_leads_nowhere_is_listed_with_the_bad_images(photographs, tmp_path):
    link(photographs / "train/cat/gone.png", tmp_path / "nowhere.png")
    with pytest.raises(UserError, match=r"train/cat/gone.png: a link to .*nowhere.png, which does not exist"):
        build_dataset(SPEC, 0, photographs, tmp_path / "out")
    skipping = SPEC.model_copy(update={"on_bad_image": "skip"})
    manifest = build_dataset(skipping, 0, photographs, tmp_path / "out")
    assert [entry["file"] for entry in manifest["skipped"]] == ["train/cat/gone.png"]
    assert "left out: 1" in source_notes(manifest)


def test_the_digest_sees_what_the_reader_reads_and_nothing_else(photographs, tmp_path):
    def digest():
        return content_digest(photographs, tmp_path / "cache.json", source_files(SPEC, photographs))

    pool = tmp_path / "pool"
    shutil.move(photographs / "train/dog", pool)
    link(photographs / "train/dog", pool)
    before = digest()
    touch(photographs / ".DS_Store", photographs / "train/Thumbs.db", photographs / "train/cat/notes.txt")
    link(photographs / "train/loop", photographs)
    assert digest() == before
    paint(pool / "more.png", 50)
    after = digest()
    assert after != before
    link(photographs / "train/cat/gone.png", tmp_path / "nowhere.png")
    assert digest() not in {before, after}


def test_zip_archives_with_backslashes_are_read(photographs, tmp_path):
    with zipfile.ZipFile(tmp_path / "windows.zip", "w") as packed:
        packed.writestr("mine\\", b"")
        for file in sorted(photographs.rglob("*.png")):
            packed.write(file, "mine\\" + file.relative_to(photographs).as_posix().replace("/", "\\"))
    with zipfile.ZipFile(tmp_path / "windows.zip") as packed:
        assert "mine\\train\\cat\\0.png" in packed.namelist()
    manifest = build_dataset(SPEC, 0, tmp_path / "windows.zip", tmp_path / "out")
    direct = build_dataset(SPEC, 0, photographs, tmp_path / "direct")
    assert manifest["splits"] == direct["splits"] and manifest["classes"] == ["cat", "dog"]


def test_a_constant_channel_names_the_remedy(photographs, tmp_path):
    for file in photographs.rglob("*.png"):
        with Image.open(file) as image:
            pixels = np.array(image)
        pixels[..., 2] = 7
        Image.fromarray(pixels).save(file)
    manifest = build_dataset(SPEC, 0, photographs, tmp_path / "out")
    with pytest.raises(UserError, match=r"blue is the same in every pixel. Set network.normalisation to none"):
        normalisation("dataset", manifest["channel_mean"], manifest["channel_std"])


def test_style_images_are_found_like_a_datasets(tmp_path):
    for name, kind in (("a.jfif", "JPEG"), ("b.avif", "AVIF"), ("without", "PNG"), ("deep/c.jpe", "JPEG")):
        paint(tmp_path / "styles" / name, 1, kind)
    touch(tmp_path / "styles/d.heic", tmp_path / "styles/.hidden.png")
    link(tmp_path / "styles/loop", tmp_path / "styles")
    write_styles(StyleFolder(kind="folder", path="styles"), 8, 0, tmp_path / "styles", tmp_path / "out")
    manifest = read_json(tmp_path / "out/manifest.json")
    assert manifest["images"] == 4
    assert {reason: about["files"] for reason, about in manifest["passed_over"].items()} == {
        LINKED_AGAIN: 1,
        "an image of a format that is not read (.heic)": 1,
        HIDDEN: 1,
    }


# Names and pixels that are nearly something else

CAFE = ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}")
"""One word, as Windows and as macOS write it."""


def test_an_accent_written_in_two_ways_is_one_class(tmp_path):
    for n, split in enumerate(("train", "test")):
        for name in (CAFE[n], "tea"):
            touch(tmp_path / split / name / f"{n}.png", tmp_path / split / name / f"{n + 2}.png")
    listing = read_image_folder(tmp_path)
    assert listing.classes == (CAFE[0], "tea")
    assert splits(listing) == {"train": 4, "test": 4}
    assert ImageFolder(kind="image_folder", path="mine", classes=[CAFE[1], "tea"]).classes == listing.classes


@pytest.mark.parametrize("twins", [CAFE, ("Cat", "cat"), ("cat", "cat ")])
def test_two_classes_of_one_name_are_refused(tmp_path, twins):
    touch(*(tmp_path / name / "1.png" for name in (*twins, "dog")))
    with pytest.raises(UserError, match="would be two classes of one name"):
        read_image_folder(tmp_path)


def test_letters_of_both_cases_are_classes(tmp_path):
    touch(*(tmp_path / name / "1.png" for name in "Aab"))
    assert read_image_folder(tmp_path).classes == ("A", "a", "b")


def test_a_class_in_capitals_in_one_split_is_named(tmp_path):
    touch(*(tmp_path / name / "1.png" for name in ("train/Cat", "train/dog", "test/cat", "test/dog")))
    with pytest.raises(UserError, match=r"cat missing in .*\(cat is Cat there: rename one of the two\)"):
        read_image_folder(tmp_path)


def folder_of(tmp_path, side, deep=None):
    """Write two classes of six images; ``deep``: the largest value of images of 16 bits."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for n in range(6):
            if deep is None:
                image = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
            else:
                values = rng.integers(0, deep, (side, side))
                values[0, 0] = deep
                image = Image.fromarray(values.astype(np.uint16))
            image.save(tmp_path / "mine" / name / f"{n}.png")
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("side", "deep", "said"),
    [
        (8, None, ["12 of 12 images are smaller than 16 pixels (the smallest 8) and were enlarged"]),
        (16, None, []),
        (16, 4095, ["no value above 4095 of 65535", "a camera's 12 bits, multiply them by 16"]),
        (16, 1023, ["a camera's 10 bits, multiply them by 64"]),
        (16, 65535, []),
    ],
)
def test_small_and_dark_images_are_said(tmp_path, side, deep, said):
    spec = ImageFolder(kind="image_folder", path="mine", size=16, test_share=0.4, validation=0.3)
    manifest = build_dataset(spec, 0, folder_of(tmp_path, side, deep), tmp_path / "out")
    assert bool(manifest["said"]) == bool(said)
    assert all(words in source_notes(manifest) for words in said)


def test_long_images_and_further_pictures_of_a_file_are_said(tmp_path):
    source = folder_of(tmp_path, 16)
    frames = [Image.new("RGB", (16, 16), shade) for shade in ("red", "green", "blue")]
    frames[0].save(source / "cat/moving.gif", save_all=True, append_images=frames[1:])
    Image.new("RGB", (48, 16), "red").save(source / "dog/long.png")
    Image.new("RGB", (47, 16), "blue").save(source / "dog/less.png")
    spec = ImageFolder(kind="image_folder", path="mine", size=16, test_share=0.4, validation=0.3)
    said = source_notes(build_dataset(spec, 0, source, tmp_path / "out"))
    assert "1 of 15 images are at least 3 times as long as wide" in said
    assert "1 files hold more than one picture (up to 3), and the first is read" in said


def test_an_image_under_two_classes_is_counted(tmp_path):
    for split in ("train", "test"):
        source = folder_of(tmp_path / split, 16)
        shutil.copytree(source, tmp_path / "mine" / split)
    shutil.copy(tmp_path / "mine/train/cat/1.png", tmp_path / "mine/train/dog/copy.png")
    spec = ImageFolder(kind="image_folder", path="mine", size=16, validation=0.01)
    manifest = build_dataset(spec, 0, tmp_path / "mine", tmp_path / "out")
    assert manifest["same_images"]["two_classes"] + manifest["same_images"]["validation"] == 1
    assert "under two classes of one split" in source_notes(manifest) or manifest["same_images"]["validation"]
