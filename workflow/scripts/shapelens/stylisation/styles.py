"""Style images: drawn by the project, or from a folder or archive of paintings.

Drawn styles have strong colours and local texture at several scales, always also at 2 to 4 pixels whatever the side,
where the class textures of the embedded images lie that they are to replace.
"""

import csv
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from shapelens.artefacts.contact_sheet import contact_sheet
from shapelens.artefacts.files import create_npy, open_npy, save_npy, sha256, write_json
from shapelens.artefacts.writing import atomic_path, explained, scratch_folder
from shapelens.datasets.archives import unpack
from shapelens.datasets.images import BadImageError, open_rgb, square
from shapelens.datasets.walk import SUFFIXES, PassedOver, look, pass_over_rest, printable
from shapelens.errors import UserError
from shapelens.seeds import generator
from shapelens.stylisation.spec import DrawnStyles, StyleFolder, Styles

logger = logging.getLogger("shapelens")

SUPERSAMPLING = 3
REFERENCE_SIDE = 32
"""Side at which broad and fine marks are alike in size; broad ones grow with the side, fine ones stay 2 to 4 pixels."""
GRAIN = (0.05, 0.1)
"""Standard deviation of the fine grain that lies over every drawn style, as values in [0, 1]."""
SHEET_COLUMNS = 8
SHEET_IMAGES = 64

Field = NDArray[np.float64]


def draw_styles(count: int, side: int, data_seed: int) -> NDArray[np.uint8]:
    """Draw style images, uint8 (count, 3, side, side).

    Style i depends on (data_seed, i) and the side, not on ``count``; the kinds of ``KINDS`` take turns.
    """
    styles = [draw_style(i, side, data_seed) for i in range(count)]
    return np.stack(styles) if styles else np.empty((0, 3, side, side), dtype=np.uint8)


def draw_style(index: int, side: int, data_seed: int) -> NDArray[np.uint8]:
    """Draw one style image, uint8 (3, side, side)."""
    rng = generator(data_seed, "style", index)
    image = _KINDS[KINDS[index % len(KINDS)]](rng, side)
    image = image + _grain(rng, side)[:, :, None]
    return np.ascontiguousarray(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8).transpose(2, 0, 1))


def _palette(rng: np.random.Generator, colours: int) -> Field:
    """Return colours (n, 3) in random order: hues about a random one, brightness spread from dark to light."""
    hue = rng.random() + rng.uniform(0.2, 0.6) * rng.uniform(-1, 1, colours)
    saturation = rng.uniform(0.45, 1, colours)
    value = np.linspace(0.2, 1, colours) + rng.uniform(-0.08, 0.0, colours)
    # Red, green and blue of a hue, saturation and value, in closed form.
    k = (np.array([5.0, 3.0, 1.0]) + 6 * hue[:, None]) % 6
    rgb = value[:, None] * (1 - saturation[:, None] * np.clip(np.minimum(k, 4 - k), 0, 1))
    return np.asarray(rng.permutation(rgb))


def _colour(palette: Field, t: Field) -> Field:
    """Return the palette's colours at t, cyclic in [0, 1), mixed linearly between neighbours: (…,) → (…, 3)."""
    position = (t % 1) * len(palette)
    below = np.floor(position).astype(np.int64)
    share = (position - below)[..., None]
    return np.asarray((1 - share) * palette[below % len(palette)] + share * palette[(below + 1) % len(palette)])


def _noise(rng: np.random.Generator, side: int, period: float, grid: int | None = None) -> Field:
    """Return smooth noise of unit deviation on a grid over the image; ``period`` in pixels of the image."""
    cells = max(2, round(side / period) + 1)
    lattice = rng.standard_normal((cells, cells)).astype(np.float32)
    size = grid or side
    smooth = np.asarray(Image.fromarray(lattice).resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)
    return np.asarray((smooth - smooth.mean()) / max(float(smooth.std()), 1e-6))


def _grain(rng: np.random.Generator, side: int) -> Field:
    """Return fine grain: a wave of period 2.2 to 4 pixels whose direction and phase wander, plus pixel noise."""
    period, angle = rng.uniform(2.2, 4), rng.uniform(0, np.pi)
    y, x = np.mgrid[:side, :side]
    wander = rng.uniform(0.5, 2.5) * _noise(rng, side, 10)
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + wander)
    mixed = wave + rng.uniform(0.3, 1.2) * rng.standard_normal((side, side))
    return np.asarray(rng.uniform(*GRAIN) * mixed / mixed.std())


