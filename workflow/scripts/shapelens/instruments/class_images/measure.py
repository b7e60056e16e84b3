"""What a model takes for a class, and whether another network takes it for that class, too."""

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shapelens.artefacts.files import ImageSet
from shapelens.attacks.ascent import Ascent, Climbed
from shapelens.errors import UserError
from shapelens.instruments.class_images.gaussians import draw_seeds, fit
from shapelens.instruments.class_images.spec import ClassImages
from shapelens.instruments.measuring import Measured, Measurement
from shapelens.instruments.optimised import (
    ascent_of,
    at_input,
    in_parts_of,
    judged,
    raised,
    to_bytes,
    without_snapshots,
)
from shapelens.models.for_gradients import fused
from shapelens.models.within_memory import Fitting, slices

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("shapelens")

COLUMNS = (
    "testset",
    "image",
    "label",
    "training_images",
    "names_class",
    "start_names_class",
    "judge_names_class",
    "start_judge_names_class",
    "real_judge_names_class",
    "change",
)
MOST_SHOWN = 10
"""Most classes whose first image, and the way to it, is kept to look at."""


def measure(job: Measurement) -> Measured:
    """Return a row for each image made: ``image`` counts through the classes, ``count`` images each.

    names_class: whether the model names the class that its image was made for (1, 0); judge_names_class: whether the
    judge does; both also of the draw that it began with, and the judge's also of the class's real test images, as a
    share; change: ‖image − draw‖. All are undefined for a class that has no training images, and what the judge would
    say without one.
    """
    settings = job.settings(ClassImages)
    train = job.training_images()
    if train is None or not len(train):
        raise UserError("instruments.class_images: the study has no training images to fit a class's Gaussian to")
    source = job.images("clean")
    few = at_input(source, slice(0, 2), job.classifier.input_size).to(job.device)
    classes = in_parts_of(job.classifier, few[:1].cpu(), 1, job.device).shape[1]
    labels = np.asarray(train.labels, dtype=np.int64)
    gaussians = fit(lambda indices: _coarse(job, train, indices), labels, classes, settings.grain, settings.fitted)
    if missing := [label for label in range(classes) if label not in gaussians]:
        logger.warning("class images: no training images of class %s: its rows are undefined", missing)
    known = np.array(sorted(gaussians), dtype=np.int64)
    drawn = {
        int(label): draw_seeds(gaussians, int(label), settings.count, settings.grain, job.data_seed) for label in known
    }
    # The first image of every class comes first: of these the way is kept.
    of = np.tile(known, settings.count)
    starts = torch.from_numpy(np.stack([drawn[int(label)][n] for n in range(settings.count) for label in known]))
    made, noted = _make(job, settings, few, starts, of, min(len(known), MOST_SHOWN))
    rows = _table(job, settings, labels, classes, starts, made, of, _real(job, source, classes))
    arrays: dict[str, NDArray[Any]] = {
        "classes": of[: noted.shape[1]],
        "steps": np.array(ascent_of(settings).snapshots, dtype=np.int64),
        "way": to_bytes(noted),
    }
    return Measured(rows, arrays)


def _make(
    job: Measurement, settings: ClassImages, few: Tensor, starts: Tensor, of: NDArray[np.int64], shown: int
) -> tuple[Tensor, Tensor]:
    """Return the images made (N, C, H, W), and the way to the first few."""
    network, way, fitting = fused(job.classifier, few), ascent_of(settings), Fitting("compute.batch")
    wanted = torch.from_numpy(of).to(job.device)

    def make(part: slice, ascent: Ascent) -> Climbed:
        mine = wanted[part]
        return raised(
            network,
            lambda logits, rows: logits.gather(1, mine[rows, None]).squeeze(1),
            starts[part],
            ascent,
            device=job.device,
            batch=job.batch,
            fitting=fitting,
        )

    first = make(slice(0, shown), way)
    found = [first.images]
    if shown < len(starts):
        found.append(make(slice(shown, None), without_snapshots(way)).images)
    return torch.cat(found), first.snapshots


def _coarse(job: Measurement, source: ImageSet, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    size = job.classifier.input_size
    parts = [at_input(source, indices[rows], size).numpy() for rows in slices(len(indices), 256)]
    images: NDArray[np.float32] = np.concatenate(parts)
    return images


def _real(job: Measurement, source: ImageSet, classes: int) -> NDArray[np.float64]:
    """Return how often the judge names the class of real test images, by class; undefined without a judge."""
    shares = np.full(classes, np.nan)
    if job.judge is None:
        return shares
    labels = np.asarray(source.labels, dtype=np.int64)
    size = job.classifier.input_size
    parts = [
        judged(job.judge, at_input(source, rows, size), job.batch, job.device).predicted
        for rows in slices(len(source), 256)
    ]
    right = np.concatenate(parts) == labels
    for label in np.unique(labels):
        shares[label] = right[labels == label].mean()
    return shares


def _table(
    job: Measurement,
    settings: ClassImages,
    labels: NDArray[np.int64],
    classes: int,
    starts: Tensor,
    made: Tensor,
    of: NDArray[np.int64],
    real: NDArray[np.float64],
) -> "pd.DataFrame":
    """Return the rows of every class, those of classes without training images undefined."""
    import pandas as pd

    def named(images: Tensor) -> NDArray[np.float64]:
        logits = in_parts_of(job.classifier, images, job.batch, job.device)
        right: NDArray[np.float64] = (logits.argmax(1).numpy() == of).astype(np.float64)
        return right

    def by_judge(images: Tensor) -> NDArray[np.float64]:
        if job.judge is None:
            return np.full(len(images), np.nan)
        seen = judged(job.judge, images, job.batch, job.device).predicted
        right: NDArray[np.float64] = (seen == of).astype(np.float64)
        return right

    measures = pd.DataFrame(
        {
            "label": of,
            "image": of * settings.count + np.repeat(np.arange(settings.count), len(of) // settings.count),
            "names_class": named(made),
            "start_names_class": named(starts),
            "judge_names_class": by_judge(made),
            "start_judge_names_class": by_judge(starts),
            "real_judge_names_class": real[of],
            "change": (made - starts).double().flatten(1).norm(dim=1).numpy(),
        }
    ).set_index("image")
    every = np.arange(classes * settings.count)
    counts = np.bincount(labels, minlength=classes)
    rows = measures.reindex(every).assign(
        testset="clean", image=every, label=every // settings.count, training_images=counts[every // settings.count]
    )
    return rows.reset_index(drop=True)[list(COLUMNS)]
