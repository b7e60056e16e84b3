"""Images of any mode, size and state, and archives with any damage: right pixels, or a reason, and nothing else."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from shapelens.artefacts.files import open_image_set, open_npy, read_json
from shapelens.datasets.archives import unpack
from shapelens.datasets.build import build_dataset
from shapelens.datasets.images import BadImageError, native, open_rgb, square
from shapelens.datasets.readers import read_cifar10, read_image_folder, read_tinyimagenet
from shapelens.datasets.spec import ImageFolder
from shapelens.errors import UserError
from shapelens.stylisation.spec import StyleFolder
from shapelens.stylisation.styles import write_styles

FUZZ = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "120")),
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# Every mode of Pillow, with the formats that can hold it.
MODES = {
    "1": ("PNG", "TIFF", "BMP", "GIF"),
    "L": ("PNG", "JPEG", "TIFF", "WEBP", "PPM"),
    "LA": ("PNG", "TIFF"),
    "P": ("PNG", "GIF", "BMP", "TIFF"),
    "PA": ("TIFF",),
    "RGB": ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM"),
    "RGBA": ("PNG", "TIFF", "WEBP", "BMP"),
    "CMYK": ("JPEG", "TIFF"),
    "YCbCr": ("JPEG", "TIFF"),
    "LAB": ("TIFF",),
    "HSV": ("PNG", "TIFF"),
    "I": ("TIFF",),
    "I;16": ("PNG", "TIFF"),
    "F": ("TIFF",),
}
SIDES = st.one_of(st.integers(1, 40), st.sampled_from([1, 2, 8, 300]))


@st.composite
def files(draw):
    """Return an image, its mode, and the bytes of a file of it, perhaps turned by its EXIF orientation."""
    mode = draw(st.sampled_from(sorted(MODES)))
    size = draw(SIDES), draw(SIDES)
    if draw(st.booleans()):
        size = draw(st.sampled_from([(1, 2000), (2000, 1), (1, 1)]))
    seed = draw(st.integers(0, 99))
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    if mode == "I;16":
        image = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    elif mode == "PA":
        image = Image.fromarray(noise[..., :3]).convert("P").convert("PA")
    elif mode in {"HSV", "LAB", "CMYK", "YCbCr", "I", "F"}:
        plain = Image.fromarray(noise[..., :3])
        image = (plain.convert("L") if mode in {"I", "F"} else plain).convert(mode) if mode != "LAB" else plain
    else:
        image = Image.fromarray(noise).convert(mode)
    options = {}
    orientation = draw(st.integers(0, 9))
    kind = draw(st.sampled_from(MODES[mode]))
    if kind in {"PNG", "JPEG", "TIFF", "WEBP"}:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    stream = io.BytesIO()
    try:
        image.save(stream, kind, **options)
    except (OSError, ValueError, KeyError):  # this Pillow does not write the one as the other
        assume(False)
    return image, orientation if options else 1, kind, stream.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@FUZZ
@given(made=files())
def test_every_mode_and_size_gives_pixels_or_a_reason(folder, made):
    image, orientation, _, data = made
    path = folder / "image.png"  # whatever the name says
    path.write_bytes(data)
    if image.mode == "F":
        with pytest.raises(BadImageError, match="floating-point"):
            open_rgb(path)
        return
    opened = open_rgb(path)
    assert opened.mode == "RGB"
    assert opened.size == (image.size[::-1] if orientation in (5, 6, 7, 8) else image.size)
    for resize, size in ((16, 16), (20, 16)):
        pixels = square(opened, resize, size)
        assert pixels.shape == (3, size, size) and pixels.dtype == np.uint8 and pixels.flags["C_CONTIGUOUS"]
    if image.mode == "RGB" and orientation in (0, 1, 9) and data[:4] == b"\x89PNG":
        np.testing.assert_array_equal(np.asarray(opened), np.asarray(image))
    if opened.size != (16, 16):
        with pytest.raises(BadImageError, match="16×16"):
            native(opened, 16)


@FUZZ
@given(made=files(), cut=st.floats(0, 1), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), max_size=4))
def test_damaged_images_give_pixels_or_a_reason(folder, made, cut, flips):
    data = bytearray(made[3][: int(len(made[3]) * cut)] if not flips else made[3])
    for place, bit in flips:
        data[int(place * (len(data) - 1))] ^= 1 << bit
    path = folder / "damaged.jpg"
    path.write_bytes(data)
    try:
        assert open_rgb(path).mode == "RGB"
    except BadImageError as error:
        assert str(error)


def test_a_dataset_of_every_mode_is_built(tmp_path):
    """Through the reader and the build: every mode and odd sizes in one folder, all but the floats usable."""
    rng = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "source" / label).mkdir(parents=True)
        for n, mode in enumerate(sorted(set(MODES) - {"F", "PA", "LAB", "HSV", "I;16"})):
            image = Image.fromarray(rng.integers(0, 256, (9 + n, 30 - n, 3), dtype=np.uint8))
            image = image.convert("RGBA").convert(mode) if mode == "LA" else image.convert(mode)
            image.save(tmp_path / "source" / label / f"{n}.{'tif' if mode in {'CMYK', 'YCbCr', 'LA', 'I'} else 'png'}")
    Image.new("F", (9, 9)).save(tmp_path / "source" / "a" / "float.tif")
    spec = ImageFolder(kind="image_folder", path="source", size=16, validation=0.2, test_share=0.2, on_bad_image="skip")
    build_dataset(spec, 0, tmp_path / "source", tmp_path / "data")
    manifest = read_json(tmp_path / "data/manifest.json")
    assert [entry["file"] for entry in manifest["skipped"]] == ["a/float.tif"]
    assert sum(len(open_image_set(tmp_path / "data" / split)) for split in ("train", "validation", "test")) == 18


@pytest.mark.skipif(os.name != "posix", reason="names of other encodings exist on Unix alone")
def test_names_of_another_encoding_are_kept_apart_and_written(tmp_path):
    """Old archives hold Latin-1 names; Python reads their bytes as surrogates, which no text file can hold."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    for n, image in enumerate(noise):
        inside = os.fsencode(tmp_path / "source") + (b"/caf\xe9/" if n % 2 else b"/caf\xe8/") + b"\xfc%d.png" % n
        Path(os.fsdecode(os.path.dirname(inside))).mkdir(parents=True, exist_ok=True)  # noqa: PTH120
        Image.fromarray(image).save(os.fsdecode(inside), "PNG")
    spec = ImageFolder(kind="image_folder", path="source", size=8, validation=0.4, test_share=0.4)
    manifest = build_dataset(spec, 0, tmp_path / "source", tmp_path / "data")
    assert manifest["classes"] == [r"caf\xe8", r"caf\xe9"]
    assert r"caf\xe9/\xfc1.png" in (tmp_path / "data/index.csv").read_text(encoding="utf-8")
    styles = StyleFolder(kind="folder", path="source")
    write_styles(styles, 8, 0, tmp_path / "source", tmp_path / "styles")
    assert len(open_npy(tmp_path / "styles/images.npy")) == 12


