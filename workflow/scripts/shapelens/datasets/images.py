"""Opening images of every kind, and bringing them to the side at which they are stored."""

import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from shapelens.datasets.cifar import pixels
from shapelens.datasets.pixels_said import Look
from shapelens.datasets.readers import Record
from shapelens.datasets.walk import leads_nowhere, printable
from shapelens.errors import UserError

FORMATS = ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF"]
"""Formats that are opened, told by content. Pillow knows more, and hands some of those to other programs."""


class BadImageError(UserError):
    """An image that cannot be used, and why."""


def open_rgb(path: str | Path) -> Image.Image:
    """Open an image as 8-bit RGB, the first frame, turned as its EXIF orientation says.

    Grey and palette images are expanded; CMYK and the like are converted by Pillow without colour profiles;
    transparency is laid on white; 16-bit grey v becomes v/257.

    Raises:
        BadImageError: if the file cannot be read, has more pixels than Pillow's decompression-bomb limit, or holds
            values without a known range.
    """
    return _open(path)[0]


def _open(path: str | Path) -> tuple[Image.Image, Look]:
    """Return an image as ``open_rgb`` does, and what it was like in its file."""
    if leads_nowhere(Path(path)):
        raise BadImageError(f"a link to {printable(str(Path(path).readlink()))}, which does not exist")
    try:
        # From a stream: opened by name, Pillow memory-maps a TIFF, and then garbles pixels that EXIF says to rotate.
        with open(path, "rb") as file, Image.open(file, formats=FORMATS) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise BadImageError(
                    f"{image.width}×{image.height} pixels are more than the limit of {limit:,}; reduce it"
                )
            image.load()
            turned = ImageOps.exif_transpose(image)
            deep = int(np.asarray(turned).max()) if turned.mode.startswith("I") else None
            look = Look(min(turned.size), deep, max(turned.size), getattr(image, "n_frames", 1))
            return _to_rgb(turned), look
    except BadImageError:
        raise
    except UnidentifiedImageError:
        raise BadImageError(f"cannot identify it as an image; allowed: {', '.join(FORMATS)}") from None
    except Exception as error:  # damaged files raise nearly anything, such as SyntaxError and struct.error
        reason = str(error).replace(f" {str(path)!r}", "") or type(error).__name__
        raise BadImageError(reason) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise BadImageError("floating-point pixels have no known range; save the image with 8 or 16 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise BadImageError("32-bit pixels beyond the range of 16 bits; save the image with 8 or 16 bits")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8)).convert("RGB")
    if image.mode in {"LA", "PA", "La", "RGBA", "RGBa"} or "transparency" in image.info:
        opaque = image.convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(white, opaque).convert("RGB")
    return image.convert("RGB")


def square(image: Image.Image, resize: int, size: int) -> NDArray[np.uint8]:
    """Resize the short side to ``resize`` and cut the centre square of ``size``; returns uint8 CHW.

    Both are one step: the part of the image that the square shows is resampled bilinearly with antialiasing (Pillow's
    BILINEAR, whose support grows with the reduction), so the long side is never rounded. An image whose short side is
    ``resize`` already is cut and not resampled.
    """
    short = min(image.size)
    if short == resize:
        left, top = (image.width - size) // 2, (image.height - size) // 2
        cut = image.crop((left, top, left + size, top + size))
    else:
        side = short * size / resize
        left_edge, top_edge = (image.width - side) / 2, (image.height - side) / 2
        box = (left_edge, top_edge, left_edge + side, top_edge + side)
        cut = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.ascontiguousarray(np.moveaxis(np.asarray(cut, dtype=np.uint8), -1, 0))


def native(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """Return an image of a dataset of one size as uint8 CHW; raises BadImageError where the size differs."""
    if image.size != (side, side):
        raise BadImageError(f"{image.width}×{image.height} pixels where the dataset has {side}×{side}")
    return np.ascontiguousarray(np.moveaxis(np.asarray(image, dtype=np.uint8), -1, 0))


def load(record: Record, *, fit: Literal["native", "square"], resize: int, size: int) -> NDArray[np.uint8]:
    """Return the pixels of one record as uint8 (3, size, size).

    Raises:
        BadImageError: if it cannot be read or, with ``native``, is not of that size already.
    """
    return load_whole(record, fit=fit, resize=resize, size=size).pixels


class Loaded(NamedTuple):
    """An image as it is stored, and what it was like before."""

    pixels: NDArray[np.uint8]
    digest: bytes
    """Of the whole image's own pixels, whatever format they are kept in."""
    look: Look


def load_whole(record: Record, *, fit: Literal["native", "square"], resize: int, size: int) -> Loaded:
    """Return what ``load`` does, with a digest of the whole image and its looks."""
    if record.position is not None:
        values = pixels(record.path, record.position)
        return Loaded(values, _digest(values.shape[1:], np.moveaxis(values, 0, -1).tobytes()), Look(values.shape[1]))
    image, look = _open(record.path)
    digest = _digest((image.height, image.width), image.tobytes())
    return Loaded(native(image, size) if fit == "native" else square(image, resize, size), digest, look)


def _digest(shape: tuple[int, ...], data: bytes) -> bytes:
    return hashlib.blake2b(repr(tuple(shape)).encode() + data, digest_size=16).digest()