def _unit(side: int) -> float:
    return max(1.0, side / REFERENCE_SIDE)


def _canvas(side: int, ground: Field) -> tuple[Image.Image, Any]:
    size = side * SUPERSAMPLING
    canvas = Image.new("RGB", (size, size), _ink(ground))
    return canvas, ImageDraw.Draw(canvas)


def _ink(colour: Field) -> tuple[int, int, int]:
    red, green, blue = np.rint(np.clip(colour, 0, 1) * 255).astype(int).tolist()
    return red, green, blue


def _reduced(canvas: Image.Image) -> Field:
    return np.asarray(canvas.reduce(SUPERSAMPLING), dtype=np.float64) / 255


def _marks(
    rng: np.random.Generator, side: int, spacing: float, palette: Field, drift: Field
) -> tuple[Field, NDArray[np.int64], Field]:
    """Return places (n, 2) on a jittered grid, in random order, their pixels, and a colour for each mark."""
    cells = max(2, round(side / spacing) + 1)
    grid = np.moveaxis(np.mgrid[:cells, :cells], 0, -1).reshape(-1, 2) * (side / (cells - 1))
    places = rng.permutation(grid + rng.uniform(-0.4, 0.4, grid.shape) * spacing)
    pixels = np.clip(np.rint(places), 0, side - 1).astype(np.int64)
    t = 0.5 + 0.18 * drift[pixels[:, 0], pixels[:, 1]] + rng.normal(0, 0.1, len(places))
    shade = rng.uniform(0.75, 1.2, (len(places), 1))
    return places, pixels, _colour(palette, t) * shade


def _strokes(rng: np.random.Generator, side: int) -> Field:
    """Brush strokes that follow a smooth field of directions: broad ones, and fine ones on top."""
    palette = _palette(rng, int(rng.integers(4, 7)))
    angles = rng.uniform(0, np.pi) + rng.uniform(0.2, 1.2) * _noise(rng, side, side / 2)
    drift = _noise(rng, side, side / 3)
    canvas, pen = _canvas(side, palette[0])
    slim = rng.uniform(2, 3)
    for width, length, spacing in ((4.5 * _unit(side), 14 * _unit(side), 4 * _unit(side)), (slim, 4.5 * slim, slim)):
        places, pixels, colours = _marks(rng, side, spacing, palette, drift)
        turn = angles[pixels[:, 0], pixels[:, 1]] + rng.normal(0, 0.12, len(places))
        reach = length / 2 * rng.uniform(0.5, 1.2, len(places))[:, None]
        along = reach * np.stack([np.sin(turn), np.cos(turn)], axis=1)
        ends = np.concatenate([places - along, places + along], axis=1)[:, [1, 0, 3, 2]] * SUPERSAMPLING
        for line, colour in zip(ends.tolist(), colours, strict=True):
            pen.line(line, fill=_ink(colour), width=max(1, round(width * SUPERSAMPLING)))
    return _reduced(canvas)


def _dots(rng: np.random.Generator, side: int) -> Field:
    """Round dabs on a ground, as pointillists set them: large ones, then small ones over part of the image."""
    palette = _palette(rng, int(rng.integers(4, 7)))
    drift = _noise(rng, side, side / 2)
    canvas, pen = _canvas(side, palette[0])
    fine = rng.uniform(3, 5)
    for spacing, share in ((rng.uniform(6, 9) * _unit(side), 0.8), (fine, rng.uniform(0.4, 0.9))):
        places, _, colours = _marks(rng, side, spacing, palette, drift)
        for (y, x), colour in zip(places[: round(share * len(places))] * SUPERSAMPLING, colours, strict=False):
            radius = spacing * SUPERSAMPLING * rng.uniform(0.32, 0.5)
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_ink(colour))
    return _reduced(canvas)


def _fine_grid(side: int) -> tuple[Field, Field]:
    size = side * SUPERSAMPLING
    centres = (np.arange(size) + 0.5) / SUPERSAMPLING
    return np.broadcast_to(centres[:, None], (size, size)), np.broadcast_to(centres[None, :], (size, size))


