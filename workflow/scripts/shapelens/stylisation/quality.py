"""How much texture a stylisation removed and how much shape it kept, per image, without any network.

Both are blind to brightness and contrast, and both lie in [0, 1]. They judge the set before any model sees it: a set
that keeps the texture, or loses the shape, measures something else than what it is named after.
"""

import csv
import logging
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.writing import atomic_path
from shapelens.errors import UserError

logger = logging.getLogger("shapelens")

Array = NDArray[np.float64]

LEVEL = 0.5 / 255
"""Deviation of a patch's fine part below which it holds no texture: half a grey level."""
COARSE = 1.5
"""Cycles per patch up to which a pattern is shape or shading and no texture."""
FLAT = 1e-6
"""Deviation of an edge map below which an image has no edges: rounding of float32."""
LEAST_PATCH = 8
"""Side of the patches in pixels, in images of up to 64; in larger ones an eighth of the side."""
EDGE_GRID = 32
"""Edges are blurred by 1.5 pixels in images of up to 32, by 1.5/32 of the side in larger ones, and compared on about
32 points a side."""
BLUR = 1.5
HIGHEST_ZERO = 0.99
CHUNK_VALUES = 2**19
NORMAL_95 = 1.959964


class Thresholds(Protocol):
    """What a set of stylised images is held to; specs of stylised sets have these fields."""

    @property
    def min_texture_removed(self) -> float:
        """Least mean of the texture removed."""

    @property
    def min_shape_kept(self) -> float:
        """Least mean of the shape kept."""


def measure(original: NDArray[Any], stylised: NDArray[Any]) -> tuple[Array, Array]:
    """Measure a whole set of stylised images against their originals.

    *Texture removed*: the image is cut into square patches that overlap by half. Each patch, mean-free and under a Hann
    window, has a power spectrum, summed over the channels; of it the frequencies above 1.5 cycles per patch are kept
    and normalised to sum 1. The total-variation distance of original and stylised spectrum is averaged over the
    patches. A patch weighs as much as the share of these frequencies in its power, whatever its contrast: so the
    faint texture of a flat area counts more than a strong edge, which is shape. The result is 0 for equal spectra,
    1 for spectra that share no frequency or where nothing fine is left, and 0 for an original without texture.

    *Shape kept*: the length of the Sobel gradient of the blurred image, over all channels, is correlated between
    original and stylised image over the pixels: r. The zero level r₀ is the mean correlation of the stylised image
    with the *other* originals of the set, so that a common layout counts for nothing; kept is (r − r₀)/(1 − r₀),
    clipped to [0, 1], with r₀ bounded to [0, 0.99]. It is 1 for equal edges, about 0 for those of another image. Two
    images without edges agree (1), one without does not (0). It therefore depends on the set, which must be whole.

    Args:
        original: (N, C, H, W), uint8 or float in [0, 1]; may be memory-mapped, and is read in chunks.
        stylised: the same images stylised, of the same shape.

    Returns:
        texture_removed and shape_kept, float64 (N,), in [0, 1].

    Raises:
        ValueError: the shapes differ, or the side is under 8 pixels.
    """
    if original.shape != stylised.shape or original.ndim != 4:
        raise ValueError(f"images have shapes {original.shape} and {stylised.shape}; both must be (N, C, H, W)")
    if min(original.shape[-2:]) < LEAST_PATCH:
        raise ValueError(f"images of {original.shape[-2:]} pixels are too small; at least {LEAST_PATCH} are needed")
    count = len(original)
    chunk = max(1, CHUNK_VALUES // max(1, int(np.prod(original.shape[1:]))))
    removed, agreement = np.empty(count), EdgeAgreement(count)
    parts = [slice(first, min(first + chunk, count)) for first in range(0, count, chunk)]
    for part in parts:
        before, after = (_unit_range(images[part]) for images in (original, stylised))
        removed[part] = texture_distance(before, after)
        agreement.add(part, edge_map(before), edge_map(after))
    # Computed twice instead of kept: the edge maps of a set take several times the memory of its images.
    kept = [agreement.kept(part, edge_map(_unit_range(stylised[part]))) for part in parts]
    return removed, np.concatenate([np.empty(0), *kept])


def _unit_range(images: NDArray[Any]) -> Array:
    values = np.asarray(images, dtype=np.float64)
    return values / 255 if images.dtype == np.uint8 else values


def texture_distance(original: Array, stylised: Array) -> Array:
    """Return the texture removed of each image, (N, C, H, W) → (N,); see ``measure``."""
    power, weight = _fine_spectra(original)
    other, left = _fine_spectra(stylised)
    distance = 0.5 * np.abs(_shares(power) - _shares(other)).sum(axis=-1)
    distance = np.where(left > 0, distance, 1.0)
    total = weight.sum(axis=1)
    return np.asarray((weight * distance).sum(axis=1) / np.where(total > 0, total, 1.0)).clip(0, 1)


def _shares(power: Array) -> Array:
    total = power.sum(axis=-1, keepdims=True)
    return np.asarray(power / np.where(total > 0, total, 1.0))


def _fine_spectra(images: Array) -> tuple[Array, Array]:
    """Return the fine part of each patch's power, (N, patches, frequencies), and its share of the whole.

    The share is (N, patches), 0 where the fine part is below ``LEVEL``.
    """
    count, channels, height, width = images.shape
    side = max(LEAST_PATCH, min(height, width) // 8)
    step = side // 2
    views = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(-2, -1))
    patches = views[:, :, _starts(height, side, step)][:, :, :, _starts(width, side, step)]
    patches = patches.reshape(count, channels, -1, side, side)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side)
    window = np.outer(hann, hann)
    window /= window.sum()
    free = patches - (patches * window).sum(axis=(-2, -1), keepdims=True)
    # The whole spectrum: in half of it, conjugate frequencies would need weights.
    power = (np.abs(np.fft.fft2(free * window)) ** 2).sum(axis=1).reshape(count, -1, side * side)
    cycles = np.fft.fftfreq(side, 1 / side)
    fine = power[..., np.hypot(cycles[:, None], cycles).ravel() > COARSE]
    # By Parseval's theorem; equal to the variance of a wave that fills the patch.
    variance = fine.sum(axis=-1) / (side * side * (window**2).sum())
    whole = power.sum(axis=-1)
    return fine, np.where(variance > LEVEL**2, fine.sum(axis=-1) / np.where(whole > 0, whole, 1.0), 0.0)


