"""Which conflict set is to be read, and the radius of hybrids: said by the rulers on validation images alone.

Of every conflict set the two rulers read an end of its scale: the one that cannot see shape, and the one that cannot
use texture. The farther the ends are apart, the more a model's shape bias on that set can say.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shapelens.artefacts.files import ImageSet, open_npy
from shapelens.datasets.cues import draw
from shapelens.datasets.spec import Cues
from shapelens.models.answers import predict
from shapelens.models.classifier import Classifier
from shapelens.rulers.spec import ChoiceJob
from shapelens.stylisation.apply import Stylist, stylise_set
from shapelens.stylisation.detail import Exchange
from shapelens.stylisation.networks import StyleNet
from shapelens.stylisation.spec import CueConflict
from shapelens.transforms.mixed import hybrids
from shapelens.transforms.pairs import conflict_pairs
from shapelens.transforms.spec import TextureExchange

logger = logging.getLogger("shapelens")

MOST = 512
"""Most validation images that a conflict is made of."""
NEARLY = 0.95
"""Share of the largest distance between the ends at which a smaller radius is as good."""
RADII = (1, 1.5, 2, 3, 4, 5, 6, 8)
"""Candidates for the radius of hybrids, in cycles per image of 32 pixels; they grow with the side."""


@dataclass(frozen=True)
class Conflict:
    """Images whose shape and texture are of different classes."""

    images: NDArray[Any]
    shapes: NDArray[np.int64]
    textures: NDArray[np.int64]


@dataclass(frozen=True)
class Ends:
    """Shape bias of the two rulers on a conflict set, each the mean over seeds; NaN where no answer names a cue."""

    texture: float
    shape: float

    @property
    def apart(self) -> float:
        """How far the shape ruler's reading lies above the texture ruler's; NaN where either is."""
        return self.shape - self.texture

    def record(self) -> dict[str, float | None]:
        """Return them as plain data, rounded, undefined ones as null."""
        numbers = {"texture": self.texture, "shape": self.shape, "apart": self.apart}
        return {name: None if math.isnan(value) else round(value, 6) for name, value in numbers.items()}


def choose(
    spec: ChoiceJob,
    validation: ImageSet,
    rulers: Mapping[str, Sequence[Classifier]],
    networks: StyleNet | None,
    scratch: Path,
    *,
    device: torch.device,
    batch: int,
) -> dict[str, Any]:
    """Return the radius of hybrids and the conflict set to be read, with every reading behind the choice.

    Args:
        spec: the conflict sets of the study.
        validation: the validation images; no test image has a part in this.
        rulers: models by cue, ``texture`` and ``shape``, one of each training seed, on ``device``.
        networks: the style networks where the study has a stylised conflict.
        scratch: a file that may be written and is removed.
        device: where to compute.
        batch: images per pass.

    Returns ``chosen`` (name of the set whose ends are farthest apart; of equals the first of the study), ``conflicts``
    (the ends on each set) and, with hybrids, ``radius`` (see ``smallest_good``) and ``radii`` (the ends at each
    candidate).
    """
    read = partial(ends, rulers, device=device, batch=batch)
    found: dict[str, Any] = {}
    conflicts: dict[str, Ends] = {}
    if spec.cues is not None:
        conflicts["conflict"] = read(drawn(spec.cues, len(validation), spec.data_seed))
    if spec.cue_conflict is not None and networks is not None:
        stylised = stylised_conflict(spec.cue_conflict, validation, networks, spec.data_seed, scratch, device, batch)
        conflicts["cue-conflict"] = read(stylised)
    if spec.hybrid is not None:
        at = {radius: read(made) for radius, made in hybrid_conflicts(spec, validation)}
        radius = smallest_good(at)
        conflicts["hybrid"] = at[radius]
        found["radius"] = radius
        found["radii"] = [{"radius": one, **known.record()} for one, known in at.items()]
        logger.info("hybrids: radius %g, at which the rulers are %.2f apart", radius, at[radius].apart)
    if spec.texture_exchange is not None:
        conflicts["texture-exchange"] = read(exchanged(spec.texture_exchange, validation, spec.data_seed))
    for name, known in conflicts.items():
        logger.info("%s: from %.2f (texture ruler) to %.2f (shape ruler)", name, known.texture, known.shape)
    found["conflicts"] = {name: known.record() for name, known in conflicts.items()}
    found["chosen"] = max(conflicts, key=lambda name: _order(conflicts[name]))
    return found


def smallest_good(at: Mapping[float, Ends]) -> float:
    """Return the smallest radius at which the ends are apart by NEARLY the most, else the first.

    The larger the radius, the more of a coarse texture lies below it, comes with the shape's image, and would count as
    shape.
    """
    most = max(_order(known) for known in at.values())
    return next((radius for radius, known in sorted(at.items()) if known.apart >= NEARLY * most), min(at))


def _order(known: Ends) -> float:
    return -math.inf if math.isnan(known.apart) else known.apart


def ends(rulers: Mapping[str, Sequence[Classifier]], conflict: Conflict, *, device: torch.device, batch: int) -> Ends:
    """Return what both rulers read on a conflict set: their shape bias (Geirhos et al. 2019)."""
    biases = {
        cue: [shape_bias(model, conflict, device=device, batch=batch) for model in models]
        for cue, models in rulers.items()
    }
    return Ends(**{cue: float(np.mean(values)) for cue, values in biases.items()})


def shape_bias(model: Classifier, conflict: Conflict, *, device: torch.device, batch: int) -> float:
    """Return a model's decisions for the shape among those for either cue; NaN where there are none."""
    answers = predict(model, conflict.images, conflict.shapes, input_size=model.input_size, batch=batch, device=device)
    predicted = answers.predicted
    shape = int((predicted == conflict.shapes).sum())
    either = shape + int((predicted == conflict.textures).sum())
    return shape / either if either else math.nan


