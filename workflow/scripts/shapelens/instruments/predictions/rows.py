"""A model's answers to every image of many test sets, as rows."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from shapelens.artefacts.files import open_image_set
from shapelens.models.answers import predict

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("shapelens")


def prediction_table(
    classifier: nn.Module,
    testsets: Mapping[str, str | Path],
    *,
    input_size: int | None,
    batch: int,
    device: str | torch.device,
) -> "pd.DataFrame":
    """Predict every image of every test set.

    Args:
        classifier: see ``predict``.
        testsets: folder of each test set, in the order of the table.
        input_size: side of the network's input; None: as stored.
        batch: images per pass.
        device: where to compute.

    Returns:
        One row per test set (in the given order) and image: testset (str), image (int32), label, texture, predicted
        (int16; texture −1 where there is none), probability (float32, of the label), rank (int16, of the label among
        all classes by logit: 1 is the most probable, equal ones in the order of their classes), texture_rank (int16)
        and texture_probability (float32), the same of the texture's class, 0 and NaN where there is none.

    Raises:
        UserError: a test set's arrays do not match, or see ``predict``.
    """
    import pandas as pd

    tables = []
    for name, folder in testsets.items():
        source = open_image_set(folder)
        answers = predict(
            classifier,
            source.images,
            source.labels,
            source.textures,
            input_size=input_size,
            batch=batch,
            device=device,
        )
        columns = {
            "testset": np.full(len(source), name, dtype=object),
            "image": np.arange(len(source), dtype=np.int32),
            "label": source.labels.astype(np.int16),
            "texture": source.textures.astype(np.int16),
            "predicted": answers.predicted,
            "probability": answers.probability,
            "rank": answers.rank,
            "texture_rank": answers.other_rank,
            "texture_probability": answers.other_probability,
        }
        tables.append(pd.DataFrame(columns).astype({"testset": "str"}))
        right = float(np.mean(answers.predicted == source.labels)) if len(source) else float("nan")
        logger.info("%s: %.1f %% of %d images right", name, 100 * right, len(source))
    return pd.concat(tables, ignore_index=True)
