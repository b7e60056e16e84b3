"""Stylising images: a batch, and a whole set from file to file."""

import copy
import logging
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shapelens.artefacts.files import create_npy
from shapelens.artefacts.writing import atomic_path
from shapelens.models.classifier import prepare
from shapelens.models.evaluation_mode import still
from shapelens.models.within_memory import Fitting, slices
from shapelens.stylisation.adain import Moments, blend, moments
from shapelens.stylisation.detail import Exchange
from shapelens.stylisation.fast_decoder import quick
from shapelens.stylisation.networks import StyleNet, check_side

log = logging.getLogger("shapelens")

Precision = Literal["fp32", "bf16"]


class Stylist:
    """Networks made ready to stylise: on a device, without gradients, with the fast decoder.

    ``bf16`` computes convolutions in bfloat16, where that is native about twice as fast; statistics, and what is
    returned, are float32 always. The networks that are passed in are left as they are.
    """

    def __init__(self, networks: StyleNet, device: torch.device | str, precision: Precision = "fp32") -> None:
        self.device = torch.device(device)
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.layout = networks.encoder.layout
        self.fitting = Fitting()
        encoder, decoder = StyleNet(*copy.deepcopy(networks)).to(device)
        # The fast decoder sums weights in float32; only the sums are rounded.
        self.decoder = quick(decoder).to(self.dtype).to(memory_format=torch.channels_last)
        self.encoder = encoder.to(self.dtype)

    def encode(self, images: NDArray[Any]) -> Tensor:
        """Return the features of images (N, 3, H, W), uint8 or float in [0, 1]; raises UserError for tiny ones."""
        check_side(self.layout, *images.shape[-2:])
        x = prepare(torch.from_numpy(np.array(images)).to(self.device), None)
        with still(self.encoder), torch.inference_mode():
            features: Tensor = self.encoder(x.to(self.dtype).contiguous(memory_format=torch.channels_last))
        return features

    def statistics(self, images: NDArray[Any], chosen: NDArray[np.int64], batch: int) -> Moments:
        """Return the channel statistics of the features of some style images, batch by batch; kept on the CPU."""

        def describe(group: NDArray[np.int64], size: int) -> list[Moments]:
            return [moments(self.encode(images[group[part]])).to("cpu") for part in slices(len(group), size)]

        groups = [chosen[rows] for rows in slices(len(chosen), batch)]
        with torch.inference_mode():
            parts = [part for group in groups for part in self.fitting.fit(len(group), partial(describe, group))]
            return Moments(torch.cat([p.mean for p in parts]), torch.cat([p.deviation for p in parts]))

    def stylise(self, images: NDArray[Any], style: Moments, alpha: float) -> NDArray[np.float32]:
        """Return images (N, 3, H, W) in the styles given by statistics, of N or of 1, clipped to [0, 1].

        The decoder rounds sides up to a multiple of its scale; the surplus is cropped. Where the device lacks memory,
        images are taken in parts.
        """

        def stylise(size: int) -> NDArray[np.float32]:
            found = [
                self._stylise(images[part], style if len(style.mean) == 1 else style.take(part), alpha)
                for part in slices(len(images), size)
            ]
            return found[0] if len(found) == 1 else np.concatenate(found)

        return self.fitting.fit(len(images), stylise)

    def _stylise(self, images: NDArray[Any], style: Moments, alpha: float) -> NDArray[np.float32]:
        height, width = images.shape[-2:]
        with still(self.decoder), torch.inference_mode():
            features = blend(self.encode(images), style.to(self.device), alpha)
            decoded = self.decoder(features)[:, :, :height, :width]
            result: NDArray[np.float32] = decoded.float().clamp(0, 1).cpu().contiguous().numpy()
        return result


def stylise_set(
    stylist: Stylist,
    images: NDArray[Any],
    contents: NDArray[np.int64],
    styles: NDArray[Any],
    style_of: NDArray[np.int64],
    alpha: float,
    path: str | Path,
    *,
    batch: int,
    exchange: Exchange | None = None,
) -> None:
    """Write stylised images to a .npy file, float32 (M, 3, H, W) in [0, 1].

    Memory is that of one batch, and of two numbers per style image and channel: the statistics of every style that is
    used are computed once. The file takes its name when it is whole.

    Args:
        stylist: the networks.
        images: content images (N, 3, H, W), uint8 or float in [0, 1]; may be memory-mapped.
        contents: (M,), indices of the content images, in the order in which results are stored.
        styles: style images (S, 3, h, w), likewise.
        style_of: (M,), index of each result's style image.
        alpha: strength in [0, 1].
        path: the file.
        batch: images per pass.
        exchange: gives what was decoded the detail of its style; None: it keeps its own.
    """
    used, place = np.unique(style_of, return_inverse=True)
    statistics = stylist.statistics(styles, used, batch)
    with atomic_path(path) as temporary:
        shape = (len(contents), *images.shape[1:])
        stored = create_npy(temporary, np.float32, shape)
        for first in range(0, len(contents), batch):
            rows = slice(first, first + batch)
            style = statistics.take(torch.from_numpy(place[rows]))
            stylised = stylist.stylise(images[contents[rows]], style, alpha)
            stored[rows] = stylised if exchange is None else exchange(stylised, styles[style_of[rows]], first)
            log.info("%d of %d images stylised", min(first + batch, len(contents)), len(contents))
        stored.flush()
        del stored
