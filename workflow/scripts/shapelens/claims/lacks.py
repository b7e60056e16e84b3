"""What a study may lack for a claim, and the line of a config that would ask for it."""

from shapelens.claims.verdicts import Missing
from shapelens.stats.paired import ROBUST

STANDARD = Missing("a standard model", config="models: {standard: {}}")
ADVERSARIAL_MODEL = Missing(
    "an adversarially trained model that has not collapsed", config="models: {pgd-inf-8: {adversary: {eps: 8/255}}}"
)
UNDERFIT = Missing("an underfit model", config="models: {underfit: {match: strongest}}")
SPATIAL = Missing(
    "a spatially trained model",
    config="models: {spatial: {adversary: {kind: spatial, budget: 0.5, budget_reference_side: 32}}}",
)
FOUR_MODELS = "models: {" + ", ".join(f"pgd-inf-{e}: {{adversary: {{eps: {e}/255}}}}" for e in (1, 2, 4, 8)) + "}"
"""Enough models to rank."""
TWO_EPS = Missing("a family of adversarially trained models with two values of ε", config=FOUR_MODELS)
OTHER_SIZE = Missing(
    "a second dataset whose images have another size",
    config="studies: {cifar: {dataset: {kind: cifar10}}, tiny: {dataset: {kind: tinyimagenet}}}",
)
SATURATION = "testsets: {saturation: [0.25, 0.5, 1, 8, 16, 64, 1024]}"
HIGH_SATURATION = Missing("test sets of saturation 16 to 1024", config=SATURATION)
LOW_SATURATION = Missing("test sets of saturation below 2", config=SATURATION)
FILTERS = "testsets: {low_pass: {radius: 8}, high_pass: {radius: 8}, random_filter: {}}"
CONFIGS = {
    "saturation-": SATURATION,
    "patch-shuffle-": "testsets: {patch_shuffle: [2, 4, 8]}",
    "stylised": "testsets: {stylised: {}}",
    **dict.fromkeys(("low-pass", "high-pass", "random-filter"), FILTERS),
}
"""Line of a config by the beginning of a test set's name."""


def robust(what: str) -> Missing:
    """Return that something which attacks measure is lacking."""
    return Missing(what, config="robustness: {eps: 8/255, step: 2/255, models: all}")


ROBUST_ACCURACY = robust("robust accuracy")


def testset(name: str) -> Missing:
    """Return that a test set, or robust accuracy, was not measured."""
    if name == ROBUST:
        return ROBUST_ACCURACY
    config = next((line for start, line in CONFIGS.items() if name.startswith(start)), "")
    return Missing(f"the test set {name}", config=config)


testset.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test
