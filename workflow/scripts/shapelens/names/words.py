"""Attribution methods, datasets and test sets as readers see them."""

from collections.abc import Sequence

from shapelens.names.testsets import JOINT, kind_of

METHODS = {
    "grad": "Grad",
    "smoothgrad": "SmoothGrad",
    "integrated-gradients": "Integrated Gradients",
    "expected-gradients": "Expected Gradients",
}
"""Attribution methods as readers see them."""

SHAPE_PANELS = (
    ("conflict", "Drawn"),
    ("cue-conflict", "Stylised"),
    ("hybrid", "Hybrids"),
    ("texture-exchange", "Exchanged"),
)
"""Sets on which shape bias is measured, as readers see them."""
NO_SCALE = "scale not known"
"""Said of a shape bias in a study that can have no rulers."""
SHAPE_AXIS = "0 texture, 1 shape"

DATASETS = {"cues": "drawn cues", "cifar10": "CIFAR-10", "tinyimagenet": "Tiny ImageNet", "caltech256": "Caltech-256"}
"""Datasets as readers see them; others are called by their own name."""


def dataset_title(dataset: str) -> str:
    """Return the name of a dataset as readers see it."""
    return DATASETS.get(dataset, dataset)


def method_title(method: str) -> str:
    """Return the name of an attribution method as readers see it."""
    return METHODS.get(method, method)


def name_of_testset(testset: str) -> str:
    """Return the name of a test set as readers see it, such as ``saturation 1024``."""
    own, joint, made = testset.partition(JOINT)
    if joint:
        return f"{own}, {name_of_testset(made)}"
    special = {"clean": "original", "gaussian-blur": "Gaussian blur"}
    if testset in special:
        return special[testset]
    if kind_of(testset) is None:
        return testset
    levels = (("saturation-", "saturation "), ("patch-shuffle-", "shuffle "), ("patch-frame-", "frame "))
    for prefix, words in levels:
        if testset.startswith(prefix):
            return words + testset.removeprefix(prefix)
    return testset.replace("-", " ")


def title_of_testset(testset: str) -> str:
    """Return the name of a test set as it begins a line; the user's own names stay as they are."""
    name = name_of_testset(testset)
    return name if kind_of(testset) is None else name.capitalize()


def shape_panels(testsets: Sequence[str]) -> list[tuple[str, str]]:
    """Return conflict sets with their titles: all that the workflow makes, and the user's own among ``testsets``."""
    return [*SHAPE_PANELS, *((name, name) for name in testsets if kind_of(name) is None)]
