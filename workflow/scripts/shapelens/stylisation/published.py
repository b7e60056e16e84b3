"""The published networks: VGG-19 and its decoder, read once by torch's weights-only loader.

The layout is that of the files vgg_normalised.pth and decoder.pth which accompany the best known implementation of
Huang & Belongie 2017 in PyTorch (github.com/naoto0804/pytorch-AdaIN, release v0.0.0): a sequence of tensors named
by place. The encoder's file goes on to relu5_4; what lies beyond relu4_1 is not used.
"""

import re
from pathlib import Path

from torch import Tensor, nn

from shapelens.errors import UserError
from shapelens.models.weights import read_state
from shapelens.stylisation.networks import VGG19, Decoder, Encoder, StyleNet

NAME = re.compile(r"(\d+)\.(weight|bias)")


def read_published(encoder: str | Path, decoder: str | Path) -> StyleNet:
    """Read both files (.pth or .safetensors); nothing in them is run.

    Raises UserError for a file that is missing, is more than weights, or holds other tensors than these networks'.
    """
    networks = StyleNet(Encoder(VGG19), Decoder(VGG19))
    _load(networks.encoder, encoder, "encoder", beyond=True)
    _load(networks.decoder, decoder, "decoder", beyond=False)
    return networks


def _load(network: nn.Sequential, path: str | Path, key: str, *, beyond: bool) -> None:
    """Load a file's tensors by name; ``beyond``: tensors of modules behind the network's last one are left out."""
    state = read_state(path)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    used = {name: tensor for name, tensor in state.items() if not (beyond and _place(name) >= len(network))}
    found = {name: tuple(tensor.shape) for name, tensor in used.items()}
    wrong = sorted(set(expected.items()) ^ set(found.items()))
    if wrong:
        name = wrong[0][0]
        raise UserError(
            f"{key}: {path} is not the published {key}: {name} has shape {found.get(name, 'none')}, but "
            f"{expected.get(name, 'none')} is needed ({len({name for name, _ in wrong})} tensors differ); give "
            f"{'vgg_normalised.pth' if key == 'encoder' else 'decoder.pth'}, or train networks (source: trained)"
        )
    floats: dict[str, Tensor] = {name: tensor.float() for name, tensor in used.items()}
    network.load_state_dict(floats)


def _place(name: str) -> int:
    match = NAME.fullmatch(name)
    return int(match[1]) if match else -1
