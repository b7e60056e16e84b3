"""How close images with the same representation come to each other."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shapelens.attribution.choose_images import choose_images
from shapelens.instruments.inversion.invert import Starts, choose_starts, draw_noise, invert_all
from shapelens.instruments.inversion.spec import Inversion
from shapelens.instruments.measuring import Measured, Measurement
from shapelens.instruments.optimised import ascent_of, at_input, in_parts_of, judged, to_bytes
from shapelens.models.for_gradients import fused
from shapelens.models.representation import Representation
from shapelens.models.within_memory import Fitting

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "source",
    "testset",
    "image",
    "label",
    "representation_error",
    "pixel_distance",
    "start_pixel_distance",
    "judge_distance",
    "start_judge_distance",
    "judge_names_class",
)
ALL = "all"
"""Source of the rows that average a target's starts."""


def measure(job: Measurement) -> Measured:
    """Return a row for each start of each target, and one, of source ``all``, for the mean over a target's starts.

    representation_error: ‖R(x) − R(target)‖ / ‖R(target)‖, undefined where the target's representation is zero;
    pixel_distance: ‖x − target‖ at the network's input; judge_distance: the same between the judge's representations;
    both also of the start; judge_names_class: whether the judge names the target's class (1, 0). What the judge would
    say is undefined without one.
    """
    settings = job.settings(Inversion)
    labels = np.asarray(job.images("clean").labels, dtype=np.int64)
    chosen = choose_images(labels, settings.targets, job.data_seed, key="instruments.inversion.targets")
    plan = choose_starts(labels, chosen, settings.sources, settings.noise, job.data_seed)
    targets, starts = _images(job, chosen, plan)
    fitting = Fitting("compute.batch")
    few = targets[:2].to(job.device)
    way = ascent_of(settings)
    found, noted = invert_all(
        Representation(fused(job.classifier, few), few, straight_through=settings.straight_through),
        starts,
        targets,
        way,
        shown=settings.shown,
        device=job.device,
        batch=job.batch,
        fitting=fitting,
    )
    measures = _measures(job, targets, starts, found, labels[chosen])
    arrays = {
        "sources": np.array(plan.names, dtype=np.str_),
        "images": chosen[: noted.shape[1]],
        "labels": labels[chosen][: noted.shape[1]],
        "targets": to_bytes(targets[: noted.shape[1]]),
        "starts": to_bytes(starts[: noted.shape[1]]),
        "steps": np.array(way.snapshots, dtype=np.int64),
        "way": to_bytes(noted),
        "pixel_distance": measures["pixel_distance"][: noted.shape[1]],
    }
    return Measured(_table(plan, chosen, labels, measures), arrays)


def _images(job: Measurement, chosen: NDArray[np.int64], plan: Starts) -> tuple[Tensor, Tensor]:
    """Return targets (T, C, H, W) and starts (T, J, C, H, W) at the network's input, in [0, 1], on the CPU."""
    source, size = job.images("clean"), job.classifier.input_size

    def read(indices: NDArray[np.int64]) -> Tensor:
        # Image sets are mapped from files: each image once, in the order of the file.
        unique, places = np.unique(indices, return_inverse=True)
        return at_input(source, unique, size)[torch.from_numpy(places.reshape(-1))]

    targets = read(chosen)
    starts = torch.empty(len(chosen), len(plan.names), *targets.shape[1:])
    for place, target in enumerate(chosen):
        for number, image in enumerate(plan.images[place]):
            if image < 0:
                noise = draw_noise(tuple(targets.shape[1:]), int(target), number, job.data_seed)
                starts[place, number] = torch.from_numpy(noise)
            else:
                starts[place, number] = read(np.array([image]))[0]
    return targets, starts


def _measures(
    job: Measurement, targets: Tensor, starts: Tensor, found: Tensor, labels: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return each measure of the inverted images, (T, J)."""
    shape = found.shape[:2]
    plain = Representation(job.classifier, targets[:2].to(job.device))
    wanted = in_parts_of(plain, targets, job.batch, job.device).double()[:, None]
    reached = in_parts_of(plain, found.flatten(0, 1), job.batch, job.device).double().view(*shape, -1)
    size = torch.linalg.vector_norm(wanted, dim=2)
    error = torch.linalg.vector_norm(reached - wanted, dim=2) / size
    measures = {
        "representation_error": torch.where(size > 0, error, torch.nan).numpy(),
        "pixel_distance": _pixels(found, targets),
        "start_pixel_distance": _pixels(starts, targets),
    }
    undefined = np.full(shape, np.nan)
    if job.judge is None:
        names = ("judge_distance", "start_judge_distance", "judge_names_class")
        return {**measures, **dict.fromkeys(names, undefined)}
    seen, begun, aim = (
        judged(job.judge, images, job.batch, job.device)
        for images in (found.flatten(0, 1), starts.flatten(0, 1), targets)
    )
    to = aim.features[:, None]
    return {
        **measures,
        "judge_distance": np.linalg.norm(seen.features.reshape(*shape, -1) - to, axis=2),
        "start_judge_distance": np.linalg.norm(begun.features.reshape(*shape, -1) - to, axis=2),
        "judge_names_class": (seen.predicted.reshape(shape) == labels[:, None]).astype(np.float64),
    }


def _pixels(images: Tensor, targets: Tensor) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = (images - targets[:, None]).double().flatten(2).norm(dim=2).numpy()
    return distances


def _table(
    plan: Starts, chosen: NDArray[np.int64], labels: NDArray[np.int64], measures: dict[str, NDArray[np.float64]]
) -> "pd.DataFrame":
    """Return the rows: the mean over a target's starts, then each of its starts."""
    import pandas as pd

    common = {"testset": "clean", "image": chosen, "label": labels[chosen]}
    values = {ALL: {name: each.mean(1) for name, each in measures.items()}}
    values |= {start: {name: each[:, j] for name, each in measures.items()} for j, start in enumerate(plan.names)}
    return pd.concat(
        [pd.DataFrame({"source": start, **common, **found}) for start, found in values.items()], ignore_index=True
    )
