"""Where in a checkpoint a network lies: prefixes, names of other code bases, several networks, a normalisation."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from shapelens.errors import UserError

Shapes = Mapping[str, tuple[int, ...]]

# Parts of a ResNet as they are named in widespread CIFAR code, and by torchvision.
ALIASES = (("shortcut.", "downsample."), ("convShortcut.", "downsample.0."), ("linear.", "fc."))
AVERAGED = re.compile(r"(^|[._])(ema|swa|avg|averaged?)([._]|$)")
"""Names under which checkpoints keep weights averaged over the training."""
COUNTERS = re.compile(
    r"(^|[._])(num_batches_tracked|n_averaged|num_updates|decay|total_ops|total_params|global_step|step|epoch)$"
)
"""Tensors that decide no answer."""
UNUSED = re.compile(r"(^|\.)sub_block1\.")
"""A block that TRADES' WideResNet builds and never applies (Zhang et al. 2019, released code)."""
MEAN = re.compile(r"^(\w*_)?(mean|means|mu)$")
NAMES_OF_STD = {"mean": "std", "means": "stds", "mu": "sigma"}


@dataclass(frozen=True)
class Place:
    """A network's tensors in a checkpoint."""

    prefix: str
    names: dict[str, str]
    """The network's names → the checkpoint's."""
    missing: tuple[str, ...]
    wrong: tuple[str, ...]
    """The network's names of tensors that have another shape."""
    extra: tuple[str, ...]
    """Names of tensors below the prefix that the network has no place for."""

    @property
    def fits(self) -> bool:
        """Whether everything is there that the network needs."""
        return not self.missing and not self.wrong


def find_places(state: Mapping[str, Tensor], expected: Shapes, optional: Iterable[str] = ()) -> list[Place]:
    """Return every place in a checkpoint at which a whole network lies; otherwise the best one that does not fit.

    ``expected``: shapes of the network's tensors by name; ``optional``: names whose shape may differ (a last layer).
    The order is that of the file's names, never that of a set.
    """
    needed = [name for name in expected if not COUNTERS.search(name)]
    counts: dict[str, int] = {"": len(state)}
    for name in state:
        for prefix in accumulate(f"{part}." for part in name.split(".")[:-1]):
            counts[prefix] = counts.get(prefix, 0) + 1
    likely = [prefix for prefix, count in counts.items() if 2 * count >= len(needed)]
    places = [_place(state, prefix, expected, needed, set(optional)) for prefix in likely]
    whole = [place for place in places if place.fits]
    return whole or [min(places, key=lambda place: (len(place.missing), len(place.extra), place.prefix))]


def _place(state: Mapping[str, Tensor], prefix: str, expected: Shapes, needed: list[str], optional: set[str]) -> Place:
    names: dict[str, str] = {}
    for name in state:
        if name.startswith(prefix):
            own = name[len(prefix) :]
            names.setdefault(own if own in expected else _alias(own), name)
    known = {own: name for own, name in names.items() if own in expected}
    wrong = [own for own, name in known.items() if own not in optional and tuple(state[name].shape) != expected[own]]
    return Place(
        prefix,
        known,
        tuple(name for name in needed if name not in known),
        tuple(wrong),
        tuple(name for own, name in names.items() if own not in expected),
    )


def _alias(name: str) -> str:
    for other, ours in ALIASES:
        name = re.sub(rf"(^|\.){re.escape(other)}", rf"\g<1>{ours}", name)
    return name


def choose_place(
    state: Mapping[str, Tensor], places: list[Place], prefix: str | None, source: str, said: list[str]
) -> Place:
    """Return the place that ``prefix`` names, or the only one; equal copies count as one.

    Where one of two is the average of the other over its training, the one that was trained is taken, and ``said`` is
    told. Raises UserError for several different networks, and for a prefix that is not there.
    """
    if prefix is not None:
        found = [place for place in places if _is_part(prefix, place.prefix)]
        if not found:
            there = ", ".join(_shown(place) for place in places)
            raise UserError(f"prefix: {source} has no such network below {prefix!r}; it has one at {there}")
        places = found
    distinct = _distinct(state, places)
    if len(distinct) == 1:
        return distinct[0]
    trained = [place for place in distinct if not AVERAGED.search(place.prefix)]
    if len(trained) != 1:
        there = " and ".join(_shown(place) for place in distinct)
        raise UserError(
            f"weights: {source} holds {len(distinct)} networks of this architecture that differ, at {there}; say which "
            f"is meant, for instance `prefix: {distinct[0].prefix.rstrip('.') or distinct[1].prefix.rstrip('.')}`"
        )
    others = ", ".join(_shown(place) for place in distinct if place is not trained[0])
    said.append(
        f"the file holds weights averaged over the training too, at {others}; those at {_shown(trained[0])} are used "
        f"(prefix: {next(p for p in distinct if p is not trained[0]).prefix.rstrip('.')} takes the average)"
    )
    return trained[0]


