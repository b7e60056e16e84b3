"""What excites a unit: the image that is made for it, and the test images that it answers to."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shapelens.instruments.features.spec import Features
from shapelens.instruments.features.units import chance_purity, choose_units, extremes, purity
from shapelens.instruments.measuring import Measured, Measurement
from shapelens.instruments.optimised import ascent_of, at_input, in_parts_of, judged, raised, to_bytes
from shapelens.models.for_gradients import fused
from shapelens.models.representation import Representation
from shapelens.models.within_memory import Fitting, slices
from shapelens.seeds import generator

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "testset",
    "image",
    "unit",
    "firing",
    "natural_activation",
    "activation",
    "gain",
    "purity",
    "chance_purity",
    "top_class",
    "judge_names_class",
)


def measure(job: Measurement) -> Measured:
    """Return a row for each unit; ``image`` is its place among those that were looked at.

    firing: share of the clean test images on which it is above 0; natural_activation: its largest value there;
    activation: its value on the image made for it; gain: their ratio, undefined where it never fires; purity: share of
    the commonest class, top_class, among the ``purity_images`` test images that excite it most, undefined where fewer
    than that excite it at all; chance_purity: that of as many images drawn at random; judge_names_class: whether the
    judge names top_class for the image made (1, 0), undefined without a judge or a top_class.
    """
    settings = job.settings(Features)
    source = job.images("clean")
    labels = np.asarray(source.labels, dtype=np.int64)
    size = job.classifier.input_size
    few = at_input(source, slice(0, 2), size).to(job.device)
    plain = Representation(job.classifier, few)
    parts = [
        in_parts_of(plain, at_input(source, rows, size), job.batch, job.device) for rows in slices(len(source), 256)
    ]
    natural = torch.cat(parts).double().numpy()
    units = choose_units(natural, settings.units)
    way = ascent_of(settings)
    wanted = torch.from_numpy(units).to(job.device)
    made = raised(
        Representation(fused(job.classifier, few), few, straight_through=settings.straight_through),
        lambda found, rows: found.gather(1, wanted[rows, None]).squeeze(1),
        _starts(settings, units, tuple(few.shape[1:]), job.data_seed),
        way,
        device=job.device,
        batch=job.batch,
        fitting=Fitting("compute.batch"),
    )
    reached = in_parts_of(plain, made.images, job.batch, job.device).double().numpy()[np.arange(len(units)), units]
    named = judged(job.judge, made.images, job.batch, job.device).predicted if job.judge is not None else None
    table = _table(settings, natural[:, units], labels, units, reached, named, job.data_seed)
    found = [extremes(natural[:, unit], settings.top) for unit in units]
    arrays: dict[str, NDArray[Any]] = {
        "units": units,
        "steps": np.array(way.snapshots, dtype=np.int64),
        "way": to_bytes(made.snapshots),
        "most": np.stack([to_bytes(at_input(source, one.most, size)) for one in found]),
        "least": np.stack([to_bytes(at_input(source, one.least, size)) for one in found]),
        "purity": table["purity"].to_numpy(),
        "firing": table["firing"].to_numpy(),
    }
    return Measured(table, arrays)


def _starts(settings: Features, units: NDArray[np.int64], shape: tuple[int, ...], data_seed: int) -> Tensor:
    if settings.start == "grey":
        return torch.full((len(units), *shape), 0.5)
    noise = [generator(data_seed, "feature noise", int(unit)).uniform(0.45, 0.55, size=shape) for unit in units]
    return torch.from_numpy(np.stack(noise).astype(np.float32))


def _table(
    settings: Features,
    natural: NDArray[np.float64],
    labels: NDArray[np.int64],
    units: NDArray[np.int64],
    reached: NDArray[np.float64],
    named: NDArray[np.int64] | None,
    data_seed: int,
) -> "pd.DataFrame":
    """Return the rows of some units; ``natural``: their values on the test images (N, units)."""
    import pandas as pd

    count = min(settings.purity_images, len(labels))
    chance = chance_purity(labels, count, data_seed)
    rows = []
    for place, unit in enumerate(units):
        own = natural[:, place]
        # Images on which a unit is silent are equal to it: which of them come first says nothing.
        answers = int((own > 0).sum()) >= count
        share, top = purity(labels[extremes(own, count).most]) if answers else (np.nan, -1)
        largest = own.max()
        rows.append(
            {
                "testset": "clean",
                "image": place,
                "unit": int(unit),
                "firing": float((own > 0).mean()),
                "natural_activation": largest,
                "activation": reached[place],
                "gain": reached[place] / largest if largest > 0 else np.nan,
                "purity": share,
                "chance_purity": chance,
                "top_class": top,
                "judge_names_class": float(named[place] == top) if named is not None and answers else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))