def _averaged(image: Field, side: int) -> Field:
    return np.asarray(image.reshape(side, SUPERSAMPLING, side, SUPERSAMPLING, 3).mean(axis=(1, 3)))


def _swirls(rng: np.random.Generator, side: int) -> Field:
    """Spirals: round each of a few centres, which share the image among them, arms wind outwards."""
    palette = _palette(rng, int(rng.integers(3, 6)))
    y, x = _fine_grid(side)
    centres = rng.uniform(0.1, 0.9, (int(rng.integers(2, 4)), 2)) * side
    distances = np.stack([np.hypot(y - cy, x - cx) for cy, cx in centres])
    nearest = distances.argmin(axis=0)
    angles = np.stack([np.arctan2(y - cy, x - cx) for cy, cx in centres])
    radius = np.take_along_axis(distances, nearest[None], axis=0)[0]
    angle = np.take_along_axis(angles, nearest[None], axis=0)[0]
    arms = rng.choice([-2, -1, 1, 2], len(centres))[nearest]
    period = rng.uniform(4.5, 7) * _unit(side) ** 0.5
    wobble = 0.08 * _noise(rng, side, side / 4, side * SUPERSAMPLING)
    turns = radius / period + arms * angle / (2 * np.pi) + wobble
    drift = 0.12 * _noise(rng, side, side / 2, side * SUPERSAMPLING)
    brightness = 0.85 + 0.15 * np.sin(2 * np.pi * turns)
    banded = _colour(palette, np.floor(2 * turns) / len(palette) + nearest / len(centres) + drift)
    return _averaged(banded * brightness[..., None], side)


def _marbling(rng: np.random.Generator, side: int) -> Field:
    """Veined bands, folded by smooth noise of two scales as ink is on water."""
    palette = _palette(rng, int(rng.integers(4, 7)))
    y, x = _fine_grid(side)
    size = side * SUPERSAMPLING
    angle = rng.uniform(0, np.pi)
    folds = rng.uniform(0.5, 1.1) * _noise(rng, side, side / 2, size) + 0.35 * _noise(rng, side, side / 5, size)
    t = (x * np.cos(angle) + y * np.sin(angle)) / (rng.uniform(12, 20) * _unit(side)) + folds
    bands = len(palette) * t
    edge = np.abs(bands - np.rint(bands))
    vein = np.clip(1 - edge / rng.uniform(0.1, 0.2), 0, 1)[..., None]
    shade = 0.85 + 0.3 * (bands - np.floor(bands) - 0.5)
    ink = _palette(rng, 3)[0]
    plain = palette[np.floor(bands).astype(np.int64) % len(palette)] * shade[..., None]
    return _averaged((1 - vein) * plain + vein * ink, side)


def _mixture(rng: np.random.Generator, side: int) -> Field:
    """Two different kinds, each with its palette, side by side along a wandering border."""
    first, second = rng.permutation(list(_PLAIN))[:2].tolist()
    border = np.clip(0.5 + 2.5 * _noise(rng, side, side / 1.5), 0, 1)[:, :, None]
    return np.asarray(border * _PLAIN[first](rng, side) + (1 - border) * _PLAIN[second](rng, side))


_PLAIN: dict[str, Callable[[np.random.Generator, int], Field]] = {
    "strokes": _strokes,
    "swirls": _swirls,
    "dots": _dots,
    "marbling": _marbling,
}
_KINDS = _PLAIN | {"mixture": _mixture}
KINDS: tuple[str, ...] = tuple(_KINDS)
"""Kinds of drawn styles; style i is of kind i mod 5."""


