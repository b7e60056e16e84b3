"""Artefacts are written whole or not at all, and never pickled."""

import os

import numpy as np
import pytest
from PIL import Image

from shapelens.artefacts.contact_sheet import contact_sheet
from shapelens.artefacts.files import as_float, open_image_set, open_npy, save_npy, save_npz, sha256, write_json
from shapelens.artefacts.writing import atomic_path
from shapelens.errors import UserError
from shapelens.planning.source_digest import content_digest


def test_a_failed_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_a_written_file_has_the_usual_permissions(tmp_path):
    save_npy(tmp_path / "a.npy", np.zeros(3))
    plain = tmp_path / "plain"
    plain.write_text("")
    assert (tmp_path / "a.npy").stat().st_mode == plain.stat().st_mode


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "evil.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        open_npy(tmp_path / "evil.npy")


def test_equal_arrays_give_equal_bytes(tmp_path):
    arrays = {"maps": np.arange(6.0).reshape(2, 3), "names": np.array(["a", "b"])}
    for name in ("one.npz", "two.npz"):
        save_npz(tmp_path / name, arrays)
    assert sha256(tmp_path / "one.npz") == sha256(tmp_path / "two.npz")


def test_json_has_sorted_keys_and_refuses_nan(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    assert (tmp_path / "a.json").read_text() == '{\n "a": 2,\n "b": 1\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))


def test_images_without_their_labels_are_refused(tmp_path):
    save_npy(tmp_path / "images.npy", np.zeros((3, 3, 4, 4), np.uint8))
    save_npy(tmp_path / "labels.npy", np.zeros(2, np.int64))
    with pytest.raises(UserError, match="3 images but 2 labels"):
        open_image_set(tmp_path)
    save_npy(tmp_path / "labels.npy", np.zeros(3, np.int64))
    assert (open_image_set(tmp_path).textures == -1).all()


def test_uint8_becomes_the_unit_interval():
    assert as_float(np.array([0, 255], np.uint8)).tolist() == [0.0, 1.0]
    assert as_float(np.array([-0.5, 2.0])).tolist() == [-0.5, 2.0]


def test_a_source_is_known_by_content_not_by_clock(tmp_path):
    folder = tmp_path / "images"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1.png").write_bytes(b"one")
    cache = tmp_path / "cache.json"
    before = content_digest(folder, cache)
    os.utime(folder / "a" / "1.png", (1, 1))
    assert content_digest(folder, cache) == before
    (folder / "a" / "2.png").write_bytes(b"two")
    more = content_digest(folder, cache)
    assert more != before
    (folder / "a" / "2.png").write_bytes(b"owt")
    assert content_digest(folder, cache) not in (before, more)
    (folder / "a" / "2.png").rename(folder / "a" / "3.png")
    assert content_digest(folder, cache) != more
    (folder / "a" / "3.png").unlink()
    cache.write_text("broken")
    assert content_digest(folder, cache) == before


@pytest.mark.parametrize(("side", "columns"), [(32, 8), (224, 12), (16, 2)])
def test_a_contact_sheet_is_at_most_as_wide_as_asked(tmp_path, side, columns):
    rows = [[np.full((3, side, side), 0.5, np.float32)] * columns] * 2
    titles = ["a title that is far too long for its column"] * columns
    contact_sheet(rows, tmp_path / "sheet.png", column_titles=titles, row_titles=["one", "two"])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert 0 < sheet.width <= 1200


def test_a_contact_sheet_shows_every_pixel_of_a_small_image(tmp_path):
    image = np.zeros((3, 4, 4), np.uint8)
    image[0, 1, 2] = 255
    contact_sheet([[image]], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        red = (np.asarray(sheet) == (255, 0, 0)).all(axis=-1)
    rows, columns = np.nonzero(red)
    assert rows.max() - rows.min() == columns.max() - columns.min()
    assert red.sum() == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1) >= 16