def _starts(length: int, side: int, step: int) -> NDArray[np.int64]:
    """Return where patches begin: every ``step``, and at the end."""
    return np.unique(np.append(np.arange(0, length - side + 1, step), length - side))


def edge_map(images: Array) -> Array:
    """Return the Sobel magnitude of the blurred images over all channels, subsampled: (N, C, H, W) → (N, P).

    Borders are replicated.
    """
    side = min(images.shape[-2:])
    thin = max(1, side // EDGE_GRID)
    blurred = _convolve(images, _gaussian(BLUR * max(1.0, side / EDGE_GRID)))
    smooth, slope = np.array([1.0, 2.0, 1.0]) / 4, np.array([1.0, 0.0, -1.0]) / 2
    rows, columns = _convolve(blurred, slope, smooth), _convolve(blurred, smooth, slope)
    length = np.sqrt((rows**2 + columns**2).sum(axis=1))
    return np.ascontiguousarray(length[:, thin // 2 :: thin, thin // 2 :: thin].reshape(len(images), -1))


def _gaussian(sigma: float) -> Array:
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())


def _convolve(images: Array, vertical: Array, horizontal: Array | None = None) -> Array:
    """Convolve rows and columns with a kernel of odd length each; borders are replicated."""
    for axis, kernel in ((-2, vertical), (-1, vertical if horizontal is None else horizontal)):
        reach = len(kernel) // 2
        length = images.shape[axis]
        places = np.clip(np.arange(-reach, length + reach), 0, length - 1)
        padded = np.take(images, places, axis=axis)
        parts = (
            weight * np.take(padded, range(k, k + length), axis=axis) for k, weight in enumerate(kernel[::-1]) if weight
        )
        images = np.asarray(sum(parts))
    return images


def edge_agreement(original: Array, stylised: Array) -> Array:
    """Return the shape kept of each image from the edge maps of the whole set, (N, P) each → (N,); see ``measure``."""
    agreement, everything = EdgeAgreement(len(original)), slice(0, len(original))
    agreement.add(everything, original, stylised)
    return agreement.kept(everything, stylised)


class EdgeAgreement:
    """The shape kept of each image of a set whose edge maps come part by part, twice: see ``measure``.

    First every part is added in order, which makes the sum of all originals' maps; then each image is asked for.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.matched, self.edged = np.empty(count), np.empty(count, dtype=bool)
        self.total: Array = np.empty(0)

    def add(self, part: slice, original: Array, stylised: Array) -> None:
        """Take in the edge maps (n, P) of the images ``part`` of the set."""
        (own, edged), (other, other_edged) = _standardised(original), _standardised(stylised)
        self.matched[part] = (own * other).sum(axis=1)
        self.edged[part] = edged | other_edged
        # Row after row, so that the sum does not depend on the parts.
        before = self.total[None] if part.start else own[:0]
        self.total = np.concatenate([before, own]).sum(axis=0)

    def kept(self, part: slice, stylised: Array) -> Array:
        """Return the shape kept (n,) of the images ``part``, all of which have been added."""
        other, matched = _standardised(stylised)[0], self.matched[part]
        mismatched = (other @ self.total - matched) / max(1, self.count - 1)
        zero = np.clip(mismatched, 0, HIGHEST_ZERO)
        kept = np.clip((matched - zero) / (1 - zero), 0, 1)
        return np.asarray(np.where(self.edged[part], kept, 1.0))


def _standardised(maps: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return maps of mean 0 and norm 1, those without edges as zeros, and which ones have edges."""
    free = maps - maps.mean(axis=1, keepdims=True)
    edged = free.std(axis=1) > FLAT
    norm = np.linalg.norm(free, axis=1, keepdims=True)
    return np.where(edged[:, None], free / np.where(norm > 0, norm, 1.0), 0.0), edged


def check(texture_removed: Array, shape_kept: Array, spec: Thresholds, name: str) -> None:
    """Refuse a set that is not stylised: texture still there, or shape lost.

    A mean fails where it lies below its threshold by more than chance: where the upper end of its 95 % interval
    (normal, over the images) does. One image alone has no interval, so its value decides.

    Raises:
        UserError: a mean fails; the text names both numbers, their thresholds and what helps.
        ValueError: there are no images.
    """
    if not len(texture_removed):
        raise ValueError(f"{name}: no images to check")
    removed, kept = _mean(texture_removed), _mean(shape_kept)
    told = (
        f"texture removed {_told(removed)}, at least {spec.min_texture_removed:g} is needed; "
        f"shape kept {_told(kept)}, at least {spec.min_shape_kept:g} is needed"
    )
    logger.info("%s: %s", name, told)
    remedies = []
    if sum(removed) < spec.min_texture_removed:
        remedies.append(
            "The texture is still there: raise detail, if it is coarse, or alpha, train the decoder for more steps, or "
            "use other styles, whose texture is as fine as the images' own."
        )
    if sum(kept) < spec.min_shape_kept:
        remedies.append(
            "The shape is lost: train the decoder for more steps, lower detail or alpha, or use other styles, with "
            "fewer strong edges of their own."
        )
    if remedies:
        raise UserError(
            f"{name}: the images are not usable as stylised ones: {told} (means over {len(texture_removed)} images, "
            f"with 95 % intervals). {' '.join(remedies)} The thresholds are min_texture_removed and min_shape_kept; "
            "look at contact_sheet.png before you lower them"
        )


def _mean(values: Array) -> tuple[float, float]:
    """Return the mean and half the width of its interval."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return float(np.mean(values)), NORMAL_95 * spread / len(values) ** 0.5


def _told(mean: tuple[float, float]) -> str:
    return f"{mean[0]:.3f} ± {mean[1]:.3f}"


def write_quality(path: str | Path, texture_removed: Array, shape_kept: Array) -> None:
    """Write the measures of each image as CSV, with six significant digits: image, texture_removed, shape_kept."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "texture_removed", "shape_kept"])
        for i, (removed, kept) in enumerate(zip(texture_removed.tolist(), shape_kept.tolist(), strict=True)):
            writer.writerow([i, f"{removed:.6g}", f"{kept:.6g}"])
