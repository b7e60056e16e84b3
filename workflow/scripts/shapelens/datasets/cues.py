"""The embedded images: silhouettes under a fine texture, two cues that can each be present, absent or in conflict.

In training both cues name the class, the texture always and the shape nearly always. In the cue sets one is absent, or
the shape is of one class and the texture of another, so a model's answers say which cue it uses (compare the cue
conflicts of Geirhos et al. 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from shapelens.artefacts.contact_sheet import contact_sheet
from shapelens.artefacts.files import create_npy, save_npy, sha256, write_json
from shapelens.artefacts.writing import atomic_path
from shapelens.datasets.spec import Cues
from shapelens.errors import UserError
from shapelens.seeds import generator

Mode = Literal["both", "shape-only", "texture-only", "conflict", "random-texture"]
MODES: tuple[Mode, ...] = get_args(Mode)

TESTSETS: dict[str, Mode] = {"shape-only": "shape-only", "texture-only": "texture-only", "conflict": "conflict"}
"""Cue sets, with the mode of each."""

TRAIN = "train"
"""The split in which some images may be exceptions."""
SUPERSAMPLING = 4
CLUTTER_DIAMETER = (0.08, 0.18)
CHANNEL_VARIATION = 0.3

FloatArray = NDArray[np.float64]


def _circle(radius: float = 1.0, centre: tuple[float, float] = (0.0, 0.0), points: int = 64) -> FloatArray:
    angles = 2 * np.pi * np.arange(points) / points
    return np.asarray(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1) + np.array(centre))


def _star(points: int = 5, inner: float = 0.42) -> FloatArray:
    corners = _circle(points=2 * points)
    corners[1::2] *= inner
    return corners


def _cross(arm: float = 0.27) -> FloatArray:
    tip = float(np.sqrt(1 - arm**2))
    quarter = np.array([(arm, arm), (arm, tip), (-arm, tip)])
    turns = [np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), k) for k in range(4)]
    return np.concatenate([quarter @ turn.T for turn in turns])


def _heart() -> FloatArray:
    t = 2 * np.pi * np.arange(64) / 64
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    outline = np.stack([x, -y], axis=1)
    outline -= (outline.min(axis=0) + outline.max(axis=0)) / 2
    return np.asarray(outline / np.linalg.norm(outline, axis=1).max())


OUTLINES: dict[str, tuple[FloatArray, ...]] = {
    "disc": (_circle(),),
    "ring": (_circle(), _circle(0.58)),
    "triangle": (_circle(points=3),),
    "cross": (_cross(),),
    "bar": (np.array([(-0.97, -0.24), (0.97, -0.24), (0.97, 0.24), (-0.97, 0.24)]),),
    "star": (_star(),),
    "crescent": (_circle(), _circle(0.8, (0.48, 0.0))),
    "hourglass": (np.array([(-0.7, -0.71), (0.7, -0.71), (0.12, 0), (0.7, 0.71), (-0.7, 0.71), (-0.12, 0)]),),
    "square": (_circle(points=4),),
    "heart": (_heart(),),
}
"""Polygons in the unit circle: the first is filled, the others are cut out. No shape becomes another when it is turned
or mirrored."""

SHAPES: tuple[str, ...] = tuple(OUTLINES)
"""Names of the classes, in order."""


def _tiles() -> dict[str, NDArray[np.float32]]:
    y, x = np.mgrid[:4, :4]

    def two(t: NDArray[np.int_]) -> NDArray[np.float32]:
        return np.where(t % 2 < 1, 1, -1).astype(np.float32)

    def four(t: NDArray[np.int_]) -> NDArray[np.float32]:
        return np.where(t % 4 < 2, 1, -1).astype(np.float32)

    three = np.tile(np.array([1, 0, -1], dtype=np.float32), (3, 1))
    return {
        "columns-2": two(x),
        "rows-2": two(y),
        "checks-2": two(x + y),
        "columns-4": four(x),
        "rows-4": four(y),
        "diagonal-4": four(x + y),
        "columns-4-flipped": four(x) * two(y),
        "rows-4-flipped": two(x) * four(y),
        "columns-3": three,
        "rows-3": np.ascontiguousarray(three.T),
    }


TILES = _tiles()
"""Textures: tiles with mean zero of +1 and −1 (the last two: +1, 0, −1), named by their period in pixels. Each is a
single wave and all wave vectors differ, so they are orthogonal whatever their phases (those of period 4 and 3 nearly).
At a random phase each is mirrored at random, so no texture is the mirror image of another: training may flip its
images."""

TEXTURES: tuple[str, ...] = tuple(TILES)
"""Names of the textures, in the order of the classes they belong to."""


@dataclass(frozen=True)
class Drawn:
    """Drawn images: uint8 NCHW, the class of each, and the texture's class where it is a cue of its own (else −1)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    textures: NDArray[np.int64]