TEXT_FILES = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"a b", b"n1\nn2\n", b"n1 \xff\n", b"../x\ny", b"\0\n/"])
)


@FUZZ
@given(meta=TEXT_FILES, annotations=TEXT_FILES, batch=st.binary(max_size=20))
@example(meta=b"\xff\xfe", annotations=b"", batch=b"")
@example(meta=b"n1\n..\n", annotations=b"a.png n1", batch=b"\x09" * 3073)
def test_readers_of_text_files_refuse_what_they_cannot_read(tmp_path_factory, meta, annotations, batch):
    root = tmp_path_factory.mktemp("layout")
    (root / "val/images").mkdir(parents=True)
    (root / "train/n1/images").mkdir(parents=True)
    (root / "train/n1/images/a.png").write_bytes(b"")
    for name, data in {
        "batches.meta.txt": meta,
        "wnids.txt": meta,
        "words.txt": annotations,
        "val/val_annotations.txt": annotations,
        "data_batch_1.bin": batch,
        "test_batch.bin": batch,
    }.items():
        (root / name).write_bytes(data)
    for read in (read_cifar10, read_tinyimagenet, read_image_folder):
        try:
            listing = read(root)
            assert all(text.encode() is not None for text in (*listing.classes, *listing.ids))
        except UserError as error:
            assert str(root) in str(error)


def packed(kind):
    """Return the bytes of a small archive."""
    stream, content = io.BytesIO(), {"a/one.png": b"one" * 300, "b/two.png": b"", "three": b"3" * 1000}
    if kind == "zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    else:
        options = {"format": tarfile.PAX_FORMAT, "pax_headers": {"comment": "é" * 50}}
        with tarfile.open(fileobj=stream, mode=f"w:{kind}", **options) as archive:
            for name, data in content.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return stream.getvalue(), content


PACKED = {kind: packed(kind) for kind in ("zip", "", "gz", "xz", "bz2")}
PLACES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=3)


@FUZZ
@given(kind=st.sampled_from(sorted(PACKED)), changes=PLACES, cut=st.one_of(st.just(1.0), st.floats(0, 1)))
def test_a_damaged_archive_is_whole_or_refused(tmp_path_factory, kind, changes, cut):
    data, content = PACKED[kind]
    damaged = bytearray(data)
    for place, value in changes:
        damaged[int(place * (len(damaged) - 1))] = value
    folder = tmp_path_factory.mktemp("archive")
    path = folder / "archive"
    path.write_bytes(damaged[: max(1, int(cut * len(damaged)))])
    try:
        out = unpack(path, folder / "out", max_bytes=10**6)
    except UserError as error:
        assert str(path) in str(error)
        assert [entry.name for entry in folder.iterdir()] == ["archive"]
        return
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    if kind in {"gz", "xz", "bz2"}:
        assert found == content  # their checksums cover all
    elif kind == "zip":
        assert set(found.values()) <= set(content.values())  # a name may differ: zip has no checksum of it
