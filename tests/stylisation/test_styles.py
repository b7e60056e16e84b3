"""Style images: drawn ones are varied and fine enough, a user's own are read as a dataset's images are."""

import csv
import tarfile
import time
import zipfile
from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from shapelens.artefacts.files import open_npy, read_json, sha256
from shapelens.datasets.images import open_rgb, square
from shapelens.errors import UserError
from shapelens.seeds import generator
from shapelens.stylisation import styles
from shapelens.stylisation.spec import DrawnStyles, StyleFolder, Styles
from shapelens.stylisation.styles import KINDS, draw_style, draw_styles, write_styles

DRAWN = DrawnStyles(kind="drawn", count=10)


@pytest.fixture(scope="module")
def drawn():
    return draw_styles(40, 32, 0)


def fine_deviation(images, longest=4):
    """Deviation of the part with periods of at most ``longest`` pixels, mean of the channels."""
    values = images / 255
    power = (np.abs(np.fft.fft2(values - values.mean((-2, -1), keepdims=True))) ** 2).mean(axis=1)
    cycles = np.fft.fftfreq(images.shape[-1])
    fine = np.hypot(cycles[:, None], cycles) >= 1 / longest
    return np.sqrt((power * fine).sum(axis=(-2, -1))) / images.shape[-1] ** 2


def looks(images):
    """Colour means and deviations, and how the power is spread over scales and directions: (N, 10)."""
    values = images / 255
    power = (np.abs(np.fft.fft2(values - values.mean((-2, -1), keepdims=True))) ** 2).mean(axis=1)
    cycles = np.fft.fftfreq(images.shape[-1])
    down, across = np.abs(cycles)[:, None], np.abs(cycles)[None]
    radius = np.hypot(down, across)
    parts = [radius < 0.12, (radius >= 0.12) & (radius < 0.25), down > 2 * across, across > 2 * down]
    shares = [(power * part).sum((-2, -1)) / power.sum((-2, -1)) for part in parts]
    return np.concatenate([values.mean((-2, -1)), values.std((-2, -1)), np.stack(shares, axis=1)], axis=1)


def test_a_style_depends_on_seed_and_index_alone(drawn):
    assert drawn.shape == (40, 3, 32, 32) and drawn.dtype == np.uint8
    np.testing.assert_array_equal(draw_styles(7, 32, 0), drawn[:7])
    np.testing.assert_array_equal(draw_style(23, 32, 0), drawn[23])
    assert not np.array_equal(draw_styles(5, 32, 1), drawn[:5])
    assert draw_styles(0, 16, 0).shape == (0, 3, 16, 16)


@pytest.mark.parametrize("side", [8, 17, 64, 112])
def test_any_side(side):
    images = draw_styles(len(KINDS), side, 3)
    assert images.shape == (len(KINDS), 3, side, side)
    assert (images.reshape(len(images), -1).std(axis=1) > 0.1 * 255).all()


def fine_enough(images):
    """Louder than the class textures of the embedded images, in their own band."""
    return bool((fine_deviation(images) > 0.045).all())


def test_every_style_has_fine_texture_at_every_side(drawn):
    assert fine_enough(drawn)
    assert fine_enough(draw_styles(10, 96, 0))
    # A planted fault: paintings that are drawn large and reduced to half lose what is fine, so do blurred ones.
    blurred = np.stack([np.roll(drawn, (a, b), axis=(-2, -1)) for a in (0, 1) for b in (0, 1)]).mean(axis=0)
    assert not fine_enough(blurred)


def test_every_style_has_texture_at_several_scales(drawn):
    coarse = fine_deviation(drawn, 64) ** 2 - fine_deviation(drawn, 8) ** 2
    middle = fine_deviation(drawn, 8) ** 2 - fine_deviation(drawn, 4) ** 2
    assert np.sqrt(coarse.min()) > 0.02 and np.sqrt(middle.min()) > 0.02


def colourful(images):
    chroma = (images.max(axis=1).astype(float) - images.min(axis=1)).mean(axis=(1, 2)) / 255
    return bool(chroma.min() > 0.1 and chroma.mean() > 0.2)


def test_colours_are_strong_and_values_use_the_range(drawn):
    assert colourful(drawn)
    assert np.ptp(drawn.reshape(40, -1), axis=1).min() > 0.6 * 255
    grey = 0.3 * drawn + 0.7 * drawn.mean(axis=1, keepdims=True)
    assert not colourful(grey)  # a planted fault


def varied(images):
    """No two styles look alike, and mean colours fill the cube."""
    found = looks(images)
    nearest = min(np.linalg.norm(a - b) for a, b in combinations(found, 2))
    return nearest > 0.05 and bool((found[:, :3].std(axis=0) > 0.08).all())


def test_styles_are_varied(drawn, monkeypatch):
    assert varied(drawn)
    # A planted fault: a generator that forgets the index repeats five styles.
    monkeypatch.setattr(styles, "generator", lambda seed, name, index: generator(seed, name))
    assert not varied(draw_styles(40, 32, 0))


def test_the_default_set_is_drawn_within_seconds():
    start = time.process_time()
    draw_styles(64, 32, 0)
    assert time.process_time() - start < 2


def test_written_drawn_styles(tmp_path):
    write_styles(DRAWN, 16, 5, None, tmp_path / "a")
    write_styles(DRAWN, 16, 5, None, tmp_path / "b")
    names = ["contact_sheet.png", "images.npy", "index.csv", "manifest.json"]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    np.testing.assert_array_equal(open_npy(tmp_path / "a" / "images.npy"), draw_styles(10, 16, 5))
    manifest = read_json(tmp_path / "a" / "manifest.json")
    assert manifest["spec"] == {"kind": "drawn", "count": 10} and manifest["data_seed"] == 5
    assert (manifest["images"], manifest["shape"], manifest["skipped"]) == (10, [3, 16, 16], [])
    assert manifest["sha256"] == {"images.npy": sha256(tmp_path / "a" / "images.npy")}


