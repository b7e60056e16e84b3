"""Contact sheets: grids of small images with titles, drawn with Pillow alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from shapelens.artefacts.fonts import font_for
from shapelens.artefacts.writing import atomic_path

GAP = 4
TEXT = 15
TITLES = 3
"""The part of a sheet that titles of rows may take."""


def to_pixels(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Turn one CHW image, uint8 or float (clipped to [0, 1]), into HWC pixels."""
    if image.dtype != np.uint8:
        image = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(image, 0, -1))


def contact_sheet(
    rows: Sequence[Sequence[NDArray[Any]]],
    path: str | Path,
    *,
    column_titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
    width: int = 1200,
) -> None:
    """Write a grid of CHW images as PNG, at most ``width`` pixels wide.

    Small images are enlarged by a whole factor without smoothing, so that single pixels stay visible;
    images that are too large are reduced. Titles are cut where they are longer than a third of the sheet.
    """
    if not rows or not rows[0]:
        raise ValueError("a contact sheet needs at least one image")
    row_titles, column_titles = (
        [_one_line(title) for title in row_titles],
        [_one_line(title) for title in column_titles],
    )
    font = _font([*column_titles, *row_titles])
    row_titles = [_fit(title, width // TITLES, font) for title in row_titles]
    columns = max(len(row) for row in rows)
    left = max((int(font.getlength(title)) + 2 * GAP for title in row_titles), default=0)
    side = max(image.shape[-1] for row in rows for image in row)
    room = (width - left - GAP) // columns - GAP
    factor = max(1, min(room // side, 160 // side)) if room >= side else 1
    cell = min(side * factor, room)
    tallest = max(image.shape[-2] / image.shape[-1] for row in rows for image in row)
    height = round(cell * tallest)
    top = TEXT + 2 * GAP if column_titles else GAP
    sheet = Image.new(
        "RGB",
        (left + GAP + columns * (cell + GAP), top + len(rows) * (height + GAP)),
        "white",
    )
    draw = ImageDraw.Draw(sheet)
    for c, title in enumerate(column_titles):
        place = left + GAP + c * (cell + GAP) + cell // 2
        draw.text((place, GAP), _fit(title, cell, font), fill="black", font=font, anchor="mt")
    for r, row in enumerate(rows):
        y = top + r * (height + GAP)
        if r < len(row_titles):
            draw.text((left - GAP, y + height // 2), row_titles[r], fill="black", font=font, anchor="rm")
        for c, image in enumerate(row):
            pixels = to_pixels(image)
            picture = Image.fromarray(pixels)
            method = Image.Resampling.NEAREST if cell >= side else Image.Resampling.BOX
            size = (cell, round(cell * pixels.shape[0] / pixels.shape[1]))
            sheet.paste(picture.resize(size, method), (left + GAP + c * (cell + GAP), y))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)


def _font(titles: Sequence[str]) -> Any:
    """Return Pillow's own font, or for other letters than ASCII's one that has them."""
    text = "".join(titles)
    return ImageFont.load_default(TEXT) if text.isascii() else ImageFont.truetype(str(font_for(text)), TEXT)


def _one_line(title: str) -> str:
    """Return a title without line breaks and the like, which names of folders may hold."""
    return "".join(letter if letter.isprintable() else " " for letter in title)


def _fit(text: str, width: int, font: Any) -> str:
    """Shorten text to a width in pixels."""
    if font.getlength(text) <= width:
        return text
    while len(text) > 1 and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
