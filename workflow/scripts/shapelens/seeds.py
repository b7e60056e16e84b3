"""Every source of randomness: named generators for new draws, and the numbered streams that older draws keep.

A draw depends on its own seed and name alone, never on how often another was made. A number, once given, is never given
again: results of earlier versions would change.
"""

import hashlib
from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """Numbered draws from ``data_seed``; new ones take ``generator(data_seed, "name", …)`` instead."""

    PATCH_SHUFFLE = 1
    RANDOM_FILTER = 2
    ATTACK = 3
    CHOOSE_IMAGES = 4
    SMOOTHGRAD_NOISE = 5


class TrainingStream(IntEnum):
    """Numbered draws from a training seed, for ``derive``; those of the style networks begin at 10."""

    EPOCH = 0
    ATTACK = 1
    CHECK = 2
    STYLE_CONTENTS = 10
    STYLE_OWN = 11
    STYLE_PAINTINGS = 12


def generator(data_seed: int, *key: object) -> np.random.Generator:
    """Return a generator seeded by ``data_seed`` and a name, the same on every machine and Python version."""
    text = "/".join(map(str, key))
    digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    return np.random.default_rng([data_seed, digest])


def sequence(data_seed: int, stream: Stream, *key: int) -> np.random.SeedSequence:
    """Return the seed sequence of one numbered draw; ``key`` tells its images or batches apart."""
    return np.random.SeedSequence(data_seed, spawn_key=(int(stream), *key))


def numbered(data_seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Return the generator of one numbered draw."""
    return np.random.default_rng(sequence(data_seed, stream, *key))


def derive(*entropy: int) -> int:
    """Return a seed (below 2⁶³) for one purpose: equal numbers give equal seeds, neighbours unrelated ones."""
    return int(np.random.SeedSequence([number % 2**32 for number in entropy]).generate_state(1, np.uint64)[0] >> 1)
