"""One instrument's rows, aligned by image: means by hand, paired differences, and what is missing."""

import math

import numpy as np
import pandas as pd
import pytest

from shapelens.claims.per_image import PerImage

from ..stats_data import evidence

IMAGES = np.array([3, 5, 8, 13])
SHARES = {"standard": {"clean": 0.9, "robust": 0.1}, "pgd-inf-8": {"clean": 0.7, "robust": 0.5}}


def rows(values, testset="clean", images=IMAGES, **keys):
    return pd.DataFrame({"testset": testset, "image": images, "depth": values, **keys}).sample(frac=1, random_state=1)


@pytest.fixture
def found() -> PerImage:
    """A layer-wise measure of two models, one of them negative, and one image that a model has no value for."""
    holes = np.array([0.2, np.nan, 0.4, 0.6])
    measured = {
        ("standard", 0): pd.concat([rows(-np.arange(4.0), layer="a"), rows(np.ones(4), layer="b")]),
        ("pgd-inf-8", 0): pd.concat([rows(holes, layer="a"), rows(np.ones(2), images=IMAGES[:2], layer="b")]),
    }
    study = evidence(SHARES, 60, rows={"depths": measured})
    images = study.images("depths")
    assert images is not None
    return images


def test_the_mean_is_over_the_images_that_have_a_value(found):
    assert found.mean("depth", "standard", "clean", layer="a").value == pytest.approx(-1.5)
    assert found.mean("depth", "pgd-inf-8", "clean", layer="a").value == pytest.approx(0.4)
    assert found.mean("depth", "pgd-inf-8", "clean", layer="b").value == pytest.approx(1.0), "two images have no row"
    # Planted fault: a hole that counts as zero.
    assert found.mean("depth", "pgd-inf-8", "clean", layer="a").value != pytest.approx(0.3)


def test_differences_are_paired_by_image(found):
    same = found.mean("depth", "standard", "clean", layer="a")
    zero = same - found.mean("depth", "standard", "clean", layer="a")
    assert zero.value == 0 and np.all(zero.draws == 0)


def test_a_negative_measure_keeps_its_interval(found):
    measured = found.mean("depth", "standard", "clean", layer="a", span=(-math.inf, 0.0))
    interval = measured.interval(0.95)
    assert interval.low < -1.5 < interval.high == 0, "four values are few, and none of this measure is above zero"


def test_what_was_not_measured_is_said(found):
    assert found.has("standard", "clean", layer="a") and found.has("pgd-inf-8", "clean", layer="b")
    assert not found.has("standard", "clean", layer="c") and not found.has("underfit", "clean", layer="a")
    assert not found.has(None, "clean") and not found.has("standard", "stylised", layer="a")
    assert found.testsets() == ["clean"] and found.about() == ["measured on 4 images"]


def test_an_instrument_that_a_study_lacks_is_none():
    assert evidence(SHARES, 60).images("depths") is None
