"""Own test sets: every stored image has the labels of its file, and what is not measured is counted."""

import csv
import json
import shutil
import unicodedata
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from shapelens.datasets.build import build_dataset
from shapelens.datasets.own import own_classes, write_own_set
from shapelens.datasets.own_labels import labels_by_pattern, labels_by_table
from shapelens.datasets.own_spec import ClassesJob, OwnConflicts, OwnSet, OwnSetJob
from shapelens.datasets.own_words import said_of
from shapelens.datasets.same_images import learnt_images
from shapelens.datasets.spec import ImageFolder
from shapelens.errors import UserError

CLASSES = ("bear", "cat", "polar-bear", "truck")
PATTERN = "{shape}{number}-{texture}{number}"


def picture(path, shape, texture, number):
    """Write an image whose colour is its labels: red the shape's class, green the texture's, blue the number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 12), (20 * shape, 20 * texture, number)).save(path)


@pytest.fixture
def stimuli(tmp_path):
    """Two images of each pair of classes, agreeing pairs included, and a licence."""
    folder = tmp_path / "stimuli"
    for shape, name in enumerate(CLASSES):
        for texture, other in enumerate(CLASSES):
            for n in (1, 2):
                picture(folder / name / f"{name}{n}-{other}{n}.png", shape, texture, n)
    (folder / "LICENCE").write_text("free")
    return folder


def job(own, name="own-one"):
    return OwnSetJob(name=name, own=own, resize=8, size=8, data_seed=0)


def stored(folder):
    return {name: np.load(folder / f"{name}.npy") for name in ("images", "labels", "textures")}


def rows(folder):
    with open(folder / "index.csv", newline="") as file:
        return list(csv.DictReader(file))


# Labels


@pytest.mark.parametrize(
    ("name", "pattern", "shape", "texture"),
    [
        ("airplane1-bicycle2.png", PATTERN, "airplane", "bicycle"),
        ("airplane/airplane10-bear3.png", PATTERN, "airplane", "bear"),
        ("polar-bear1-cat2.png", PATTERN, "polar-bear", "cat"),
        ("polar-bear-cat.png", "{shape}-{texture}", "polar-bear", "cat"),
        ("cat-polar-bear.png", "{shape}-{texture}", "cat", "polar-bear"),
        ("bear/polar-bear_x.v2.JPG", "{shape}/{texture}_{any}", "bear", "polar-bear"),
        ("00017_s=cat_t=truck.png", "{number}_s={shape}_t={texture}.png", "cat", "truck"),
        ("cat1-unicorn2.png", PATTERN, "cat", "unicorn"),
        ("t2/cat1-truck2.png", "{any}/{shape}{number}-{texture}{number}", "cat", "truck"),
    ],
)
def test_a_name_is_read_by_its_pattern(name, pattern, shape, texture):
    assert labels_by_pattern([name], pattern, CLASSES, "here") == {name: (shape, texture)}


def test_a_name_with_two_readings_is_refused():
    with pytest.raises(UserError, match=r"two ways in 1 names: bear-bear-cat \(bear, bear-cat or bear-bear, cat\)"):
        labels_by_pattern(["bear-bear-cat"], "{shape}-{texture}", ["bear", "cat", "bear-bear", "bear-cat"], "here")


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"here\.pattern: 1 of 2 images do not fit .*: filler\.png"):
        labels_by_pattern(["cat1-bear1.png", "filler.png"], PATTERN, CLASSES, "here")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{shape}{number}", "must have {texture} once, and has it 0 times"),
        ("{shape}{shape}{texture}", "must have {shape} once, and has it 2 times"),
        ("{shape}-{textur}", "'{textur}' is unknown; allowed: {shape}, {texture}, {number}, {any}"),
        ("{shape}-{texture", "brace without its other"),
    ],
)
def test_a_pattern_is_checked_before_any_file_is_read(pattern, words):
    with pytest.raises(ValueError, match="pattern") as error:
        OwnConflicts(path="x", pattern=pattern)
    assert words in str(error.value)


def test_a_set_has_either_a_pattern_or_a_table():
    for keys in ({}, {"pattern": PATTERN, "labels": "labels.csv"}):
        with pytest.raises(ValueError, match="give either this key"):
            OwnConflicts(path="x", **keys)


def test_a_table_may_have_a_byte_order_mark_more_columns_and_bare_names(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("\ufefftexture, shape ,note,file\ncat,bear,,a/1.png\nbear, cat ,x,2.png\n", encoding="utf-8")
    found = labels_by_table(["a/1.png", "b/2.png", "b/3.png"], table, "here")
    assert found == {"a/1.png": ("bear", "cat"), "b/2.png": ("cat", "bear")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,shape\na,b\n", "no column texture; it needs file, shape, texture"),
        ("file;shape;texture\na;b;c\n", "no column file and no column shape and no column texture"),
        ("file,shape,texture\n1.png,cat,bear\n9.png,cat,bear\n", "names 1 images that are not in the source: 9.png"),
        ("file,shape,texture\n1.png,cat,bear\na/1.png,cat,bear\n", "names an image more than once: a/1.png"),
        ("file,shape,texture\n2.png,cat,bear\n", "2.png \\(2 files of this name\\)"),
        ("file,shape,texture\n1.png,cat,\n", "lacks a file, shape or texture in line 2"),
    ],
)
def test_a_table_that_does_not_say_is_refused(tmp_path, text, words):
    table = tmp_path / "labels.csv"
    table.write_text(text)
    with pytest.raises(UserError, match=words):
        labels_by_table(["a/1.png", "a/2.png", "b/2.png"], table, "here")


# Cue conflicts


def test_every_stimulus_keeps_its_two_labels_and_agreeing_ones_are_left_out(stimuli, tmp_path):
    found = write_own_set(job(OwnConflicts(path=str(stimuli), pattern=PATTERN)), CLASSES, tmp_path / "out")
    arrays = stored(tmp_path / "out")
    # 16 pairs of two images each, of which four pairs agree.
    assert found["images"] == len(arrays["images"]) == 24
    assert found["left_out"]["labels_agree"] == 8
    assert found["left_out"]["passed_over"]["no suffix, and no image by its content"]["files"] == 1
    assert np.array_equal(arrays["images"][:, 0, 4, 4] // 20, arrays["labels"])
    assert np.array_equal(arrays["images"][:, 1, 4, 4] // 20, arrays["textures"])
    assert not (arrays["labels"] == arrays["textures"]).any()
    # Classes alternate, so that the first images of a set are nearly stratified.
    assert set(Counter(arrays["labels"][:12].tolist()).values()) == {3}
    assert Counter(zip(arrays["labels"].tolist(), arrays["textures"].tolist(), strict=True)) == {
        (a, b): 2 for a in range(4) for b in range(4) if a != b
    }
    for image, row in zip(arrays["images"], rows(tmp_path / "out"), strict=True):
        assert row["file"] == f"{row['class']}/{row['class']}{image[2, 4, 4]}-{row['texture']}{image[2, 4, 4]}.png"
        assert int(row["label"]) == image[0, 4, 4] // 20


def test_a_table_gives_what_the_pattern_gives(stimuli, tmp_path):
    table = tmp_path / "labels.csv"
    lines = ["file,shape,texture"]
    for path in stimuli.rglob("*.png"):
        shape, texture = (part.rstrip("12") for part in path.stem.replace("polar-", "polar_").split("-"))
        lines.append(f"{path.relative_to(stimuli)},{shape},{texture}".replace("polar_", "polar-"))
    table.write_text("\n".join(lines))
    for name, own in (
        ("a", OwnConflicts(path=str(stimuli), pattern=PATTERN)),
        ("b", OwnConflicts(path=str(stimuli), labels=str(table))),
    ):
        write_own_set(job(own), CLASSES, tmp_path / name)
    for array in ("images", "labels", "textures"):
        assert (tmp_path / "a" / f"{array}.npy").read_bytes() == (tmp_path / "b" / f"{array}.npy").read_bytes()


def test_images_that_a_table_does_not_name_are_counted(stimuli, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,shape,texture\ncat/cat1-bear1.png,cat,bear\ncat/cat1-truck1.png,cat,truck\n")
    found = write_own_set(job(OwnConflicts(path=str(stimuli), labels=str(table))), CLASSES, tmp_path / "out")
    assert found["images"] == 2
    assert found["left_out"]["passed_over"]["not in the table of labels"]["files"] == 30


def test_classes_that_the_study_lacks_are_named_and_counted(stimuli, tmp_path):
    own = OwnConflicts(path=str(stimuli), pattern=PATTERN)
    found = write_own_set(job(own), ("bear", "cat", "zebra"), tmp_path / "out")
    # Two images of each of two pairs are left; an image of two classes that the study lacks is counted by its shape's.
    assert found["images"] == 4
    assert found["left_out"]["classes_not_in_the_study"] == {"polar-bear": 12, "truck": 12}
    assert found["left_out"]["labels_agree"] == 4
    assert found["classes_without_images"] == ["zebra"]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == found


def test_stimuli_whose_labels_all_agree_are_no_conflict(tmp_path):
    picture(tmp_path / "in" / "cat1-cat2.png", 1, 1, 1)
    with pytest.raises(UserError, match="shape and texture agree in all of its 1 images"):
        write_own_set(job(OwnConflicts(path=str(tmp_path / "in"), pattern=PATTERN)), CLASSES, tmp_path / "out")


# Other images of the same classes


@pytest.fixture
def photographs(tmp_path):
    """Three images of each of three classes, one of which the study lacks."""
    folder = tmp_path / "photographs"
    for name in ("cat", "unicorn", "truck"):
        for n in range(3):
            picture(folder / name / f"{n}.png", 20 if name == "unicorn" else CLASSES.index(name), 0, n)
    return folder


def test_all_images_of_the_studys_classes_are_used_and_the_rest_is_named(photographs, tmp_path):
    (photographs / "notes.txt").write_text("x")
    found = write_own_set(job(OwnSet(path=str(photographs))), CLASSES, tmp_path / "out")
    arrays = stored(tmp_path / "out")
    assert Counter(arrays["labels"].tolist()) == {1: 3, 3: 3}
    assert np.array_equal(arrays["images"][:, 0, 4, 4] // 20, arrays["labels"])
    assert (arrays["textures"] == -1).all()
    assert found["left_out"]["classes_not_in_the_study"] == {"unicorn": 3}
    assert found["left_out"]["passed_over"] == {
        "no image by its suffix (.txt)": {"files": 1, "examples": ["notes.txt"]}
    }
    assert found["classes_without_images"] == ["bear", "polar-bear"]


def test_one_class_is_enough(photographs, tmp_path):
    for name in ("unicorn", "truck"):
        shutil.rmtree(photographs / name)
    assert write_own_set(job(OwnSet(path=str(photographs))), CLASSES, tmp_path / "out")["images"] == 3


def test_classes_may_be_called_otherwise(photographs, tmp_path):
    own = OwnSet(path=str(photographs), classes={"unicorn": "truck"})
    write_own_set(job(own), CLASSES, tmp_path / "out")
    assert Counter(stored(tmp_path / "out")["labels"].tolist()) == {1: 3, 3: 6}


def test_a_class_that_the_source_does_not_have_cannot_be_renamed(photographs, tmp_path):
    own = OwnSet(path=str(photographs), classes={"n0212": "truck"})
    with pytest.raises(UserError, match=r"testsets\.own\.own-one\.classes: the source has no class n0212"):
        write_own_set(job(own), CLASSES, tmp_path / "out")


def test_a_class_spelt_nearly_like_a_missing_one_is_refused_and_may_be_mapped(photographs, tmp_path):
    (photographs / "cat").rename(photographs / "Cat")
    with pytest.raises(UserError, match=r"spelt nearly like .*'Cat' \(the study's 'cat'\?\).*classes: \{Cat: cat\}"):
        write_own_set(job(OwnSet(path=str(photographs))), CLASSES, tmp_path / "out")
    same = write_own_set(job(OwnSet(path=str(photographs), classes={"Cat": "cat"})), CLASSES, tmp_path / "out")
    assert same["images"] == 6
    other = write_own_set(job(OwnSet(path=str(photographs), classes={"Cat": "Cat"})), CLASSES, tmp_path / "out")
    assert other["images"] == 3
    assert other["left_out"]["classes_not_in_the_study"] == {"Cat": 3, "unicorn": 3}


def test_a_set_of_other_classes_alone_is_refused(photographs, tmp_path):
    with pytest.raises(UserError, match=r"none of its images is of the study's classes. It has cat, truck, unicorn"):
        write_own_set(job(OwnSet(path=str(photographs))), ("apple", "pear"), tmp_path / "out")


def test_images_without_a_class_are_refused(photographs, tmp_path):
    picture(photographs / "loose.png", 0, 0, 0)
    with pytest.raises(UserError, match=r"1 images lie in no folder of a class: loose\.png"):
        write_own_set(job(OwnSet(path=str(photographs))), CLASSES, tmp_path / "out")


def test_folders_of_splits_are_not_classes(photographs, tmp_path):
    parts = tmp_path / "parts"
    for split, name in (("train", "cat"), ("val", "truck")):
        shutil.copytree(photographs / name, parts / split / name)
    with pytest.raises(UserError, match=r"own-one\.path: .*train, val are splits, not classes; give the path of one"):
        write_own_set(job(OwnSet(path=str(parts))), CLASSES, tmp_path / "out")
    shutil.rmtree(parts / "train")
    assert write_own_set(job(OwnSet(path=str(parts))), CLASSES, tmp_path / "out")["images"] == 3


def test_a_loop_of_links_multiplies_no_image(photographs, tmp_path):
    (photographs / "cat" / "again").symlink_to(photographs, target_is_directory=True)
    found = write_own_set(job(OwnSet(path=str(photographs))), CLASSES, tmp_path / "out")
    assert found["images"] == 6
    assert found["left_out"]["passed_over"]["a link to a folder that is read already"]["files"] == 1


def test_an_archive_gives_what_its_folder_gives(photographs, tmp_path):
    archive = tmp_path / "photographs.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(photographs.rglob("*.png")):
            packed.write(path, path.relative_to(tmp_path))
    for name, source in (("a", photographs), ("b", archive)):
        write_own_set(job(OwnSet(path=str(source))), CLASSES, tmp_path / name)
    for file in ("images.npy", "labels.npy", "index.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_damaged_images_stop_the_job_or_are_skipped_and_recorded(photographs, tmp_path):
    (photographs / "cat" / "1.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"(?s)1 image\(s\) of .*cat/1\.png.*own\.own-one\.on_bad_image: skip"):
        write_own_set(job(OwnSet(path=str(photographs))), CLASSES, tmp_path / "out")
    own = OwnSet(path=str(photographs), on_bad_image="skip")
    found = write_own_set(job(own), CLASSES, tmp_path / "out")
    arrays = stored(tmp_path / "out")
    assert found["images"] == len(arrays["images"]) == len(arrays["labels"]) == 5
    assert np.array_equal(arrays["images"][:, 0, 4, 4] // 20, arrays["labels"])
    assert [entry["file"] for entry in found["left_out"]["unreadable"]] == ["cat/1.png"]


# A study without training images


def test_the_classes_are_stated_or_those_of_the_sets(stimuli, photographs, tmp_path):
    sets = {
        "a": OwnConflicts(path=str(stimuli), pattern=PATTERN, classes={"cat": "dog"}),
        "b": OwnSet(path=str(photographs)),
    }
    assert own_classes(ClassesJob(classes=None, sets=sets), tmp_path) == [
        *("bear", "cat", "dog"),
        *("polar-bear", "truck", "unicorn"),
    ]
    assert own_classes(ClassesJob(classes=("z", "a"), sets={}), tmp_path) == ["z", "a"]


def test_images_that_models_learnt_from_are_counted(tmp_path):
    for n in range(12):
        for label, name in enumerate(("cat", "truck")):
            picture(tmp_path / "mine" / name / f"{n}.png", label, 0, 20 * n)
    spec = ImageFolder(kind="image_folder", path="mine", size=8, test_share=0.25)
    build_dataset(spec, 0, tmp_path / "mine", tmp_path / "data")
    learnt = learnt_images(tmp_path / "data/index.csv")
    assert len(learnt) == 18
    # The whole folder again, in another format: all but its test images were learnt from.
    for file in sorted((tmp_path / "mine").rglob("*.png")):
        (tmp_path / "own" / file.parent.name).mkdir(parents=True, exist_ok=True)
        Image.open(file).save(tmp_path / "own" / file.parent.name / f"{file.stem}.bmp")
    own = job(OwnSet(path=str(tmp_path / "own")))
    manifest = write_own_set(own, ["cat", "truck"], tmp_path / "set", learnt)
    assert manifest["same_images"]["learnt"] == 18
    assert any(line.startswith("18 images of the set are also training") for line in said_of(manifest))
    assert any("smaller than" in line for line in said_of(manifest)) == (own.resize > 12)
    assert write_own_set(own, ["cat", "truck"], tmp_path / "set")["same_images"]["learnt"] == 0


@pytest.mark.parametrize("written", ["bär\\é.png", "ba\N{COMBINING DIAERESIS}r/é.png"])
def test_a_table_of_another_system_names_the_same_files(tmp_path, written):
    name = "bär/é.png"
    table = tmp_path / "labels.csv"
    table.write_bytes(f"\ufefffile,shape,texture\r\n{written},bear,cat\r\n".encode())
    assert labels_by_table([name], table, "here") == {name: ("bear", "cat")}
    assert labels_by_table([unicodedata.normalize("NFD", name)], table, "here")


def test_capitals_beside_a_class_that_is_there_are_refused(stimuli, tmp_path):
    shutil.move(stimuli / "cat/cat1-truck1.png", stimuli / "cat/Cat1-truck1.png")
    with pytest.raises(UserError, match=r"'Cat' \(the study's 'cat'\?\).*classes: \{Cat: cat\}"):
        write_own_set(job(OwnConflicts(path=str(stimuli), pattern=PATTERN)), CLASSES, tmp_path / "out")
    own = OwnConflicts(path=str(stimuli), pattern=PATTERN, classes={"Cat": "cat"})
    assert write_own_set(job(own), CLASSES, tmp_path / "out")["images"] == 24
