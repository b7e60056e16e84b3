"""Finds the real images that lie beside the checkout on development machines and in CI; they are never committed."""

import os
from pathlib import Path

import pytest

ARCHIVES = ("cifar10-jpeg", "tiny-imagenet-50", "caltech101-20", "paintings")


def shared_data() -> Path:
    """Return the folder of real images (SHAPELENS_SHARED_DATA, else ../shared/data), or skip with the reason."""
    given = os.environ.get("SHAPELENS_SHARED_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real images: there is no folder {folder}; name one in SHAPELENS_SHARED_DATA")
    return folder


def shared_archive(name: str) -> Path:
    """Return one archive of real images, such as ``cifar10-jpeg``, or skip the test with the reason."""
    assert name in ARCHIVES
    path = shared_data() / f"{name}.tar.xz"
    if not path.is_file():
        pytest.skip(f"real images: there is no {path}")
    return path