def drawn(spec: Cues, count: int, data_seed: int) -> Conflict:
    """Draw a conflict that is no part of the test set."""
    made = draw(spec, count=min(count, MOST), stream="validation", mode="conflict", data_seed=data_seed)
    return Conflict(made.images, made.labels, made.textures)


def hybrid_conflicts(spec: ChoiceJob, validation: ImageSet) -> Iterator[tuple[float, Conflict]]:
    """Yield hybrids of validation images at the radius that the study gives, or at each candidate."""
    assert spec.hybrid is not None
    low, high = conflict_pairs(validation.labels, spec.data_seed, MOST)
    side = validation.images.shape[-1]
    asked = spec.hybrid.radius
    for radius in (asked,) if asked is not None else [side * candidate / 32 for candidate in RADII]:
        made = hybrids(validation.images[low], validation.images[high], radius)
        yield radius, Conflict(made, validation.labels[low], validation.labels[high])


def exchanged(spec: TextureExchange, validation: ImageSet, data_seed: int) -> Conflict:
    """Give validation images the detail of others of another class."""
    shapes, textures = conflict_pairs(validation.labels, data_seed, MOST)
    made = Exchange(spec.detail, data_seed)(validation.images[shapes], validation.images[textures], 0)
    return Conflict(made, validation.labels[shapes], validation.labels[textures])


def stylised_conflict(
    spec: CueConflict,
    validation: ImageSet,
    networks: StyleNet,
    data_seed: int,
    scratch: Path,
    device: torch.device,
    batch: int,
) -> Conflict:
    """Give validation images the style of others of another class."""
    contents, style_of = conflict_pairs(validation.labels, data_seed, MOST)
    stylist = Stylist(networks, device, spec.precision)
    images, exchange = validation.images, Exchange(spec.detail, data_seed) if spec.detail else None
    try:
        stylise_set(*(stylist, images, contents, images, style_of, spec.alpha, scratch), batch=batch, exchange=exchange)
        made = np.array(open_npy(scratch))
    finally:
        scratch.unlink(missing_ok=True)
    return Conflict(made, validation.labels[contents], validation.labels[style_of])
