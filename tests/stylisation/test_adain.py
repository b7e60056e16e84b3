"""AdaIN: the style's statistics exactly, identities, constant channels; faults of known code are caught."""

import pytest
import torch
from torch import Tensor

from shapelens.stylisation.adain import Moments, adain, blend, moments

CONTENT = torch.randn(3, 5, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
# Weak and strong channels, on another grid than the content's.
STYLE = torch.randn(3, 5, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
STYLE = STYLE * torch.tensor([1e-3, 0.1, 1.0, 10.0, 0.0], dtype=torch.float64)[:, None, None] + 2


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Means and deviations by their definition, apart from the code under test."""
    mean = features.sum((2, 3)) / features[0, 0].numel()
    return mean, (features - mean[..., None, None]).square().mean((2, 3)).sqrt()


def furthest(found: Tensor, style: Tensor) -> float:
    pairs = zip(statistics(found), statistics(style), strict=True)
    return max(((a - b).abs() / b.abs().clamp_min(1e-3)).max().item() for a, b in pairs)


def with_offset(content: Tensor, style: Tensor, offset: float, own_ddof: int) -> Tensor:
    """Return AdaIN as public code has it: an offset under the root, or a deviation of another definition."""
    variance, mean = torch.var_mean(content, dim=(2, 3), correction=own_ddof, keepdim=True)
    wanted, centre = torch.var_mean(style, dim=(2, 3), correction=0, keepdim=True)
    return (content - mean) / (variance + offset).sqrt() * (wanted + offset).sqrt() + centre


def test_output_has_the_styles_statistics() -> None:
    assert furthest(adain(CONTENT, moments(STYLE)), STYLE) < 1e-9
    assert furthest(adain(CONTENT.float(), moments(STYLE.float())).double(), STYLE) < 1e-3
    assert furthest(with_offset(CONTENT, STYLE, 0.0, 0), STYLE) < 1e-9


@pytest.mark.parametrize(("offset", "ddof"), [(1e-5, 0), (0.0, 1)])
def test_an_offset_and_another_deviation_would_be_seen(offset: float, ddof: int) -> None:
    assert furthest(with_offset(CONTENT, STYLE, offset, ddof), STYLE) > 1e-5


def test_own_statistics_change_nothing() -> None:
    torch.testing.assert_close(adain(CONTENT, moments(CONTENT)), CONTENT, rtol=0, atol=1e-12)


def test_a_batch_equals_its_images() -> None:
    whole = adain(CONTENT, moments(STYLE))
    for i in range(3):
        torch.testing.assert_close(whole[i : i + 1], adain(CONTENT[i : i + 1], moments(STYLE[i : i + 1])))
    for_all = adain(CONTENT, moments(STYLE).take(slice(1, 2)))
    torch.testing.assert_close(for_all[1], whole[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", [0.0, 0.1, 1e4])
def test_a_constant_channel_becomes_the_styles_mean(dtype: torch.dtype, level: float) -> None:
    content = torch.full((1, 5, 9, 9), level, dtype=dtype)
    content[:, :, ::2] *= 1 + torch.finfo(dtype).eps  # what rounding leaves of a constant
    wanted = moments(STYLE[:1].to(dtype))
    found = adain(content, wanted)
    torch.testing.assert_close(found, wanted.mean.expand_as(found))


def test_alpha_blends_from_the_content_to_the_styled_features() -> None:
    style = moments(STYLE)
    assert blend(CONTENT, style, 0.0) is CONTENT
    torch.testing.assert_close(blend(CONTENT, style, 1.0), adain(CONTENT, style))
    torch.testing.assert_close(blend(CONTENT, style, 0.25), 0.25 * adain(CONTENT, style) + 0.75 * CONTENT)


def test_half_precision_is_summed_in_float32() -> None:
    features = (torch.randn(1, 2, 64, 64, generator=torch.Generator().manual_seed(2)) + 5).bfloat16()
    found = moments(features)
    assert found.mean.dtype == torch.float32
    torch.testing.assert_close(found.deviation.flatten(), statistics(features.double())[1].flatten().float())
    assert adain(features, Moments(found.mean, found.deviation)).dtype == torch.bfloat16
