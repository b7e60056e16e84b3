"""Random generators that are named, so that one draw never depends on how often another was made."""

import hashlib

import numpy as np


def generator(data_seed: int, *key: object) -> np.random.Generator:
    """Return a generator seeded by ``data_seed`` and a name, the same on every machine and Python version."""
    text = "/".join(map(str, key))
    digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    return np.random.default_rng([data_seed, digest])
