"""Attribution methods, datasets and test sets as readers see them."""

METHODS = {"grad": "Grad", "smoothgrad": "SmoothGrad", "integrated-gradients": "Integrated Gradients"}
"""Attribution methods as readers see them."""

DATASETS = {"cues": "drawn cues", "cifar10": "CIFAR-10", "tinyimagenet": "Tiny ImageNet", "caltech256": "Caltech-256"}
"""Datasets as readers see them; others are called by their own name."""


def dataset_title(dataset: str) -> str:
    """Return the name of a dataset as readers see it."""
    return DATASETS.get(dataset, dataset)


def name_of_testset(testset: str) -> str:
    """Return the name of a test set as readers see it, such as ``saturation 1024``."""
    special = {"clean": "original", "low-pass": "low pass", "high-pass": "high pass", "random-filter": "random filter"}
    if testset in special:
        return special[testset]
    for prefix, words in (("saturation-", "saturation "), ("patch-shuffle-", "shuffle ")):
        if testset.startswith(prefix):
            return words + testset.removeprefix(prefix)
    return testset.replace("-", " ")


def panel_title(figure: str, testset: str) -> str:
    """Return the title of a figure's panel: the level alone in the saturation strip (Figure 4), else the test set."""
    if figure == "figure4":
        return "2" if testset == "clean" else testset.removeprefix("saturation-")
    return name_of_testset(testset).capitalize()