def _is_part(wanted: str, prefix: str) -> bool:
    return f".{wanted.strip('.')}." in f".{prefix}"


def _shown(place: Place) -> str:
    return place.prefix.rstrip(".") or "the top"


def _distinct(state: Mapping[str, Tensor], places: list[Place]) -> list[Place]:
    found: list[Place] = []
    for place in places:
        if not any(_equal(state, place, other) for other in found):
            found.append(place)
    return found


def _equal(state: Mapping[str, Tensor], one: Place, other: Place) -> bool:
    pairs = [(one.names[name], other.names[name]) for name in one.names if name in other.names]
    return all(state[a].shape == state[b].shape and torch.equal(state[a], state[b]) for a, b in pairs)


@dataclass(frozen=True)
class Statistics:
    """The input normalisation that a checkpoint brings."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Empty where the checkpoint has a mean alone."""
    names: tuple[str, ...]
    """Its tensors in the checkpoint."""


def statistics_of(state: Mapping[str, Tensor], names: Iterable[str], source: str) -> Statistics | None:
    """Return the normalisation beside a network, from names such as ``0.mean`` and ``0.std``, ``mu`` and ``sigma``.

    ``names``: tensors that the network has no place for. Values for pixels from 0 to 255 are brought to [0, 1]; a mean
    may stand without its deviation. Raises UserError for two that differ.
    """
    left = set(names)
    found: dict[tuple[tuple[float, ...], tuple[float, ...]], list[str]] = {}
    for name in sorted(left):
        parent, dot, last = name.rpartition(".")
        match = MEAN.match(last)
        if match is None or state[name].numel() not in (1, 3):
            continue
        partner = parent + dot + (match[1] or "") + NAMES_OF_STD[match[2]]
        used = [name, partner] if partner in left else [name]
        mean = tuple(state[name].double().flatten().tolist())
        std = tuple(state[partner].double().flatten().tolist()) if partner in left else ()
        # No deviation of values in [0, 1] is above 1.
        scale = 255 if max(*mean, *std) > 1 else 1
        values = tuple(v / scale for v in mean), tuple(v / scale for v in std)
        found.setdefault(values, []).extend(used)
    if not found:
        return None
    if len(found) > 1:
        raise UserError(
            f"weights: {source} holds several input normalisations that differ, at "
            f"{', '.join(names[0] for names in found.values())}; give prefix and normalisation"
        )
    ((mean, std), used) = found.popitem()
    return Statistics(mean, std, tuple(used))


# Names of other code bases, tried where a network's own are not there

DENSE = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
BLOCK = re.compile(r"(^|.*\.)_blocks\.(\d+)\._(\w+)\.(.*)")
EXPANDED = {
    "expand_conv": "conv_pw",
    "bn0": "bn1",
    "depthwise_conv": "conv_dw",
    "bn1": "bn2",
    "project_conv": "conv_pwl",
    "bn2": "bn3",
    "se_reduce": "se.conv_reduce",
    "se_expand": "se.conv_expand",
}
SEPARABLE = {**EXPANDED, "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}
AROUND = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


def old_densenet(name: str) -> str:
    """Rename a tensor of torchvision's DenseNets as they were published: ``denselayer1.norm.1.weight``."""
    return DENSE.sub(r"\1\2", name)


def efficientnet_pytorch(names: Iterable[str], expected: Shapes) -> Callable[[str], str]:
    """Return what turns names of the package EfficientNet-PyTorch into timm's, whose blocks lie in stages."""
    blocks = list(dict.fromkeys(match[0] for name in expected if (match := re.match(r"blocks\.\d+\.\d+\.", name))))
    expanded = {match[2] for name in names if (match := BLOCK.match(name)) and match[3] == "expand_conv"}

    def rename(name: str) -> str:
        if match := BLOCK.match(name):
            parts = EXPANDED if match[2] in expanded else SEPARABLE
            if int(match[2]) < len(blocks) and match[3] in parts:
                return f"{match[1]}{blocks[int(match[2])]}{parts[match[3]]}.{match[4]}"
            return name
        return ".".join(AROUND.get(part, part) for part in name.split("."))

    return rename


def renamed(state: Mapping[str, Tensor], arch: str, expected: Shapes) -> list[tuple[dict[str, Tensor], str]]:
    """Return the checkpoint under the names of other code bases that publish this architecture, with their names.

    Only those whose networks compute the same: EfficientNet-PyTorch pads as TensorFlow does, so only timm's ``tf_``.
    """
    found = []
    if "denselayer1" in " ".join(expected):
        found.append(({old_densenet(name): tensor for name, tensor in state.items()}, "torchvision's older names"))
    if arch.startswith("timm:tf_efficientnet"):
        rename = efficientnet_pytorch(state, expected)
        found.append(({rename(name): tensor for name, tensor in state.items()}, "the names of EfficientNet-PyTorch"))
    return found
