"""Official sources of the datasets, with the hashes that the field uses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OfficialSource:
    """Where a dataset is published."""

    title: str
    url: str
    file: str
    """Name of the downloaded archive."""
    md5: str


SOURCES: dict[str, OfficialSource] = {
    # The binary version: the others are pickles or MATLAB files.
    "cifar10": OfficialSource(
        title="CIFAR-10 (Krizhevsky 2009), binary version",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        file="cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
    ),
    "tinyimagenet": OfficialSource(
        title="Tiny ImageNet (Stanford CS231n)",
        url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        file="tiny-imagenet-200.zip",
        md5="90528d7ca1a48142e341f4ef8d21d0de",
    ),
    "caltech256": OfficialSource(
        title="Caltech-256 (Griffin, Holub and Perona 2007)",
        url="https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar",
        file="256_ObjectCategories.tar",
        md5="67b4f42ca05d46448c6bb8ecd2220f6d",
    ),
}
"""By the dataset's ``kind``."""
