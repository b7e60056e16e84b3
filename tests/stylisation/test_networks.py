"""Encoder and decoder: the published layout by name and shape, any side, and the decoder that saves work."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shapelens.errors import UserError
from shapelens.stylisation.apply import Stylist
from shapelens.stylisation.fast_decoder import quick
from shapelens.stylisation.networks import VGG19, Decoder, Encoder, Layout, StyleNet, build, convolutions, least_side
from shapelens.stylisation.published import read_published

# (place, outputs, inputs) of every convolution of the published files; the encoder's 3×3 ones, up to relu5_4.
PUBLISHED_ENCODER = [
    (2, 64, 3), (5, 64, 64), (9, 128, 64), (12, 128, 128), (16, 256, 128), (19, 256, 256), (22, 256, 256),
    (25, 256, 256), (29, 512, 256), (32, 512, 512), (35, 512, 512), (38, 512, 512), (42, 512, 512), (45, 512, 512),
    (48, 512, 512), (51, 512, 512),
]  # fmt: skip
PUBLISHED_DECODER = [
    (1, 256, 512), (5, 256, 256), (8, 256, 256), (11, 256, 256), (14, 128, 256), (18, 128, 128), (21, 64, 128),
    (25, 64, 64), (28, 3, 64),
]  # fmt: skip
SMALL = Layout((4, 6, 5), (2, 1))


def state(layers: list[tuple[int, int, int]], seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for place, outputs, inputs in layers:
        # Scaled so that activations neither vanish nor explode.
        tensors[f"{place}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * (2 / 9 / inputs) ** 0.5
        tensors[f"{place}.bias"] = torch.randn(outputs, generator=generator) * 0.1
    return tensors


def encoder_state(last: int = 51) -> dict[str, Tensor]:
    colours = {"0.weight": torch.eye(3).flip(0)[:, :, None, None] * 2, "0.bias": torch.tensor([-1.0, -0.9, -1.1])}
    return colours | state([layer for layer in PUBLISHED_ENCODER if layer[0] <= last], 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("published")
    torch.save(encoder_state(), folder / "vgg_normalised.pth")
    torch.save(state(PUBLISHED_DECODER, 1), folder / "decoder.pth")
    return folder / "vgg_normalised.pth", folder / "decoder.pth"


def test_the_largest_instance_is_the_published_one() -> None:
    for network, tensors in ((Encoder(VGG19), encoder_state(29)), (Decoder(VGG19), state(PUBLISHED_DECODER, 1))):
        found = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        assert found == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    encoder = Encoder(VGG19)
    assert (len(encoder), len(Decoder(VGG19)), encoder.taps) == (31, 29, (3, 10, 17, 30))
    pools = [place for place, module in enumerate(encoder) if isinstance(module, nn.MaxPool2d)]
    assert pools == [7, 14, 27]
    doublings = [p for p, module in enumerate(Decoder(VGG19)) if isinstance(module, nn.UpsamplingNearest2d)]
    assert doublings == [3, 16, 23]


def test_published_files_stylise_images_of_any_side(files: tuple[Path, Path]) -> None:
    networks = read_published(*files)
    torch.testing.assert_close(networks.encoder.state_dict()["29.weight"], encoder_state()["29.weight"])
    stylist = Stylist(networks, "cpu")
    rng = np.random.default_rng(0)
    style = stylist.statistics(rng.integers(0, 256, (1, 3, 40, 40), dtype=np.uint8), np.arange(1), 1)
    for side in (32, 64, 227):
        images = rng.integers(0, 256, (1, 3, side, side), dtype=np.uint8)
        found = stylist.stylise(images, style, 1.0)
        assert found.shape == images.shape
        assert found.dtype == np.float32
        assert 0 <= found.min() < found.max() <= 1
    assert stylist.stylise(images[:, :, :50, :37], style, 0.5).shape == (1, 3, 50, 37)


def test_the_published_arithmetic_by_hand(files: tuple[Path, Path]) -> None:
    """The first stages against torch's functions, written out."""
    x = torch.rand(1, 3, 7, 7, generator=torch.Generator().manual_seed(3))
    weights = encoder_state()
    y = nn.functional.conv2d(x, weights["0.weight"], weights["0.bias"])
    for place in (2, 5):
        y = nn.functional.pad(y, (1, 1, 1, 1), mode="reflect")
        y = nn.functional.conv2d(y, weights[f"{place}.weight"], weights[f"{place}.bias"]).relu()
    y = nn.functional.max_pool2d(y, 2, ceil_mode=True)
    y = nn.functional.conv2d(
        nn.functional.pad(y, (1, 1, 1, 1), mode="reflect"), weights["9.weight"], weights["9.bias"]
    ).relu()
    first_stages = Encoder(Layout((64, 128), (2,)))
    first_stages.load_state_dict({name: weights[name] for name in first_stages.state_dict()})
    torch.testing.assert_close(first_stages(x), y)
    torch.testing.assert_close(first_stages.stages(x)[-1], y)
    assert y.shape[-1] == 4


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_file_that_runs_code_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    torch.save({"1.weight": _Evil(tmp_path / "ran")}, tmp_path / "decoder.pth")
    with pytest.raises(UserError, match="weights only"):
        read_published(files[0], tmp_path / "decoder.pth")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "decoder.pth", weights_only=True)
    torch.load(tmp_path / "decoder.pth", weights_only=False)
    assert (tmp_path / "ran").exists()  # it would have run


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"1.weight": torch.zeros(256, 512, 5, 5)}, "1.weight has shape"),
        ({"30.weight": torch.zeros(3)}, "30.weight has shape"),
        ({"28.bias": None}, "28.bias has shape none"),
    ],
)
def test_other_networks_are_refused(
    files: tuple[Path, Path], tmp_path: Path, change: dict[str, Tensor | None], named: str
) -> None:
    tensors = {name: value for name, value in (state(PUBLISHED_DECODER, 1) | change).items() if value is not None}
    torch.save(tensors, tmp_path / "other.pth")
    with pytest.raises(UserError, match=named):
        read_published(files[0], tmp_path / "other.pth")
    with pytest.raises(UserError, match="is not the published encoder"):
        read_published(files[1], files[1])


