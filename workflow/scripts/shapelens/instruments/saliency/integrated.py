"""Integrated Gradients as a method of the saliency instrument."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.attribution.integrated_gradients import draw_baselines, integrated_gradients
from shapelens.attribution.maps import default_chunk
from shapelens.instruments.saliency.method import Explain, Explained, Inputs
from shapelens.seeds import generator


def prepare(classifier: nn.Module, inputs: Inputs) -> Explain:
    """Return the method for one model, with baselines drawn for each image from (data_seed, image).

    Numbers: ``completeness_gap``, in units of the score.
    """
    return partial(_explain, classifier, inputs)


def _explain(classifier: nn.Module, inputs: Inputs, x: Tensor, target: Tensor, indices: NDArray[np.int64]) -> Explained:
    """Explain image by image, because every image has baselines of its own; they are the same on every test set."""
    settings = inputs.saliency.integrated_gradients
    count = settings.baselines if settings.baseline == "uniform" else 1

    def explain(one: slice, baselines: Tensor, size: int) -> tuple[Tensor, Tensor]:
        return integrated_gradients(
            classifier,
            x[one],
            target[one],
            baselines=baselines,
            points=settings.points,
            score=settings.score,
            rule=settings.rule,
            chunk=size,
        )

    maps, gaps = [], []
    for i, image in enumerate(indices):
        rng = generator(inputs.data_seed, "integrated gradients", int(image))
        baselines = draw_baselines(settings.baseline, count, tuple(x.shape[1:]), rng)
        compute = partial(explain, slice(i, i + 1), torch.from_numpy(baselines).to(x)[:, None])
        one, gap = inputs.fitting.fit(min(default_chunk(x), settings.points), compute)
        maps.append(one)
        gaps.append(gap.cpu().numpy())
    return Explained(torch.cat(maps), {"completeness_gap": np.concatenate(gaps)})