@pytest.fixture
def paintings(tmp_path):
    """Images of every mode, some nested, some that are none."""
    folder = tmp_path / "paintings"
    (folder / "old" / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    colour.save(folder / "colour.png")
    colour.convert("L").resize((33, 70)).save(folder / "old" / "grey.png")
    colour.convert("P").save(folder / "old" / "palette.gif")
    colour.convert("CMYK").save(folder / "old" / "deep" / "cmyk.JPG", format="JPEG")
    alpha = colour.convert("RGBA")
    alpha.putalpha(Image.fromarray(rng.integers(0, 256, (40, 60), dtype=np.uint8)))
    alpha.save(folder / "alpha.png")
    (folder / "notes.txt").write_text("no image")
    (folder / "._colour.png").write_bytes(b"left by a Mac")
    return folder


ORDER = ["alpha.png", "colour.png", "old/deep/cmyk.JPG", "old/grey.png", "old/palette.gif"]


def index(folder):
    with open(folder / "index.csv", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def folder_spec(path, **more):
    return StyleFolder(kind="folder", path=str(path), **more)


def test_a_nested_folder_with_every_mode(paintings, tmp_path):
    write_styles(folder_spec(paintings), 24, 0, paintings, tmp_path / "styles")
    assert index(tmp_path / "styles") == [["style", "file"], *([str(i), name] for i, name in enumerate(ORDER))]
    images = open_npy(tmp_path / "styles" / "images.npy")
    assert images.shape == (5, 3, 24, 24) and images.dtype == np.uint8
    for image, name in zip(images, ORDER, strict=True):
        np.testing.assert_array_equal(image, square(open_rgb(paintings / name), 24, 24))
    assert np.array_equal(images[3][0], images[3][1])
    assert not [p for p in (tmp_path / "styles").iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("kind", ["zip", "tar.xz"])
def test_an_archive_gives_what_its_folder_gives(paintings, tmp_path, kind):
    archive = tmp_path / f"paintings.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for path in sorted(paintings.rglob("*")):
                packed.write(path, path.relative_to(paintings))
    else:
        with tarfile.open(archive, "w:xz") as packed:
            packed.add(paintings, ".")
    write_styles(folder_spec(paintings), 24, 0, paintings, tmp_path / "from_folder")
    write_styles(folder_spec(archive), 24, 0, archive, tmp_path / "styles")
    for name in ("images.npy", "index.csv", "contact_sheet.png"):
        assert (tmp_path / "styles" / name).read_bytes() == (tmp_path / "from_folder" / name).read_bytes()
    origin = read_json(tmp_path / "styles" / "manifest.json")["source"]
    assert origin == {"kind": "archive", "name": archive.name, "sha256": sha256(archive)}


def test_an_unsafe_archive_is_refused(paintings, tmp_path):
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as packed:
        packed.add(paintings / "colour.png", "../colour.png")
    with pytest.raises(UserError, match="outside the folder"):
        write_styles(folder_spec(archive), 24, 0, archive, tmp_path / "styles")
    assert not (tmp_path / "styles" / "manifest.json").exists()


def test_all_unreadable_images_are_listed_or_skipped(paintings, tmp_path):
    (paintings / "cut.png").write_bytes((paintings / "colour.png").read_bytes()[:200])
    (paintings / "old" / "text.jpg").write_text("no image")
    with pytest.raises(UserError, match=r"(?s)2 style image.*cut\.png: .*old/text\.jpg: .*on_bad_image: skip"):
        write_styles(folder_spec(paintings), 24, 0, paintings, tmp_path / "styles")
    assert not list((tmp_path / "styles").iterdir())
    write_styles(folder_spec(paintings, on_bad_image="skip"), 24, 0, paintings, tmp_path / "styles")
    assert [row[1] for row in index(tmp_path / "styles")[1:]] == ORDER
    assert len(open_npy(tmp_path / "styles" / "images.npy")) == 5
    manifest = read_json(tmp_path / "styles" / "manifest.json")
    assert [entry["file"] for entry in manifest["skipped"]] == ["cut.png", "old/text.jpg"]
    for name in ORDER:
        (paintings / name).unlink()
    with pytest.raises(UserError, match="none of the style images"):
        write_styles(folder_spec(paintings, on_bad_image="skip"), 24, 0, paintings, tmp_path / "styles")


def test_empty_and_missing_sources(tmp_path):
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    with pytest.raises(UserError, match=r"no style images here or below; allowed: \.apng"):
        write_styles(folder_spec("empty"), 24, 0, tmp_path / "empty", tmp_path / "styles")
    with pytest.raises(UserError, match="no such folder or archive"):
        write_styles(folder_spec("gone"), 24, 0, tmp_path / "gone", tmp_path / "styles")
    with pytest.raises(UserError, match="no archive"):
        write_styles(folder_spec("x"), 24, 0, tmp_path / "empty" / "notes.txt", tmp_path / "styles")
    with pytest.raises(UserError, match="no source"):
        write_styles(folder_spec("gone"), 24, 0, None, tmp_path / "styles")


def test_specs():
    adapter = TypeAdapter(Styles)
    assert adapter.validate_python({"kind": "drawn"}) == DrawnStyles(kind="drawn", count=64)
    assert adapter.validate_python({"kind": "folder", "path": "p"}) == StyleFolder(kind="folder", path="p")
    for wrong in ({"kind": "drawn", "count": 0}, {"kind": "folder"}, {"kind": "drawn", "path": "p"}):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)