@pytest.mark.parametrize("layout", [Layout((3,), ()), Layout((3, 4), (1,)), Layout((3, 4), (3,)), SMALL])
def test_the_decoder_mirrors_the_encoder(layout: Layout) -> None:
    networks = build(layout, [0.4, 0.5, 0.6], [0.2, 0.25, 0.3], 0)
    shapes = [
        [(conv.in_channels, conv.out_channels) for conv in convolutions(network)][
            :: 1 if network is networks[0] else -1
        ]
        for network in networks
    ]
    assert shapes[0] == [(outputs, inputs) for inputs, outputs in shapes[1]]
    side = max(11, least_side(layout))
    decoded = networks.decoder(networks.encoder(torch.rand(2, 3, side, side)))
    block = 2 ** (len(layout.widths) - 1)
    assert decoded.shape == (2, 3, -(-side // block) * block, -(-side // block) * block)


def test_the_first_layer_removes_the_channel_statistics() -> None:
    networks = build(SMALL, [0.4, 0.5, 0.6], [0.2, 0.25, 0.3], 0)
    flat = torch.tensor([0.4, 0.75, 0.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(networks.encoder[0](flat).flatten(), torch.tensor([0.0, 1.0, -2.0]))


def test_the_least_side_is_the_least() -> None:
    networks = build(SMALL, [0.5] * 3, [0.25] * 3, 0)
    stylist = Stylist(networks, "cpu")
    side = least_side(SMALL)
    stylist.encode(np.zeros((1, 3, side, side), dtype=np.uint8))
    with pytest.raises(UserError, match="too small"):
        stylist.encode(np.zeros((1, 3, side - 1, side), dtype=np.uint8))


def test_weights_come_from_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (build(SMALL, [0.5] * 3, [0.25] * 3, seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.decoder.parameters(), again.decoder.parameters(), strict=True))
    assert not torch.equal(first.encoder[2].weight, other.encoder[2].weight)


def test_the_quick_decoder_equals_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = build(SMALL, [0.5] * 3, [0.25] * 3, 0).decoder.double().requires_grad_(False)
    encoding = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    quickly, expected = quick(decoder), decoder(encoding)
    assert (quickly(encoding) - expected).abs().max() < 1e-12
    # Another border would be seen.
    monkeypatch.setattr(nn.functional, "pad", lambda x, width, mode: torch.constant_pad_nd(x, width))
    assert (quickly(encoding) - expected).abs().max() > 1e-3


def test_a_stylist_leaves_the_networks_as_they_are() -> None:
    networks = build(SMALL, [0.5] * 3, [0.25] * 3, 0)
    networks.decoder.train()
    Stylist(networks, "cpu", "bf16")
    assert networks.decoder.training
    assert {p.dtype for network in networks for p in network.parameters()} == {torch.float32}
    assert isinstance(networks, StyleNet)