def class_names(spec: Cues) -> tuple[str, ...]:
    """Return the names of the classes, in order: those of their shapes."""
    return SHAPES[: spec.classes]


def draw(
    spec: Cues,
    *,
    count: int,
    stream: str,
    mode: Mode,
    data_seed: int,
    images: NDArray[np.uint8] | None = None,
) -> Drawn:
    """Draw images whose shape and texture are known.

    Image i depends on (data_seed, stream, mode, i) and the spec, not on ``count``. Every run of ``classes`` images
    holds each class once, and in conflict each texture once as well; every run of classes·(classes − 1) conflict
    images, counted from the first, holds each unequal pair once.

    A silhouette is turned by any angle and lies wholly inside the image. One distance from mid-grey is drawn
    log-uniformly for each image; each channel of foreground and background varies about it by up to a factor
    2^±0.3 within ``spec.contrast``, on one side of ½ for the foreground and on the other for the background.

    Args:
        spec: sizes, amplitudes and numbers.
        count: number of images.
        stream: name of the split.
        mode: ``both`` cues of the same class (but for the exceptions of training images, ``spec.mismatch``),
            ``shape-only`` (no texture), ``texture-only`` (uniform background under the texture), ``conflict`` (two
            different classes; the label is the shape's) or ``random-texture`` (the label is the shape's; the texture
            may be of any class, which says nothing of it).
        data_seed: seed of everything drawn.
        images: where to draw, uint8 (count, 3, size, size), such as a mapped file; None: in memory.

    Raises:
        UserError: if the mode is unknown.
    """
    if mode not in MODES:
        raise UserError(f"unknown mode {mode!r} of cue images; allowed: {', '.join(MODES)}")
    amplitudes = (0.0,) * spec.classes if mode == "shape-only" else spec.amplitudes
    labels, textures = _classes(spec.classes, count, stream, mode, data_seed)
    shapes, shown = labels, np.where(textures < 0, labels, textures)
    amplitude = np.array(amplitudes)[shown]
    if mode == "both" and stream == TRAIN:
        off, faint = _exceptions(spec, count, stream, data_seed)
        shapes = (labels + off) % spec.classes
        amplitude[faint] = min(amplitudes)
    if images is None:
        images = np.empty((count, 3, spec.size, spec.size), dtype=np.uint8)
    for i in range(count):
        rng = generator(data_seed, stream, mode, "image", i)
        outline = () if mode == "texture-only" else OUTLINES[SHAPES[shapes[i]]]
        images[i] = _image(spec, outline, TILES[TEXTURES[shown[i]]], float(amplitude[i]), rng)
    return Drawn(images, labels, textures)


def draw_to(path: str | Path, spec: Cues, *, count: int, **what: Any) -> Drawn:
    """Draw images as ``draw`` does into a .npy file, mapped, so that memory does not grow with their number."""
    shape = (count, 3, spec.size, spec.size)
    with atomic_path(path) as temporary:
        stored = create_npy(temporary, np.uint8, shape)
        drawn = draw(spec, count=count, images=stored, **what)
        stored.flush()
    return drawn


