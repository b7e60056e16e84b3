"""Image sets whose answer is known by construction, drawn as a user would bring them: none is of the embedded study.

In training the outline (shape) and the pattern (texture) both name the class. A model that learned the classes of one
cue where the cues are independent is shape-only or texture-only by construction; on the conflict set, whose answer is
known too, its shape bias is 1 or 0. Families differ in outlines, patterns and colours; every family has fine and coarse
patterns, on the object alone or everywhere. Colours name no class.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from shapelens.seeds import generator

Field = NDArray[np.float64]
Cue = Literal["both", "shape", "texture", "independent", "conflict"]
FAMILIES = ("polygons", "blossoms", "signs")
SUPERSAMPLING = 4


@dataclass(frozen=True)
class Known:
    """What is drawn. ``period``: of the finest pattern, about, in pixels; ``amplitude``: the pattern's deviation."""

    family: Literal["polygons", "blossoms", "signs"] = "polygons"
    classes: int = 4
    side: int = 32
    amplitude: float = 0.09
    period: float = 3.0
    everywhere: bool = True
    """The pattern covers the background as well; False: the object alone."""
    coloured: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn: a family has as many outlines as patterns."""
        most = len(OUTLINES[self.family])
        assert self.family in FAMILIES and 2 <= self.classes <= most, f"{self.family}: 2 to {most} classes"


@dataclass(frozen=True)
class Drawn:
    """Images, uint8 (n, 3, side, side), and the classes of their shapes and textures, int64 (n,); −1: no such cue."""

    images: NDArray[np.uint8]
    shapes: NDArray[np.int64]
    textures: NDArray[np.int64]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Return the classes: the shapes', in images of texture alone the textures'."""
        return np.where(self.shapes >= 0, self.shapes, self.textures)


