"""The saliency maps of one model on all test sets."""

import importlib
import logging
import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.artefacts.files import ImageSet
from shapelens.attribution.maps import default_chunk, grad, smoothgrad
from shapelens.errors import UserError
from shapelens.instruments.saliency.method import Explain, Inputs
from shapelens.instruments.saliency.spec import MODULES, Saliency
from shapelens.models.answers import check_labels, to_device
from shapelens.models.evaluation_mode import still
from shapelens.models.for_gradients import fused
from shapelens.models.within_memory import Fitting, in_parts, within_memory
from shapelens.seeds import Stream, numbered

logger = logging.getLogger("shapelens")


def saliency_maps(
    classifier: nn.Module,
    testsets: Mapping[str, ImageSet],
    indices: NDArray[np.int64],
    saliency: Saliency,
    data_seed: int,
    *,
    input_size: int | None,
    device: str | torch.device,
    training: ImageSet | None = None,
) -> dict[str, NDArray[Any]]:
    """Explain the same images on every test set, by every method.

    SmoothGrad's noise is drawn for each image from (data_seed, test set, image), so that all models meet the same
    noise and more samples continue those of fewer. Other methods than this and Grad are loaded by name (``method``) and
    draw from (data_seed, image), so that test sets meet the same draws, too. Gradients are those of
    ``models.for_gradients``, predictions the model's own. What the device has no room for goes through the network in
    parts.

    Args:
        classifier: maps float32 images (B, C, S, S) to logits (B, classes); on ``device``; left untouched.
        testsets: the test sets by name, in the order of the result.
        indices: the images to explain, as ``attribution.choose_images`` gives them.
        saliency: methods, samples, sigma and target.
        data_seed: decides the noise.
        input_size: side S of the network's input; None: as stored.
        device: where to compute.
        training: the training images, for methods that compare with them.

    Returns:
        methods and testsets (text), images and labels (int64 (I,)), predicted (int64 (T, I)) and maps
        (float32 (M, T, I, C, S, S)): signed, with respect to the network's input, after the resize; and the numbers
        that methods state of each map, such as completeness_gap (float64 (M, T, I), NaN where a method states none).

    Raises:
        UserError: an index beyond a test set, labels that differ between the sets or are not among the model's
            classes, maps that are not finite, not even one image fits the device, or what a method refuses.
    """
    keys = "compute.jobs_per_gpu, or saliency.images"
    fitting = Fitting(keys)
    labels = _common_labels(testsets, indices)
    predicted = np.empty((len(testsets), len(indices)), dtype=np.int64)
    maps: list[list[NDArray[np.float32]]] = [[] for _ in saliency.methods]
    numbers: dict[str, NDArray[np.float64]] = {}
    differentiated: nn.Module | None = None
    loaded: dict[str, Explain] = {}
    for t, (name, source) in enumerate(testsets.items()):
        with within_memory(f"the {len(indices)} images of {name} do not fit; lower {keys}"):
            x, y = to_device(source.images[indices], labels, input_size=input_size, device=device)
        logits = fitting.fit(len(x), partial(_logits, classifier, x))
        check_labels(labels, logits.shape[1])
        if differentiated is None:
            differentiated = fitting.fit(min(2, len(x)), partial(_fused, classifier, x))
            inputs = Inputs(saliency, data_seed, training, input_size, x.device, fitting)
            loaded = {name: _prepare(name, differentiated, inputs) for name in saliency.methods if name in MODULES}
        predicted[t] = logits.argmax(1).cpu().numpy()
        target = torch.from_numpy(predicted[t]).to(device) if saliency.target == "predicted" else y
        for m, method in enumerate(saliency.methods):
            if method == "grad":
                made = fitting.fit(len(x), partial(_grad, differentiated, x, target))
            elif method == "smoothgrad":
                made = _smooth(differentiated, x, target, saliency, data_seed, name, indices, fitting)
            else:
                explained = loaded[method](x, target, indices)
                made = explained.maps
                for key, values in explained.numbers.items():
                    shape = (len(saliency.methods), len(testsets), len(indices))
                    numbers.setdefault(key, np.full(shape, np.nan))[m, t] = values
            if not bool(made.isfinite().all()):
                raise UserError(f"{method} on {name}: the model's gradients are not finite; its training diverged")
            maps[m].append(made.float().cpu().numpy())
            logger.info("%s on %s: %d images", method, name, len(indices))
    return {
        "methods": np.array(saliency.methods, dtype=np.str_),
        "testsets": np.array(list(testsets), dtype=np.str_),
        "images": indices.astype(np.int64),
        "labels": labels,
        "predicted": predicted,
        "maps": np.stack([np.stack(of_method) for of_method in maps]).astype(np.float32),
        **numbers,
    }


def image_noise(shape: tuple[int, ...], samples: int, data_seed: int, testset: str, image: int) -> NDArray[np.float32]:
    """Draw SmoothGrad's standard normal noise (samples, C, H, W) for one image; it is the same on every device."""
    rng = numbered(data_seed, Stream.SMOOTHGRAD_NOISE, zlib.crc32(testset.encode()), image)
    return rng.standard_normal((samples, *shape), dtype=np.float32)


def _prepare(method: str, classifier: nn.Module, inputs: Inputs) -> Explain:
    explain: Explain = importlib.import_module(MODULES[method]).prepare(classifier, inputs)
    return explain


def _logits(classifier: nn.Module, x: Tensor, size: int) -> Tensor:
    with still(classifier), torch.inference_mode():
        logits: Tensor = in_parts(classifier, size, len(x))(x)
    return logits


def _fused(classifier: nn.Module, x: Tensor, size: int) -> nn.Module:
    return fused(classifier, x[:size])


def _grad(classifier: nn.Module, x: Tensor, target: Tensor, size: int) -> Tensor:
    return grad(in_parts(classifier, size, len(x)), x, target)


def _smooth(
    classifier: nn.Module,
    x: Tensor,
    target: Tensor,
    saliency: Saliency,
    data_seed: int,
    testset: str,
    indices: NDArray[np.int64],
    fitting: Fitting,
) -> Tensor:
    """Explain image by image, because the noise of one is large: 60 MB at 100 samples of 3×224×224."""
    samples, sigma = saliency.samples, saliency.sigma

    def explain(one: slice, noise: Tensor, size: int) -> Tensor:
        return smoothgrad(classifier, x[one], target[one], samples=samples, sigma=sigma, noise=noise, chunk=size)

    made = []
    for i, image in enumerate(indices):
        noise = torch.from_numpy(image_noise(tuple(x.shape[1:]), samples, data_seed, testset, int(image)))
        compute = partial(explain, slice(i, i + 1), noise.unsqueeze(1))
        made.append(fitting.fit(min(default_chunk(x), samples), compute))
    return torch.cat(made)


def _common_labels(testsets: Mapping[str, ImageSet], indices: NDArray[np.int64]) -> NDArray[np.int64]:
    labels: NDArray[np.int64] | None = None
    for name, source in testsets.items():
        if len(indices) == 0 or indices.min() < 0 or indices.max() >= len(source):
            raise UserError(f"saliency.images: {name} has images 0 to {len(source) - 1}; asked for {indices.tolist()}")
        here = source.labels[indices].astype(np.int64)
        if labels is not None and not np.array_equal(labels, here):
            raise UserError(
                f"saliency.testsets: the images of {name} have other labels than those of {next(iter(testsets))}; "
                "only transformed versions of the same images can be compared, so leave it out"
            )
        labels = here
    if labels is None:
        raise UserError("saliency.testsets: no test set to explain; name at least clean")
    return labels