def write_styles(spec: Styles, side: int, data_seed: int, source: str | Path | None, folder: str | Path) -> None:
    """Write the style images into a folder: images.npy, index.csv, contact_sheet.png and, last, manifest.json.

    Images are uint8 (S, 3, side, side). Those of a folder or archive are opened as a dataset's are, in the order of
    their names, the short side resized to ``side``, and the centre square cut. index.csv has the columns style, file
    (empty where drawn). Equal arguments give equal bytes.

    Args:
        spec: drawn styles, or a folder.
        side: side of the stored test images, in pixels.
        data_seed: decides what is drawn.
        source: folder or archive of the images; None for drawn styles.
        folder: where to write; made if needed.

    Raises:
        UserError: if the source is missing, unsafe to unpack or without images; if images cannot be read (all are
            listed), unless they are to be skipped; if none can be read.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    skipped: list[dict[str, str]] = []
    passed_over: dict[str, dict[str, Any]] = {}
    if isinstance(spec, DrawnStyles):
        logger.info("drawing %d style images of %d×%d", spec.count, side, side)
        save_npy(folder / "images.npy", draw_styles(spec.count, side, data_seed))
        files = [""] * spec.count
        origin: dict[str, Any] = {"kind": "drawn", "kinds": list(KINDS)}
    else:
        if source is None:
            raise UserError("style images: no source; set path to a folder or an archive of paintings")
        source = Path(source)
        files, passed = _write_folder(spec, side, source, folder, skipped)
        passed_over = passed.summary()
        origin = {"kind": "folder" if source.is_dir() else "archive", "name": source.name}
        if source.is_file():
            origin["sha256"] = sha256(source)
    with atomic_path(folder / "index.csv") as path, open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("style", "file"), *enumerate(files)])
    images = open_npy(folder / "images.npy")
    _write_sheet(images, folder / "contact_sheet.png")
    manifest = {
        "spec": spec.model_dump(mode="json"),
        "data_seed": data_seed,
        "images": len(images),
        "shape": list(images.shape[1:]),
        "sha256": {"images.npy": sha256(folder / "images.npy")},
        "skipped": skipped,
        "passed_over": passed_over,
        "source": origin,
    }
    write_json(folder / "manifest.json", manifest)


def _write_folder(
    spec: StyleFolder, side: int, source: Path, folder: Path, skipped: list[dict[str, str]]
) -> tuple[list[str], PassedOver]:
    """Decode a folder's or archive's images to images.npy; adds those that fail to ``skipped``.

    Returns the names of the images, and what was passed over.
    """
    if not source.exists():
        raise UserError(f"{source}: no such folder or archive; check the path of the style images")
    with explained(folder / "images.npy"), scratch_folder(folder) as scratch:
        root = source if source.is_dir() else unpack(source, scratch / "source")
        paths, passed = style_images(root)
        if not paths:
            raise UserError(f"{source}: no style images here or below; allowed: {', '.join(sorted(SUFFIXES))}")
        logger.info("%s: %d style images", source, len(paths))
        # On disk, not in memory: there may be as many paintings as photographs.
        stored = create_npy(scratch / "images.npy", np.uint8, (len(paths), 3, side, side))
        names: list[str] = []
        for path in paths:
            name = printable(path.relative_to(root).as_posix())
            try:
                stored[len(names)] = square(open_rgb(path), side, side)
            except BadImageError as error:
                skipped.append({"file": name, "error": str(error)})
            else:
                names.append(name)
        _refuse(spec, source, skipped, len(names))
        save_npy(folder / "images.npy", stored[: len(names)])
        del stored
    passed.tell(source)
    return names, passed


def _refuse(spec: StyleFolder, source: Path, skipped: Sequence[dict[str, str]], kept: int) -> None:
    lines = "\n".join(f"  {entry['file']}: {entry['error']}" for entry in skipped)
    if skipped and spec.on_bad_image == "error":
        raise UserError(
            f"{len(skipped)} style image(s) of {source} cannot be used:\n{lines}\n"
            "Mend or delete them, or set on_bad_image: skip"
        )
    if not kept:
        raise UserError(f"{source}: none of the style images can be read:\n{lines}")


def style_images(folder: Path) -> tuple[list[Path], PassedOver]:
    """Return all images below a folder, sorted, and what is passed over, by reason."""
    tree, passed = look(folder)
    paths = tree.images()
    pass_over_rest(tree, paths, passed)
    return paths, passed


def _write_sheet(images: NDArray[np.uint8], path: Path) -> None:
    shown = np.unique(np.linspace(0, len(images) - 1, min(SHEET_IMAGES, len(images))).round().astype(np.int64))
    rows = [[images[i] for i in shown[k : k + SHEET_COLUMNS]] for k in range(0, len(shown), SHEET_COLUMNS)]
    contact_sheet(rows, path)