def draw(known: Known, count: int, cue: Cue, stream: str) -> Drawn:
    """Draw ``count`` images; ``stream`` names the split, so that training and test images are independent.

    ``both`` name the class, one is there alone, both are there and independent of each other, or in ``conflict`` they
    are never of one class. A model trained on independent cues with the classes of one of them can use that one alone.
    Every run of ``classes`` images has each shape once and, but where independent, each texture once. No draw depends
    on a class, so an image of one cue alone is the same whatever class the other cue would have had.
    """
    assert cue in get_args(Cue)
    k = known.classes
    blocks = -(-count // k)
    rng = generator(known.seed, known.family, stream, cue, "classes")
    order = np.concatenate([rng.permutation(k) for _ in range(blocks)])[:count]
    shifts = {"conflict": np.repeat(rng.integers(1, k, blocks), k)[:count], "independent": rng.integers(0, k, count)}
    shift = shifts.get(cue, np.zeros(count, dtype=np.int64))
    shapes = np.full(count, -1) if cue == "texture" else order
    textures = np.full(count, -1) if cue == "shape" else (order + shift) % k
    images = np.empty((count, 3, known.side, known.side), dtype=np.uint8)
    for i, (shape, texture) in enumerate(zip(shapes.tolist(), textures.tolist(), strict=True)):
        images[i] = _image(known, shape, texture, generator(known.seed, known.family, stream, cue, i))
    return Drawn(images, shapes, textures)


def class_name(known: Known, label: int) -> str:
    """Return the name of a class's folder; the order of names is that of the labels."""
    return f"{known.family}-{label}"


def write_folder(known: Known, folder: Path, *, train: int, test: int, cue: Cue = "both") -> Path:
    """Write train/CLASS/n.png and test/CLASS/n.png, as users bring their images; return the folder."""
    for stream, count in (("train", train), ("test", test)):
        drawn = draw(known, count, cue, stream)
        for i, (image, label) in enumerate(zip(drawn.images, drawn.labels.tolist(), strict=True)):
            path = folder / stream / class_name(known, label) / f"{i:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.transpose(1, 2, 0)).save(path)
    return folder


def _image(known: Known, shape: int, texture: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    side = known.side
    diameter = side * rng.uniform(0.6, 0.85)
    centre = rng.uniform(diameter / 2, side - diameter / 2, 2)
    turn = rng.uniform(-1, 1) * TURNS[known.family]
    back, fore = _colours(known, rng)
    # Both patterns have a generator of their own: what one class's draws use up must not move anything else.
    pattern_seed, noise_seed = rng.integers(2**63, size=2).tolist()
    # Images of texture alone show a disc, which is no class's outline: the pattern needs an object to lie on.
    outline = OUTLINES[known.family][shape] if shape >= 0 else (_polar(lambda t: np.ones_like(t)),)
    mask = _mask(outline, side, diameter, centre, turn)
    image = back[:, None, None] + mask * (fore - back)[:, None, None]
    if texture >= 0:
        pattern = PATTERNS[known.family][texture](np.random.default_rng(pattern_seed), side, known.period)
        pattern = (pattern - pattern.mean()) / pattern.std() * known.amplitude
        image = image + (pattern if known.everywhere else pattern * mask)
    image = image + np.random.default_rng(noise_seed).normal(0, 0.01, (3, side, side))
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _colours(known: Known, rng: np.random.Generator) -> tuple[Field, Field]:
    """Return the colours of back- and foreground, (3,) each: apart in brightness, far from black and white."""
    low, high = CONTRASTS[known.family]
    distance, sign, middle = rng.uniform(low, high) / 2, rng.choice([-1.0, 1.0]), rng.uniform(0.45, 0.55)
    tint = rng.uniform(-0.12, 0.12, (2, 3)) if known.coloured else rng.uniform(-0.04, 0.04, (2, 1)).repeat(3, axis=1)
    return middle - sign * distance + tint[0], middle + sign * distance + tint[1]


Outline = tuple[Field, ...]


def _polar(radius: Callable[[Field], Field]) -> Field:
    """Return a closed curve in the unit circle from its radius at each angle, (96, 2)."""
    angle = 2 * np.pi * np.arange(96) / 96
    points = radius(angle)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(points / np.linalg.norm(points, axis=1).max())


def _regular(corners: int, inner: float = 1.0) -> Field:
    """Return a regular polygon, or a star whose inner corners lie at ``inner``."""
    count = corners if inner == 1 else 2 * corners
    angle = 2 * np.pi * np.arange(count) / count
    radius = np.where(np.arange(count) % 2, inner, 1.0)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _blossom(petals: int, depth: float) -> Outline:
    return (_polar(lambda t: 1 + depth * np.cos(petals * t)),)


def _bars(*bars: tuple[float, float, float, float]) -> Outline:
    """Return rectangles (left, top, right, bottom) as outlines; they are joined."""
    return tuple(np.array([(a, b), (c, b), (c, d), (a, d)]) for a, b, c, d in bars)


OUTLINES: dict[str, tuple[Outline, ...]] = {
    "polygons": (
        (_regular(3),),
        (_regular(4),),
        (_regular(5, 0.4),),
        (_regular(4, 0.35),),
        (_regular(4) * np.array([1.0, 0.35]),),
    ),
    "blossoms": (
        _blossom(2, 0.55),
        _blossom(3, 0.5),
        _blossom(4, 0.5),
        (_polar(lambda t: 1 + 0.9 * np.cos(t)),),
        _blossom(6, 0.5),
    ),
    "signs": (
        _bars((-0.7, -0.7, 0.7, -0.3), (-0.2, -0.7, 0.2, 0.7)),
        _bars((-0.7, -0.7, -0.35, 0.7), (0.35, -0.7, 0.7, 0.7), (-0.7, 0.35, 0.7, 0.7)),
        _bars((-0.7, -0.2, 0.7, 0.2), (-0.2, -0.7, 0.2, 0.7)),
        _bars((-0.7, -0.7, 0.7, -0.4), (-0.7, 0.4, 0.7, 0.7), (-0.7, -0.15, 0.7, 0.15)),
        _bars((-0.7, -0.7, -0.35, 0.7), (0.35, -0.7, 0.7, 0.7), (-0.7, -0.18, 0.7, 0.18)),
    ),
}
"""Polygons in the unit circle, whose union is filled. No outline is another one mirrored: training may flip images."""

TURNS = {"polygons": np.pi, "blossoms": np.pi, "signs": np.pi / 9}
CONTRASTS = {"polygons": (0.3, 0.5), "blossoms": (0.15, 0.35), "signs": (0.35, 0.55)}

Pattern = Callable[[np.random.Generator, int, float], Field]


def _wave(degrees: float, factor: float = 1.0, sharp: bool = False) -> Pattern:
    """Return parallel waves or, if sharp, stripes; the lines of 0 degrees stand upright."""

    def pattern(rng: np.random.Generator, side: int, period: float) -> Field:
        y, x = np.mgrid[:side, :side]
        angle = np.radians(degrees) * rng.choice([-1, 1])
        wave = np.sin(2 * np.pi * ((x * np.cos(angle) + y * np.sin(angle)) / (period * factor) + rng.random()))
        return np.asarray(np.where(wave >= 0, 1.0, -1.0) if sharp else wave)

    return pattern


def _checks(rng: np.random.Generator, side: int, period: float) -> Field:
    y, x = np.mgrid[:side, :side]
    phase = 2 * np.pi * rng.random(2)
    product = np.sin(2 * np.pi * x / (1.5 * period) + phase[0]) * np.sin(2 * np.pi * y / (1.5 * period) + phase[1])
    return np.where(product >= 0, 1.0, -1.0)


def _dots(rng: np.random.Generator, side: int, period: float) -> Field:
    """Return a grid of round dots, a quarter of the area."""
    y, x = np.mgrid[:side, :side]
    cell = 1.5 * period
    across, down = ((values + cell * rng.random()) % cell - cell / 2 for values in (x, y))
    return np.asarray(np.clip(1 - np.hypot(across, down) / (0.4 * cell), 0, 1))


def _grid(rng: np.random.Generator, side: int, period: float) -> Field:
    """Return two crossed waves, added: a net."""
    y, x = np.mgrid[:side, :side]
    phase = 2 * np.pi * rng.random(2)
    return np.asarray(np.cos(2 * np.pi * x / (1.3 * period) + phase[0]) + np.cos(2 * np.pi * y / period + phase[1]))


def _grain(ratio: tuple[float, float], power: float = 1.0) -> Pattern:
    """Return noise of a band: no two images have the same. ``ratio``: of the period across and down."""

    def pattern(rng: np.random.Generator, side: int, period: float) -> Field:
        down, across = np.meshgrid(*[np.fft.fftfreq(side)] * 2, indexing="ij")
        reach = np.hypot(across * ratio[0], down * ratio[1]) * period
        band = np.exp(-0.5 * ((reach - power) / 0.25) ** 2)
        return np.asarray(np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * band).real)

    return pattern


def _specks(rng: np.random.Generator, side: int, period: float) -> Field:
    """Return bright specks scattered at random, as wide as half a period."""
    down, across = np.meshgrid(*[np.fft.fftfreq(side)] * 2, indexing="ij")
    blur = np.exp(-2 * (np.pi * period / 5) ** 2 * (across**2 + down**2))
    scattered = rng.random((side, side)) < 0.35 / period**2
    scattered[0, 0] = True  # never none
    return np.asarray(np.fft.ifft2(np.fft.fft2(scattered.astype(float)) * blur).real)


PATTERNS: dict[str, tuple[Pattern, ...]] = {
    "polygons": (_wave(0, sharp=True), _wave(90, sharp=True), _checks, _dots, _wave(45, sharp=True)),
    "blossoms": (_wave(0), _wave(45), _grid, _wave(90), _wave(0, 1.7)),
    "signs": (_grain((1.0, 0.2)), _grain((0.2, 1.0)), _grain((1.0, 1.0)), _specks, _grain((0.5, 0.5))),
}
"""Patterns of a side, in the order of the classes; none is another one mirrored."""


def _mask(outline: Outline, side: int, diameter: float, centre: Field, turn: float) -> Field:
    """Return the share of each pixel that the outline's union covers, (side, side) in [0, 1]."""
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    canvas = Image.new("L", (side * SUPERSAMPLING, side * SUPERSAMPLING), 0)
    pen = ImageDraw.Draw(canvas)
    for polygon in outline:
        corners = (polygon @ rotation * (diameter / 2) + centre) * SUPERSAMPLING
        pen.polygon(corners.ravel().tolist(), fill=255)
    return np.asarray(canvas.reduce(SUPERSAMPLING), dtype=np.float64) / 255
