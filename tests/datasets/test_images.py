"""Opening images: every mode gives the right colours, every bad file a reason."""

import warnings

import numpy as np
import pytest
from PIL import Image

from shapelens.datasets.images import BadImageError, native, open_rgb, square


def save(path, array, mode=None, **options):
    image = Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)
    image.save(path, **options)
    return path


def colour(image, place=(0, 0)):
    return image.convert("RGB").getpixel(place)


RED = np.full((6, 8, 3), (200, 40, 20), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_colours_are_kept(tmp_path, mode):
    image = open_rgb(save(tmp_path / "a.png", RED, mode))
    assert image.mode == "RGB" and image.size == (8, 6)
    assert np.abs(np.subtract(colour(image), (200, 40, 20))).max() <= 26  # the web palette has steps of 51


def test_grey_is_repeated(tmp_path):
    image = open_rgb(save(tmp_path / "a.png", np.full((4, 4), 90, dtype=np.uint8)))
    assert colour(image) == (90, 90, 90)


def test_black_and_white_pixels(tmp_path):
    image = open_rgb(save(tmp_path / "a.png", np.array([[0, 255]], dtype=np.uint8), "1"))
    assert (colour(image), colour(image, (1, 0))) == ((0, 0, 0), (255, 255, 255))


def test_cmyk_jpeg_and_tiff(tmp_path):
    save(tmp_path / "a.jpg", RED, "CMYK", quality=95)
    save(tmp_path / "a.tif", RED, "CMYK")
    for name in ("a.jpg", "a.tif"):
        assert np.abs(np.subtract(colour(open_rgb(tmp_path / name)), (200, 40, 20))).max() <= 6, name


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(tmp_path, mode):
    image = Image.fromarray(np.zeros((2, 3, 4), dtype=np.uint8)).convert(mode)
    image.putalpha(Image.fromarray(np.array([[0, 51, 255]] * 2, dtype=np.uint8)))
    image.save(tmp_path / "a.png")
    found = np.asarray(open_rgb(tmp_path / "a.png"))[0, :, 0]
    np.testing.assert_allclose(found, [255, 204, 0], atol=1)


def test_a_transparent_palette_colour_becomes_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.save(tmp_path / "a.gif", transparency=0)
    opened = open_rgb(tmp_path / "a.gif")
    assert (colour(opened), colour(opened, (1, 0))) == ((255, 255, 255), (40, 50, 60))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_scaled_and_not_cut(tmp_path, suffix):
    save(tmp_path / f"a{suffix}", np.array([[0, 257 * 100, 65535]], dtype=np.uint16))
    found = np.asarray(open_rgb(tmp_path / f"a{suffix}"))[0, :, 1]
    np.testing.assert_array_equal(found, [0, 100, 255])
    cut = np.minimum(np.array([0, 257 * 100, 65535]), 255)  # what Pillow's own conversion long gave
    assert not np.array_equal(cut, found)


def test_exif_orientation_is_applied(tmp_path):
    array = np.zeros((4, 8, 3), dtype=np.uint8)
    array[:, :4] = 255  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise
    save(tmp_path / "a.png", array, exif=exif)
    image = open_rgb(tmp_path / "a.png")
    assert image.size == (4, 8)
    assert colour(image, (1, 0)) == (255, 255, 255) and colour(image, (1, 7)) == (0, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_turned_tiffs_keep_their_pixels(tmp_path, mode, orientation):
    array = np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / "a.tif", array, mode, exif=exif)
    turned = np.rot90(array, {3: 2, 4: 2, 6: -1, 7: -1, 8: 1, 5: 1}.get(orientation, 0))
    expected = {2: np.fliplr, 4: np.fliplr, 5: np.flipud, 7: np.flipud}.get(orientation, np.asarray)(turned)
    np.testing.assert_array_equal(np.asarray(open_rgb(tmp_path / "a.tif"))[..., 0], expected)


def test_the_first_frame_of_an_animation_is_used(tmp_path):
    frames = [Image.new("RGB", (3, 3), c) for c in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert colour(open_rgb(tmp_path / "a.gif")) == (255, 0, 0)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_damaged_files_are_named_and_not_half_read(tmp_path, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for suffix in (".jpg", ".png"):
        path = save(tmp_path / f"a{suffix}", noise)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(BadImageError):
            open_rgb(path)


def test_missing_files_float_pixels_and_text_are_refused(tmp_path):
    (tmp_path / "text.jpg").write_text("<html>")
    save(tmp_path / "float.tif", np.ones((2, 2), dtype=np.float32))
    for name, reason in (
        ("none.jpg", "No such file"),
        ("text.jpg", "cannot identify"),
        ("float.tif", "floating-point"),
    ):
        with pytest.raises(BadImageError, match=reason):
            open_rgb(tmp_path / name)


@pytest.mark.parametrize("limit", [90, 30])  # above half of the image Pillow itself only warns
def test_decompression_bombs_are_errors(tmp_path, monkeypatch, limit):
    path = save(tmp_path / "a.png", np.zeros((10, 10), dtype=np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings(), pytest.raises(BadImageError, match=r"limit"):
        warnings.simplefilter("ignore")
        open_rgb(path)


def ramp(width, height):
    x = np.linspace(0, 255, width)
    return Image.fromarray(np.repeat(np.rint(x)[None, :, None], height, 0).repeat(3, 2).astype(np.uint8))


def test_squares_show_the_centre():
    for size in ((400, 100), (100, 400), (100, 100), (101, 333)):
        found = square(ramp(*size), 50, 40)
        assert found.shape == (3, 40, 40) and found.dtype == np.uint8
        centre = found[0].mean()
        assert abs(centre - 127.5) < 1.5, size
    # Of a 400-wide ramp resized to 200×50, the centre 40 columns are a fifth of the range.
    wide = square(ramp(400, 100), 50, 40)[0, 0].astype(float)
    assert wide[-1] - wide[0] == pytest.approx(255 * 0.2 * 39 / 40, abs=2)


def test_reducing_is_antialiased():
    checks = np.indices((128, 128)).sum(0) % 2 * 255
    image = Image.fromarray(checks.astype(np.uint8)).convert("RGB")
    assert np.abs(square(image, 32, 32).astype(int)[:, 2:-2, 2:-2] - 127).max() <= 3
    nearest = np.asarray(image)[::4, ::4]  # the fault: every fourth pixel is of one colour
    assert nearest.max() == nearest.min()


def test_images_of_the_right_size_are_cut_and_not_resampled():
    array = np.random.default_rng(0).integers(0, 256, (40, 53, 3), dtype=np.uint8)
    found = square(Image.fromarray(array), 40, 40)
    np.testing.assert_array_equal(found, array[:, 6:46].transpose(2, 0, 1))


def test_thin_images_cost_no_memory():
    assert square(Image.new("RGB", (200_000, 1), "red"), 256, 224).shape == (3, 224, 224)


def test_native_sizes_are_checked():
    array = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    np.testing.assert_array_equal(native(Image.fromarray(array), 64), array.transpose(2, 0, 1))
    with pytest.raises(BadImageError, match="63×64 pixels where the dataset has 64×64"):
        native(Image.new("RGB", (63, 64)), 64)
