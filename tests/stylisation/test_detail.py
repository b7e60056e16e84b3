"""Exchanging detail: closed forms of the filter and the noise, and which cue a picture has afterwards."""

import numpy as np
import pytest
import torch
from torch import Tensor

from shapelens.stylisation.detail import Exchange, coarse, noise_like
from shapelens.transforms.pairs import conflict_pairs

from ..known_answer.drawing import FAMILIES, Known, draw

SIDE = 32


def images(known: Known, count: int = 24) -> np.ndarray:
    return draw(known, count, "both", "test").images


def step(low: float = 0.4, high: float = 0.6) -> Tensor:
    values = torch.full((1, 3, SIDE, SIDE), low)
    values[..., SIDE // 2 :] = high
    return values


def stripes(period: int, amplitude: float = 0.09) -> Tensor:
    down = torch.arange(SIDE) // (period // 2) % 2 * 2.0 - 1
    return amplitude * down[:, None].expand(1, 3, SIDE, SIDE)


def test_a_flat_image_stays_and_colours_are_averages() -> None:
    flat = torch.tensor([0.2, 0.5, 0.9])[None, :, None, None].expand(2, 3, 16, 16)
    torch.testing.assert_close(coarse(flat, 2.0), flat)
    noisy = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = coarse(noisy, 2.0)
    assert noisy.min() < found.min() and found.max() < noisy.max()
    # Beyond the image there is nothing to reach for: a huge scale gives the mean.
    small = 0.5 + 0.05 * noisy[..., :5, :9]
    torch.testing.assert_close(
        coarse(small, 100.0), small.mean((2, 3), keepdim=True).expand_as(small), atol=0.02, rtol=0
    )


@pytest.mark.parametrize("contrast", [0.15, 0.3, 0.6])
def test_stripes_go_and_the_edge_stays_where_it_was(contrast: float) -> None:
    edge = step(0.5 - contrast / 2, 0.5 + contrast / 2)
    found = coarse(edge + stripes(4), 2.0)
    assert found.std(dim=-2).max() < 0.01 + 0.1 * 0.09  # along the edge nothing alternates
    slope = found[0, 0, SIDE // 2].diff()
    assert slope.argmax() == SIDE // 2 - 1
    assert slope.max() > 0.7 * contrast  # a Gaussian leaves a fifth of the step there


def test_noise_has_the_spectrum_of_the_detail_and_other_places() -> None:
    generator = torch.Generator().manual_seed(0)
    detail, phases = (torch.randn(4, n, 16, 16, generator=generator) for n in (3, 1))
    found = noise_like(detail, phases)
    spectra = [torch.fft.fft2(values) for values in (detail, found)]
    torch.testing.assert_close(spectra[1].abs(), spectra[0].abs(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.mean((2, 3)), detail.mean((2, 3)), rtol=1e-4, atol=1e-6)
    # Channels keep their correlation: their cross-spectra are equal.
    cross = [values[:, 0] * values[:, 1].conj() for values in spectra]
    torch.testing.assert_close(cross[1], cross[0], rtol=1e-3, atol=1e-1)
    together = torch.stack([found.flatten(), detail.flatten()])
    assert torch.corrcoef(together)[0, 1].abs() < 0.1


def test_an_image_does_not_depend_on_its_batch() -> None:
    content, style = images(Known(), 6), images(Known(family="signs"), 6)
    whole = Exchange(2.0, 3)(content, style, 0)
    np.testing.assert_allclose(Exchange(2.0, 3)(content[4:], style[4:], 4), whole[4:], atol=1e-5)
    np.testing.assert_allclose(Exchange(2.0, 3)(content / 255, style / 255, 0), whole, atol=1e-5)
    assert np.abs(Exchange(2.0, 4)(content, style, 0) - whole).max() > 0.05
    assert whole.dtype == np.float32 and whole.min() >= 0 and whole.max() <= 1


def patch_spectra(pictures: np.ndarray) -> np.ndarray:
    """Describe texture without place and outline: the mean spectrum of all patches of 8 pixels, (N, frequencies)."""
    grey = (pictures / 255 if pictures.dtype == np.uint8 else pictures).mean(axis=1)
    views = np.lib.stride_tricks.sliding_window_view(grey, (8, 8), axis=(1, 2))[:, ::2, ::2]
    views = views - views.mean(axis=(-2, -1), keepdims=True)
    power = np.square(np.abs(np.fft.fft2(views * np.outer(np.hanning(8), np.hanning(8))))).reshape(*views.shape[:3], 64)
    shares = np.sqrt(power / (power.sum(axis=-1, keepdims=True) + 1e-4))
    return np.asarray(shares.reshape(len(pictures), -1, 64).mean(axis=1))


def thumbnails(pictures: np.ndarray) -> np.ndarray:
    """Describe layout without texture: block means of 4 pixels, (N, 64), of mean 0."""
    values = pictures.reshape(len(pictures), 3, 8, 4, 8, 4).mean(axis=(1, 3, 5)).reshape(len(pictures), -1)
    return np.asarray(values - values.mean(axis=1, keepdims=True))


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_texture_is_the_styles_and_the_layout_the_contents(family: str, everywhere: bool) -> None:
    """A reader of patches, which sees no outline, names the style's class; each thumbnail is still its content's."""
    known = Known(family=family, everywhere=everywhere, coloured=False)  # type: ignore[arg-type]
    train, source = draw(known, 200, "texture", "train"), draw(known, 40, "both", "test")
    contents, styles = conflict_pairs(source.labels, 0)
    made = Exchange(2.0, 0)(source.images[contents], source.images[styles], 0)
    described = patch_spectra(train.images)
    centres = np.stack([described[train.labels == label].mean(axis=0) for label in range(4)])

    def named(pictures: np.ndarray) -> np.ndarray:
        return np.asarray(np.square(patch_spectra(pictures)[:, None] - centres).sum(axis=2).argmin(axis=1))

    if everywhere:  # on a small object the reader sees too few whole patches
        assert (named(source.images) == source.labels).all()
    texture = named(made)
    assert (texture == source.labels[styles]).mean() > 0.6
    assert (texture == source.labels[contents]).mean() < 0.2
    likeness = np.abs(np.corrcoef(thumbnails(made), thumbnails(source.images))[:40, 40:])
    assert (likeness.argmax(axis=1) == contents).mean() > 0.9
