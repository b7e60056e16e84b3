"""Class images: Gaussians at coarse grain against closed forms, rows of every class, and classes without images."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from shapelens.artefacts.files import ImageSet
from shapelens.errors import UserError
from shapelens.instruments.class_images import measure as room
from shapelens.instruments.class_images.gaussians import RIDGE, Gaussian, blocks, draw_seeds, fit
from shapelens.instruments.class_images.spec import ClassImages
from shapelens.study.config import load

from .optimised_data import CLASSES, SIDE, InMemory, job_of, network, plain, some_images

torch.set_num_threads(1)
D = 3 * SIDE**2
SMALL = ClassImages(count=3, grain=4, iterations=4, step=0.3, frames=3)


@dataclass(frozen=True)
class WithTraining(InMemory):
    """A job whose training images lie in memory."""

    train: ImageSet | None = None

    def training_images(self):
        return self.train


def measured(classifier, train, settings=SMALL, **keys):
    job = job_of(settings, "class_images", classifier=classifier, images=some_images(), **keys)
    return room.measure(WithTraining(**{**job.__dict__, "train": train}))


def test_blocks_of_an_enlarged_image_are_the_image():
    coarse = np.random.default_rng(0).random((2, 3, 2, 4)).astype(np.float32)
    np.testing.assert_allclose(blocks(coarse.repeat(4, 2).repeat(4, 3), 4), coarse, rtol=1e-6)
    with pytest.raises(UserError, match=r"grain: 3 does not divide the images' side, 8; allowed: 1, 2, 4, 8"):
        blocks(np.zeros((1, 3, 8, 8)), 3)


def test_draws_have_the_mean_and_covariance_that_were_fitted():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6)) * 0.1
    images = (0.5 + rng.normal(size=(4000, 6)) @ mixing.T).reshape(-1, 3, 1, 2)
    fitted = Gaussian(images)
    expected = np.cov(images.reshape(-1, 6).T) + RIDGE * np.eye(6)
    np.testing.assert_allclose(fitted.covariance, expected, rtol=1e-10)
    drawn = np.stack([fitted.draw(rng) for _ in range(20000)]).reshape(-1, 6)
    np.testing.assert_allclose(drawn.mean(0), images.reshape(-1, 6).mean(0), atol=0.01)
    np.testing.assert_allclose(np.cov(drawn.T), fitted.covariance, atol=0.003)


def test_one_image_is_drawn_again_but_for_the_ridge():
    one = np.full((1, 3, 2, 2), 0.25)
    drawn = draw_seeds({4: Gaussian(one)}, 4, 50, 2, data_seed=0)
    assert drawn.shape == (50, 3, 4, 4) and drawn.dtype == np.float32
    assert np.abs(drawn - 0.25).max() < 6 * RIDGE**0.5
    assert np.array_equal(drawn[:, :, ::2, ::2], drawn[:, :, 1::2, 1::2])  # constant within blocks
    assert np.array_equal(drawn[:2], draw_seeds({4: Gaussian(one)}, 4, 2, 2, data_seed=0))


def test_only_images_of_the_class_and_no_more_than_asked_are_fitted():
    images = np.stack([np.full((3, 4, 4), label / 10) for label in (1, 2, 1, 2, 2)])
    asked = []

    def read(indices):
        asked.append(indices.tolist())
        return images[indices]

    found = fit(read, np.array([1, 2, 1, 2, 2]), 4, 2, most=2)
    assert asked == [[0, 2], [1, 3]] and set(found) == {1, 2}
    np.testing.assert_allclose(found[1].mean, 0.1)


def test_a_linear_logit_ends_at_the_edge_of_the_ball():
    """From a draw inside the box, max ⟨w, x⟩ in a ball of radius ε is reached at draw + ε·w/‖w‖."""
    classifier = plain(torch.randn(5, D, generator=torch.Generator().manual_seed(0)))
    grey = ImageSet(np.full((8, 3, SIDE, SIDE), 128, np.uint8), np.arange(8) % CLASSES, None)
    settings = ClassImages(count=1, grain=4, eps=0.3, step=0.1, iterations=20, frames=2)
    result = measured(classifier, grey, settings)
    np.testing.assert_allclose(result.rows["change"], 0.3, rtol=1e-5)
    weight = (classifier.network.fc.weight @ classifier.network.hidden.weight).detach().reshape(-1, 3, SIDE, SIDE)
    start, end = result.arrays["way"][[0, -1]].astype(float) / 255
    for label in range(CLASSES):
        step = 0.3 * weight[label] / weight[label].norm()
        np.testing.assert_allclose(end[label] - start[label], step, atol=1.1 / 255)


def test_every_class_has_its_rows_and_the_judge_its_two_ends():
    result = measured(network(), some_images(16), judge=network(6, seed=2))
    rows = result.rows
    assert tuple(rows.columns) == room.COLUMNS and not rows.isna().any().any()
    assert rows["image"].tolist() == list(range(12)) and rows["label"].tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert (rows["training_images"] == 4).all() and (rows["change"] > 0).all()
    assert rows["judge_names_class"].isin([0, 1]).all()
    assert (rows.groupby("label")["real_judge_names_class"].nunique() == 1).all()
    assert result.arrays["way"].shape == (3, 4, 3, SIDE, SIDE) and result.arrays["classes"].tolist() == [0, 1, 2, 3]
    again = measured(network(), some_images(16), batch=100).rows
    np.testing.assert_allclose(again["change"], rows["change"], rtol=1e-4)
    assert again["judge_names_class"].isna().all() and again["names_class"].notna().all()


def test_a_class_without_training_images_is_undefined_and_the_others_stay(caplog):
    train = some_images(12, labels=np.array([0, 1, 3] * 4))
    with caplog.at_level("WARNING", "shapelens"):
        rows = measured(network(), train).rows
    undefined = rows[rows["label"] == 2]
    assert len(undefined) == 3 and (undefined["training_images"] == 0).all()
    assert undefined[["names_class", "start_names_class", "change"]].isna().all().all()
    assert rows[rows["label"] != 2]["names_class"].notna().all()
    assert "no training images of class [2]" in caplog.text
    whole = measured(network(), some_images(12)).arrays["classes"].tolist()
    assert whole == [0, 1, 2, 3]


def test_a_study_without_training_images_is_told_so():
    for nothing in (None, ImageSet(np.zeros((0, 3, SIDE, SIDE), np.uint8), np.zeros(0, np.int64), None)):
        with pytest.raises(UserError, match="no training images"):
            measured(network(), nothing)


def test_lengths_beyond_any_image_are_refused():
    models = {"standard": {}, "pgd-l2": {"adversary": {"norm": "l2", "eps": 1}}}
    with pytest.raises(UserError, match=r"instruments\.class_images\.eps: 30 is more than 27\.7"):
        load({"dataset": {"kind": "cues", "size": 16}, "models": models, "instruments": {"class_images": {"eps": 30}}})
