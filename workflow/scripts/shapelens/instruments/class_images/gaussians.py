"""Gaussians of each class's images at coarse grain, and draws of them (no torch)."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from shapelens.errors import UserError
from shapelens.seeds import generator

RIDGE = 1e-4
"""Added to every variance, so that a Gaussian of few images can be drawn from; as in the released code of Boychev."""

Floats = NDArray[np.float64]


def blocks(images: NDArray[np.floating], grain: int) -> NDArray[np.floating]:
    """Average images (N, C, H, W) over blocks of ``grain`` pixels; raises UserError where they do not fit the side."""
    n, c, h, w = images.shape
    if h % grain or w % grain:
        allowed = ", ".join(str(g) for g in range(1, min(h, w) + 1) if not (h % g or w % g))
        raise UserError(
            f"instruments.class_images.grain: {grain} does not divide the images' side, {h}; allowed: {allowed}"
        )
    averaged: NDArray[np.floating] = images.reshape(n, c, h // grain, grain, w // grain, grain).mean((3, 5))
    return averaged


class Gaussian:
    """A class's mean and the factor of its covariance at coarse grain."""

    def __init__(self, coarse: NDArray[np.floating]) -> None:
        """``coarse``: the class's images, averaged over blocks (n, C, h, w), n ≥ 1."""
        self.shape = coarse.shape[1:]
        flat = coarse.reshape(len(coarse), -1).astype(np.float64)
        self.mean: Floats = flat.mean(0)
        centred = flat - self.mean
        self.covariance: Floats = centred.T @ centred / max(1, len(flat) - 1) + RIDGE * np.eye(flat.shape[1])
        self._factor: Floats = np.linalg.cholesky(self.covariance)

    def draw(self, rng: np.random.Generator) -> Floats:
        """Draw one coarse image (C, h, w), unclipped."""
        drawn: Floats = (self.mean + self._factor @ rng.standard_normal(len(self.mean))).reshape(self.shape)
        return drawn


def fit(
    read: Callable[[NDArray[np.int64]], NDArray[np.floating]],
    labels: NDArray[np.integer],
    classes: int,
    grain: int,
    most: int,
) -> dict[int, Gaussian]:
    """Fit a Gaussian to each class that has images; ``read`` gives images (n, C, H, W) by their indices."""
    found = {}
    for label in range(classes):
        indices = np.flatnonzero(labels == label)[:most]
        if len(indices):
            found[label] = Gaussian(blocks(read(indices), grain))
    return found


def draw_seeds(
    gaussians: Mapping[int, Gaussian], label: int, count: int, grain: int, data_seed: int
) -> NDArray[np.float32]:
    """Draw images of a class (count, C, H, W) in [0, 1], constant within blocks; the same for every model."""
    drawn = [gaussians[label].draw(generator(data_seed, "class image", label, n)) for n in range(count)]
    coarse = np.clip(np.stack(drawn), 0, 1).astype(np.float32)
    return coarse.repeat(grain, 2).repeat(grain, 3)
