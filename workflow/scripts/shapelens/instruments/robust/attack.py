"""Predictions under attack (Table 1), and where in the spectrum the attack works."""

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shapelens.artefacts.files import ImageSet
from shapelens.attacks.pgd import perturb
from shapelens.attacks.spec import Attack
from shapelens.errors import UserError
from shapelens.instruments.robust.spec import Robustness
from shapelens.instruments.robust.spectrum import share_above
from shapelens.models.answers import check_finite, check_labels, judge, to_device
from shapelens.models.evaluation_mode import still
from shapelens.models.for_gradients import fits_cache, fused
from shapelens.models.within_memory import Fitting, in_parts, within_memory
from shapelens.seeds import Stream, sequence

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("shapelens")

KEYS = "compute.jobs_per_gpu, or robustness.batch, which decides the random starts"
"""What to lower where the device has too little memory."""


def robust_table(
    classifier: nn.Module,
    source: ImageSet,
    robustness: Robustness,
    data_seed: int,
    *,
    input_size: int | None,
    batch: int,
    device: str | torch.device,
) -> "pd.DataFrame":
    """Attack the clean test images at the network's input and predict again.

    The clean image counts as one of the attack's starts: an image that the model misclassifies already stays
    misclassified (where the attack would have put it right, prediction and probability are the clean ones and the
    perturbation is zero), so robust accuracy never exceeds clean accuracy.

    Random starts are drawn for each batch from (data_seed, index of its first image). With the same device and
    libraries the result therefore depends on data_seed and the batch size (pass ``robustness.batch``, which is part of
    the spec); with one start, not on ``limit`` either.
    PGD takes its gradients from ``models.for_gradients``; what counts is the classifier's own verdict on the result.
    AutoAttack draws for each of its batches from the same seed, and leaves images that withstand it unperturbed.
    A batch that the device has no room for goes through the network in parts, from the same starts.

    Args:
        classifier: maps float32 images (B, C, S, S) in [0, 1] to logits (B, classes); on ``device``; left untouched.
        source: the clean test set.
        robustness: the attack; its eps is meant at the network's input size.
        data_seed: decides the random starts.
        input_size: side S of the network's input; None: as stored.
        batch: images per pass.
        device: where to compute.

    Returns:
        One row for each of the first ``robustness.limit`` images: image (int32), label, clean_predicted, predicted
        (int16), probability (float32, of the label, under attack), perturbation_high and image_high (float32 in
        [0, 1]: share of spectral energy beyond ``robustness.frequency_radius``, by default an eighth of the stored
        side, without the mean; NaN where the perturbation is zero).

    Raises:
        UserError: a label is not among the model's classes, the model's outputs are not finite, not even one image fits
            the device, or pyautoattack is needed and missing.
    """
    import pandas as pd

    count = len(source) if robustness.limit is None else min(robustness.limit, len(source))
    radius = robustness.frequency_radius or source.images.shape[-1] / 8
    # Preallocated: small slices kept from each batch would pin that batch's large arrays in memory.
    columns: dict[str, NDArray[Any]] = {"image": np.arange(count, dtype=np.int32)}
    right = 0
    attacked = classifier
    fitting = Fitting(KEYS)
    for first in range(0, count, batch):
        rows = slice(first, min(first + batch, count))
        with within_memory(f"the {len(source.labels[rows])} images of a batch do not fit; lower {KEYS}"):
            x, y = to_device(source.images[rows], source.labels[rows], input_size=input_size, device=device)
        if first == 0:
            check_labels(source.labels[:count], fitting.fit(1, partial(_classes, classifier, x)))
            if robustness.robust_attack == "pgd":
                attacked = fitting.fit(min(2, len(x)), partial(_fused, classifier, x))
        attack = partial(_attacked, classifier, attacked, x, y, robustness, batch_seed(data_seed, first), radius)
        made = fitting.fit(len(x), attack)
        for key, value in made:
            part = value.cpu().numpy()
            columns.setdefault(key, np.empty(count, part.dtype))[rows] = part
        check_finite(columns["probability"][rows], first)
        right += int((columns["predicted"][rows] == columns["label"][rows]).sum())
        logger.info("robust: %d of %d images, %.1f %% withstand", rows.stop, count, 100 * right / rows.stop)
    return pd.DataFrame(columns)


def batch_seed(data_seed: int, first: int) -> int:
    """Return the seed (below 2³¹) of the batch whose first image has index ``first``."""
    state = sequence(data_seed, Stream.ATTACK, first).generate_state(1)
    return int(state[0]) % 2**31


