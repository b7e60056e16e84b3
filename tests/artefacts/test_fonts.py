"""Names in any script: shown where a font has their letters, and said where none has."""

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image

from shapelens.artefacts import fonts
from shapelens.artefacts.contact_sheet import contact_sheet


def square_glyph(size):
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, size), (size, size), (size, 0)):
        pen.lineTo(point)
    pen.closePath()
    return pen.glyph()


def cats(path):
    """Write a font that has one letter, 猫, drawn as a full square; returns its path."""
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "cat"])
    builder.setupCharacterMap({ord("猫"): "cat"})
    builder.setupGlyf({".notdef": square_glyph(10), "cat": square_glyph(900)})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "cat": (1000, 0)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Only Cats", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture
def cat_font(tmp_path, monkeypatch):
    """A system that has no other font."""
    path = cats(tmp_path / "cats.ttf")
    monkeypatch.setattr(fonts, "system_fonts", lambda: (path,))
    return path


def test_accents_and_greek_need_no_font_of_the_system(monkeypatch):
    monkeypatch.setattr(fonts, "system_fonts", lambda: pytest.fail("a font of the system was looked for"))
    assert fonts.fonts_for(["Katze ä", "ñandú", "ε", "Кошка", "plain\n"]) == [fonts.bundled()]


def test_other_letters_come_from_a_font_that_has_them(cat_font):
    assert fonts.fonts_for(["a 猫"]) == [fonts.bundled(), cat_font]


def test_letters_that_no_font_has_are_named(cat_font, caplog):
    assert fonts.fonts_for(["犬"]) == [fonts.bundled()]
    assert "no font of this system has 犬" in caplog.text


def title(text, path):
    """Return the pixels of a row's title."""
    contact_sheet([[np.full((3, 20, 20), 255, np.uint8)]], path, row_titles=[text])
    return np.asarray(Image.open(path).convert("L"))


def test_contact_sheets_show_the_letters_and_no_boxes(cat_font, tmp_path):
    accented, box = title("ä", tmp_path / "a.png"), title("\ue123", tmp_path / "b.png")
    assert accented.shape != box.shape or (accented != box).any()
    # Not the same letter without its accent: Pillow's own font has the plain one.
    assert (title("ä", tmp_path / "a.png") < 128).sum() > (title("a", tmp_path / "c.png") < 128).sum()
    # The letter is a full square of 0.9·15 pixels, which no box is.
    assert (title("猫", tmp_path / "d.png") < 128).sum() > 150


@pytest.mark.parametrize("name", ["two\nlines", "w" * 255, "a\ttab", "$x_1$ <b>&|\\ äé", ""])
def test_any_name_of_a_folder_is_a_title(name, tmp_path):
    images = [np.zeros((3, 32, 32), np.uint8)] * 10
    contact_sheet([images, images], tmp_path / "a.png", row_titles=[name, "b"], column_titles=[name] * 10)
    sheet = Image.open(tmp_path / "a.png")
    # At least two thirds of the sheet are left to the images, which are not enlarged by half a pixel.
    assert 400 <= sheet.width <= 1200 and sheet.height > 2 * 32