def _classes(
    classes: int, count: int, stream: str, mode: Mode, data_seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the class of each image and, where the texture's may be another one, the texture's; elsewhere −1."""
    blocks = -(-count // classes)
    orders = [generator(data_seed, stream, mode, "order", b).permutation(classes) for b in range(blocks)]
    labels = np.concatenate([np.empty(0, dtype=np.int64), *orders])[:count].astype(np.int64)
    if mode == "random-texture":
        others = [generator(data_seed, stream, mode, "texture", b).permutation(classes) for b in range(blocks)]
        return labels, np.concatenate([np.empty(0, dtype=np.int64), *others])[:count].astype(np.int64)
    if mode != "conflict":
        return labels, np.full(count, -1, dtype=np.int64)
    # One shift for a whole block, so its textures are a permutation too; classes − 1 blocks use every shift once.
    rounds = -(-blocks // (classes - 1))
    draws = [generator(data_seed, stream, mode, "shift", r).permutation(classes - 1) + 1 for r in range(rounds)]
    shifts = np.concatenate([np.empty(0, dtype=np.int64), *draws])
    return labels, (labels + np.repeat(shifts, classes)[:count]) % classes


def _exceptions(spec: Cues, count: int, stream: str, data_seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return, for each training image, how many classes its silhouette is off, and whether its texture is faint.

    No image is both. Image i depends on its number alone, not on ``count``.
    """
    off, faint = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
    if spec.mismatch or spec.faint:
        for i in range(count):
            rng = generator(data_seed, stream, "exception", i)
            drawn, other = rng.uniform(), int(rng.integers(1, spec.classes))
            off[i] = other if drawn < spec.mismatch else 0
            faint[i] = spec.mismatch <= drawn < spec.mismatch + spec.faint
    return off, faint


def _image(
    spec: Cues, outline: Sequence[FloatArray], tile: NDArray[np.float32], amplitude: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw one image, CHW. No draw depends on an amplitude or the phase: changing one leaves all else as it is."""
    side = spec.size
    low, high = spec.contrast
    diameter = side * rng.uniform(*spec.scale)
    centre = rng.uniform(diameter / 2, side - diameter / 2, size=2)
    angle = rng.uniform(0, 2 * np.pi)
    distance = np.exp(rng.uniform(np.log(low), np.log(high)))
    sign = rng.choice([-1.0, 1.0])

    def colour(side_of_grey: float) -> FloatArray:
        varied = distance * 2.0 ** rng.uniform(-CHANNEL_VARIATION, CHANNEL_VARIATION, size=3)
        return np.asarray(0.5 + side_of_grey * np.clip(varied, low, high))[:, None, None]

    foreground, background = colour(sign), colour(-sign)
    mirror, *shift = rng.integers((2, 12, 12)).tolist()
    noise = rng.standard_normal((3, side, side)) * spec.noise
    image = np.broadcast_to(background, noise.shape)
    if outline:
        image = background + _silhouette(outline, side, diameter, centre, angle) * (foreground - background)
    for _ in range(spec.clutter):
        small = side * rng.uniform(*CLUTTER_DIAMETER)
        place = rng.uniform(0, side, size=2)
        spot = _silhouette(OUTLINES["disc"], side, small, place, 0.0)
        image = image + spot * (colour(rng.choice([-1.0, 1.0])) - image)
    repeats = -(-side // len(tile))
    if spec.phase == "random":
        tile = np.roll(tile[:, ::-1] if mirror else tile, shift, axis=(0, 1))
    pattern = np.tile(tile, (repeats, repeats))[:side, :side]
    image = image + amplitude * pattern + noise
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _silhouette(
    outline: Sequence[FloatArray], side: int, diameter: float, centre: FloatArray, angle: float
) -> NDArray[np.float64]:
    """Return the share of each pixel that a shape covers, in [0, 1], by supersampling."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    canvas = Image.new("L", (side * SUPERSAMPLING, side * SUPERSAMPLING), 0)
    pen = ImageDraw.Draw(canvas)
    for number, polygon in enumerate(outline):
        corners = (polygon @ turn * (diameter / 2) + centre) * SUPERSAMPLING - 0.5
        pen.polygon(np.rint(corners).ravel().tolist(), fill=0 if number else 255)
    return np.asarray(canvas.reduce(SUPERSAMPLING), dtype=np.float64) / 255


def write_cue_testset(spec: Cues, testset: str, data_seed: int, folder: str | Path) -> dict[str, object]:
    """Draw a cue set of ``spec.test`` images into a folder and return its manifest.

    Writes images.npy (uint8), labels.npy, textures.npy, contact_sheet.png and manifest.json. The label is the shape's
    class, in the texture-only set the texture's.

    Raises:
        UserError: if the test set is not one of ``TESTSETS``.
    """
    if testset not in TESTSETS:
        raise UserError(f"unknown cue set {testset!r}; allowed: {', '.join(TESTSETS)}")
    mode = TESTSETS[testset]
    folder = Path(folder)
    what = {"stream": "test", "mode": mode, "data_seed": data_seed}
    drawn = draw_to(folder / "images.npy", spec, count=spec.test, **what)
    save_npy(folder / "labels.npy", drawn.labels)
    save_npy(folder / "textures.npy", drawn.textures)
    write_cue_sheet(spec, drawn, folder / "contact_sheet.png")
    manifest: dict[str, object] = {
        "testset": testset,
        "spec": spec.model_dump(mode="json"),
        "data_seed": data_seed,
        "images": len(drawn.labels),
        "shape": list(drawn.images.shape[1:]),
        "dtype": str(drawn.images.dtype),
        "sha256": {name: sha256(folder / name) for name in ("images.npy", "labels.npy", "textures.npy")},
    }
    write_json(folder / "manifest.json", manifest)
    return manifest


def write_cue_sheet(spec: Cues, drawn: Drawn, path: str | Path, *, columns: int = 8) -> None:
    """Write a contact sheet with one row per class."""
    rows, titles = [], []
    for label, name in enumerate(class_names(spec)):
        chosen = np.flatnonzero(drawn.labels == label)[:columns]
        if len(chosen):
            rows.append([drawn.images[i] for i in chosen])
            titles.append(name)
    contact_sheet(rows, path, row_titles=titles)
