"""Attribution methods, datasets and test sets as readers see them."""

METHODS = {"grad": "Grad", "smoothgrad": "SmoothGrad", "integrated-gradients": "Integrated Gradients"}
"""Attribution methods as readers see them."""

SHAPE_PANELS = (
    ("conflict", "Drawn"),
    ("cue-conflict", "Stylised"),
    ("hybrid", "Hybrids"),
    ("texture-exchange", "Exchanged"),
)
"""Sets on which shape bias is measured, as readers see them."""
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
    special = {"clean": "original", "gaussian-blur": "Gaussian blur"}
    if testset in special:
        return special[testset]
    levels = (("saturation-", "saturation "), ("patch-shuffle-", "shuffle "), ("patch-frame-", "frame "))
    for prefix, words in levels:
        if testset.startswith(prefix):
            return words + testset.removeprefix(prefix)
    return testset.replace("-", " ")