def together(x: Tensor, attack: Attack) -> int:
    """Return how many images of a batch to attack at once; it changes nothing but rounding.

    On a CPU as many as fit its caches, all threads' together. The whole batch where parts would change what is drawn:
    only a single uniform start within ℓ∞ is drawn number by number.
    """
    if x.device.type != "cpu" or (attack.random_start and (attack.norm != "inf" or attack.restarts > 1)):
        return len(x)
    return fits_cache(x) * torch.get_num_threads()


def _classes(classifier: nn.Module, x: Tensor, size: int) -> int:
    with still(classifier), torch.inference_mode():
        logits: Tensor = classifier(x[:size])
    return logits.shape[1]


def _fused(classifier: nn.Module, x: Tensor, size: int) -> nn.Module:
    return fused(classifier, x[:size])


def _attacked(
    classifier: nn.Module,
    attacked: nn.Module,
    x: Tensor,
    y: Tensor,
    robustness: Robustness,
    seed: int,
    radius: float,
    size: int,
) -> list[tuple[str, Tensor]]:
    """Attack one batch by the gradients of ``attacked``, judge by ``classifier``; return the columns but the first.

    At most ``size`` images go through the network at once; what is drawn is drawn for the whole batch.
    """
    attack = robustness.resolved(x.shape[-1])
    classifier, attacked = (in_parts(model, size, len(x)) for model in (classifier, attacked))
    with still(classifier):
        if robustness.robust_attack == "autoattack":
            adversarial = autoattack(classifier, x, y, attack, seed)
        else:
            generator = torch.Generator(x.device).manual_seed(seed)
            at_once = together(x, attack)
            parts = zip(torch.split(x, at_once), torch.split(y, at_once), strict=True)
            adversarial = torch.cat([perturb(attacked, part, labels, attack, generator) for part, labels in parts])
        with torch.no_grad():
            clean_predicted, clean_probability = judge(classifier(x), y)
            predicted, probability = judge(classifier(adversarial), y)
    keep_clean = (clean_predicted != y) & (predicted == y)
    adversarial = torch.where(keep_clean.view(-1, 1, 1, 1), x, adversarial)

    def high(images: Tensor) -> Tensor:
        return torch.cat([share_above(part, radius) for part in torch.split(images, size)]).float()

    return [
        ("label", y.to(torch.int16)),
        ("clean_predicted", clean_predicted),
        ("predicted", torch.where(keep_clean, clean_predicted, predicted)),
        ("probability", torch.where(keep_clean, clean_probability, probability)),
        ("perturbation_high", high(adversarial - x)),
        ("image_high", high(x)),
    ]


def autoattack(classifier: nn.Module, x: Tensor, y: Tensor, attack: Attack, seed: int) -> Tensor:
    """Run AutoAttack (Croce and Hein 2020) from the package pyautoattack on one batch.

    The standard version, with as many target classes as there are, at most nine. Its targeted loss (DLR) needs four
    classes: with three, APGD runs on the untargeted DLR instead; with two, on the cross-entropy alone.

    Args:
        classifier: held still by the caller.
        x: (N, C, H, W) in [0, 1], at the network's input size.
        y: labels (N,).
        attack: norm and absolute eps; its steps are not used.
        seed: of every random number; torch's global generators are left as they were.

    Returns:
        (N, C, H, W): for images that the attack turns, the turned ones; for all others, the images themselves.

    Raises:
        UserError: the package is missing.
    """
    try:
        from pyautoattack import AutoAttack
    except ImportError:
        raise UserError(
            "robust_attack: autoattack needs the package pyautoattack; run `pip install pyautoattack` in the "
            "environment of this workflow, or set robust_attack: pgd"
        ) from None
    if attack.eps == 0:
        return x
    with torch.no_grad():
        classes = classifier(x[:1]).shape[1]
    devices = [x.device] if x.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        attacker = AutoAttack(
            classifier,
            attacks=autoattack_parts(classes),
            device=x.device,
            eps=attack.eps,
            norm={"inf": "Linf", "l2": "L2"}[attack.norm],
            seed=seed,
            version="custom",
        )
        attacker.apgd.n_restarts = attacker.fab.n_restarts = 1  # as in the standard version
        attacker.apgd_targeted.n_target_classes = attacker.fab.n_target_classes = min(9, classes - 1)
        adversarial: Tensor = attacker.run_standard_evaluation(x, y, batch_size=len(x))[0]
    return adversarial.detach()


def autoattack_parts(classes: int) -> list[str]:
    """Return the attacks of AutoAttack's standard version that a number of classes allows."""
    if classes >= 4:
        return ["apgd-ce", "apgd-t", "fab-t", "square"]
    return ["apgd-ce", *(["apgd-dlr"] if classes == 3 else []), "fab-t", "square"]
