"""Official sources of datasets and of published style networks, with the hashes that the field uses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OfficialSource:
    """Where a dataset, or a file of weights, is published."""

    title: str
    url: str
    file: str
    """Name of the downloaded file."""
    md5: str | None
    """Published hash, where there is one."""
    sha256: str | None
    """Hash that independent projects record alike for this address; None: the first download's is recorded beside the
    file, and later ones must match it."""


SOURCES: dict[str, OfficialSource] = {
    # The binary version: the others are pickles or MATLAB files.
    "cifar10": OfficialSource(
        title="CIFAR-10 (Krizhevsky 2009), binary version",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        file="cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
        # The loaders of several libraries for other languages, and records of studies that downloaded it
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
    "tinyimagenet": OfficialSource(
        title="Tiny ImageNet (Stanford CS231n)",
        url="https://cs231n.stanford.edu/tiny-imagenet-200.zip",
        file="tiny-imagenet-200.zip",
        md5="90528d7ca1a48142e341f4ef8d21d0de",
        # The records of several studies that downloaded it
        sha256="6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
    ),
    "caltech256": OfficialSource(
        title="Caltech-256 (Griffin, Holub and Perona 2007)",
        url="https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar",
        file="256_ObjectCategories.tar",
        md5="67b4f42ca05d46448c6bb8ecd2220f6d",
        # torchvision's prototypes state one, and no second project was found that does.
        sha256=None,
    ),
}
"""By the dataset's ``kind``."""

_STYLE_RELEASE = "https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0"

STYLE_NETWORKS: dict[str, OfficialSource] = {
    "encoder": OfficialSource(
        title="VGG-19, normalised (Huang and Belongie 2017), in PyTorch",
        url=f"{_STYLE_RELEASE}/vgg_normalised.pth",
        file="vgg_normalised.pth",
        md5=None,
        # The records of several projects that use it, for both files
        sha256="804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
    ),
    "decoder": OfficialSource(
        title="decoder of AdaIN (Huang and Belongie 2017), in PyTorch",
        url=f"{_STYLE_RELEASE}/decoder.pth",
        file="decoder.pth",
        md5=None,
        sha256="379ca41d59f3a37eed3599bbbc2560c19da5c458870a5ffd3a9dd41aa88f9472",
    ),
}
"""The published style networks, by their key in the config."""

ALL_SOURCES: tuple[OfficialSource, ...] = (*SOURCES.values(), *STYLE_NETWORKS.values())
