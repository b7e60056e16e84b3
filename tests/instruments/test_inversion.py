"""Representation inversion against the closed form of a linear representation, and the rows that it leaves."""

import numpy as np
import pytest
import torch

from shapelens.attacks.ascent import Ascent
from shapelens.errors import UserError
from shapelens.instruments.inversion import measure as room
from shapelens.instruments.inversion.invert import choose_starts, draw_noise, invert_all
from shapelens.instruments.inversion.spec import Inversion
from shapelens.instruments.optimised import spaced
from shapelens.models.representation import Representation
from shapelens.models.within_memory import Fitting
from shapelens.study.config import load

from .optimised_data import SIDE, job_of, network, plain, some_images

torch.set_num_threads(1)
D = 3 * SIDE**2
SMALL = Inversion(targets=3, sources=2, noise=1, iterations=6, step=0.2, frames=3, shown=2)


def test_a_linear_representation_is_inverted_to_the_pseudo_inverses_solution():
    """limit = start + pinv(R) R (target − start): what R does not see stays the start's, all else is the target's."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.linalg.qr(torch.randn(D, 60, generator=generator, dtype=torch.float64)).Q.T
    weight = rows * torch.linspace(1, 1.6, 60, dtype=torch.float64)[:, None]
    inside = 0.5 + 0.05 * torch.randn(8, 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    targets, starts = inside[:2], inside[2:].view(2, 3, 3, SIDE, SIDE)
    step = 0.002
    found, way = invert_all(
        Representation(plain(weight), targets),
        starts,
        targets,
        Ascent("l2", step=step, steps=400, keep="best", snapshots=(0, 400)),
        shown=1,
        device="cpu",
        batch=4,
        fitting=Fitting(),
    )
    seen = torch.linalg.pinv(weight) @ weight
    apart = (targets[:, None] - starts).flatten(2)
    limit = starts.flatten(2) + apart @ seen.T
    moved = found.flatten(2) - starts.flatten(2)
    # Nothing moves outside the row space, to rounding; inside it the steps' length is the error's.
    assert (moved - moved @ seen.T).norm(dim=2).max() < 1e-12
    assert (found.flatten(2) - limit).norm(dim=2).max() < 2 * step
    blind = (apart - apart @ seen.T).norm(dim=2)
    distance = (found - targets[:, None]).flatten(2).norm(dim=2)
    torch.testing.assert_close(distance, blind, rtol=1e-3, atol=0)
    assert (blind > 0.1).all() and (apart.norm(dim=2) > blind + 0.01).all()
    assert torch.equal(way[0, 0], starts[0]) and torch.equal(way[1, 0], found[0])


def test_every_start_of_every_target_has_a_row_and_every_target_a_mean():
    images = some_images()
    judge = network(6, seed=2)
    measured = room.measure(job_of(SMALL, "inversion", classifier=network(), images=images, judge=judge))
    rows = measured.rows
    assert tuple(rows.columns) == room.COLUMNS
    assert list(dict.fromkeys(rows["source"])) == ["all", "image-1", "image-2", "noise-1"]
    assert len(rows) == 3 * 4 and not rows.isna().any().any()
    whole, single = (rows[(rows["source"] == "all") == mean] for mean in (True, False))
    for metric in room.COLUMNS[4:]:
        expected = single.groupby("image")[metric].mean()
        np.testing.assert_allclose(whole.set_index("image")[metric], expected[whole["image"]], rtol=1e-12)
    assert (single["representation_error"] < 2).all() and single["judge_names_class"].isin([0, 1]).all()
    arrays = measured.arrays
    assert arrays["way"].shape == (3, 2, 3, 3, SIDE, SIDE) and arrays["way"].dtype == np.uint8
    assert np.array_equal(arrays["way"][0], arrays["starts"])
    first = int(arrays["images"][0])
    assert np.array_equal(arrays["targets"][0], images.images[first])
    start = arrays["starts"][0, 0].astype(float) - arrays["targets"][0]
    row = single[(single["image"] == first) & (single["source"] == "image-1")].iloc[0]
    assert row["start_pixel_distance"] == pytest.approx(np.linalg.norm(start / 255), rel=1e-6)


def test_how_many_go_together_changes_nothing_but_rounding():
    found = [
        room.measure(job_of(SMALL, "inversion", classifier=network(), images=some_images(), batch=batch)).rows
        for batch in (1, 100)
    ]
    np.testing.assert_allclose(found[0]["pixel_distance"], found[1]["pixel_distance"], rtol=1e-4)
    assert found[0]["judge_distance"].isna().all()  # no judge, no word of one


def test_no_more_images_go_through_the_network_than_a_batch_however_many_targets_there_are():
    seen = []
    model = network()
    handle = model.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    for targets in (2, 12):
        settings = SMALL.model_copy(update={"targets": targets, "iterations": 1})
        room.measure(job_of(settings, "inversion", classifier=model, images=some_images(), batch=4))
        assert max(seen) == 4
    handle.remove()


def test_a_target_whose_representation_is_zero_has_no_relative_error_and_keeps_its_other_measures():
    weight = -torch.rand(5, D)  # behind a ReLU: silent on every image
    measured = room.measure(job_of(SMALL, "inversion", classifier=plain(weight, relu=True), images=some_images()))
    assert measured.rows["representation_error"].isna().all()
    assert measured.rows["pixel_distance"].notna().all()


def test_straight_through_moves_from_a_start_that_is_silent_where_the_target_is_not():
    weight = torch.cat([torch.ones(1, D // 2), -torch.ones(1, D // 2)], 1)
    images = some_images(2, labels=np.array([0, 1]))
    images.images[0, :], images.images[1, :] = 0, 0
    images.images[0].reshape(-1)[: D // 2] = 200  # the target fires, the other image is black: exactly at the kink
    images.images[1].reshape(-1)[D // 2 :] = 100  # … and below it
    moved = {}
    for way in (True, False):
        settings = Inversion(targets=(0,), sources=1, noise=0, iterations=20, step=0.2, straight_through=way, frames=2)
        measured = room.measure(job_of(settings, "inversion", classifier=plain(weight, relu=True), images=images))
        moved[way] = measured.rows["representation_error"].iloc[0]
    assert moved[False] == pytest.approx(1) and moved[True] < 0.9


def test_starts_are_the_same_for_every_model_and_of_other_classes():
    labels = np.arange(20) % 4
    targets = np.array([3, 8])
    found = choose_starts(labels, targets, 3, 2, data_seed=0)
    assert found.names == ("image-1", "image-2", "image-3", "noise-1", "noise-2")
    assert (found.images[:, 3:] == -1).all()
    for target, images in zip(targets, found.images[:, :3], strict=True):
        assert (labels[images] != labels[target]).all() and len(set(images.tolist())) == 3
    alone = choose_starts(labels, targets[1:], 3, 2, data_seed=0)
    assert np.array_equal(alone.images[0], found.images[1])  # by the target, not by its place
    assert not np.array_equal(found.images, choose_starts(labels, targets, 3, 2, data_seed=1).images)
    noise = draw_noise((3, 4, 4), 8, 0, 0)
    assert noise.min() >= 0.5 and noise.max() <= 0.55
    assert not np.array_equal(noise, draw_noise((3, 4, 4), 8, 1, 0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sources": 0, "noise": 0}, "nothing to start from"),
        ({"sources": 10}, r"inversion\.sources: 10 images of other classes asked for, but the test set has 9"),
        ({"targets": 99}, r"instruments\.inversion\.targets: 99 images asked for, but the test set has 12"),
        ({"targets": (3, 12)}, r"instruments\.inversion\.targets: \[12\]: the test set has images 0 to 11"),
    ],
)
def test_what_cannot_be_done_is_refused(changes, words):
    settings = SMALL.model_copy(update=changes)
    with pytest.raises(UserError, match=words):
        room.measure(job_of(settings, "inversion", classifier=network(), images=some_images()))


def test_a_test_set_of_one_class_has_no_source():
    images = some_images(labels=np.zeros(12, dtype=np.int64))
    with pytest.raises(UserError, match="the test set has 0 of another class"):
        room.measure(job_of(SMALL, "inversion", classifier=network(), images=images))


def test_a_model_whose_weights_overflow_is_named():
    model = network()
    with torch.no_grad():
        model.network.conv1.weight.fill_(float("inf"))
    with pytest.raises(UserError, match=r"not finite.*leave this model out"):
        room.measure(job_of(SMALL, "inversion", classifier=model, images=some_images()))


def test_noted_steps_begin_at_the_start_and_end_at_the_end():
    assert spaced(0, 5) == (0,) and spaced(1, 5) == (0, 1)
    found = spaced(400, 12)
    assert found[0] == 0 and found[-1] == 400 and len(found) <= 12 and list(found) == sorted(set(found))


# What a study may ask

MODELS = {"standard": {}, "pgd-l2": {"adversary": {"norm": "l2", "eps": 1}}}
BASE = {"dataset": {"kind": "cues", "size": 16}, "models": MODELS}


def refused(**keys):
    with pytest.raises(UserError) as caught:
        load({**BASE, **keys})
    return str(caught.value)


@pytest.mark.parametrize("key", ["eps", "step"])
def test_a_length_that_no_image_can_reach_is_refused(key):
    said = refused(instruments={"inversion": {key: 1000}})
    assert f"instruments.inversion.{key}: 1000 is more than 27.7" in said and "16×16" in said
    assert ("leave it out" in said) == (key == "eps")


def test_a_judge_is_another_network_and_no_subject():
    judged = {"instruments": {"inversion": {}}}
    said = refused(models={**MODELS, "judge": {}}, **judged)
    assert "models.judge.network: it is that of standard" in said and "another width or arch" in said
    (study,) = load({**BASE, "models": {**MODELS, "judge": {"network": {"width": 5}}}, **judged}).values()
    assert study.family("judge") == "judge" and not study.is_subject("judge")
    assert study.exemplars() == ["standard", "pgd-l2"]
    (inversion,) = [one for one in study.instruments_asked() if one.name == "inversion"]
    assert study.measured_with(inversion) == ["standard", "pgd-l2"]
