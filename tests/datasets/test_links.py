"""Links among folders: a loop ends, and an image that is reached twice is one, of every source that a user can name."""

import pytest
from PIL import Image

from shapelens.datasets.class_folders import read_class_folders
from shapelens.datasets.own_listing import own_files
from shapelens.datasets.own_spec import OwnConflicts, OwnSet
from shapelens.datasets.readers import source_files
from shapelens.datasets.spec import ImageFolder
from shapelens.planning.source_digest import content_digest
from shapelens.stylisation.styles import style_images

OWN = OwnConflicts(path="p", pattern="{shape}{number}-{texture}{number}")
SOURCES = {
    "dataset": lambda path: source_files(ImageFolder(kind="image_folder", path=str(path)), path, trains=True),
    "own set": lambda path: own_files(OwnSet(path=str(path)), path, "testsets.own.a"),
    "own conflicts": lambda path: own_files(OWN, path, "testsets.own_conflicts.a"),
    "styles": lambda path: style_images(path)[0],
}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "images"
    for label in ("disc", "star"):
        (path / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8)).save(path / label / f"disc{number}-star{number}.png")
    return path


@pytest.mark.parametrize("source", SOURCES)
def test_a_loop_of_links_multiplies_no_image(folder, source, tmp_path):
    plain = list(SOURCES[source](folder))
    digest = content_digest(folder, tmp_path / "hashes.json", plain)
    (folder / "disc" / "again").symlink_to(folder)
    (folder / "star" / "up").symlink_to("..")
    (folder / "star" / "other").symlink_to(folder / "disc")
    found = list(SOURCES[source](folder))
    assert found == plain and len(plain) == 6
    assert content_digest(folder, tmp_path / "hashes.json", found) == digest


def test_the_classes_of_an_own_set_stay_two(folder):
    (folder / "disc" / "again").symlink_to(folder)
    assert {name: len(files) for name, files in read_class_folders(folder).images.items()} == {"disc": 3, "star": 3}
