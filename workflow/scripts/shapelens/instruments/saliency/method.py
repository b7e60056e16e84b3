"""What an attribution method that is loaded by name is given, and what it returns.

Such a method is a module of this room with a function ``prepare(classifier, inputs)`` that returns an ``Explain``.
``spec.MODULES`` names it, so its code counts in the digest of the studies that ask for it and of no other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shapelens.artefacts.files import ImageSet
from shapelens.instruments.saliency.spec import Saliency
from shapelens.models.within_memory import Fitting


@dataclass(frozen=True)
class Inputs:
    """What a method works on, besides the model and the images."""

    saliency: Saliency
    data_seed: int
    training: ImageSet | None
    """The training images, where the section reads them."""
    input_size: int | None
    """Side of the network's input; None: as stored."""
    device: torch.device
    fitting: Fitting


@dataclass(frozen=True)
class Explained:
    """The maps of one test set."""

    maps: Tensor
    """(I, C, H, W), signed."""
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """What is known of each map besides, such as its ``completeness_gap``: (I,) by name."""


Explain = Callable[[Tensor, Tensor, NDArray[np.int64]], Explained]
"""Explains images (I, C, H, W) for their classes (I,), given the images' indices in the test set."""
