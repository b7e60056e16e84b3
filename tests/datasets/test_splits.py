"""Splits: stratified, seeded, disjoint."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapelens.datasets.splits import allocate, choose_classes, hold_out, mixed_order, take
from shapelens.errors import UserError
from shapelens.seeds import generator

SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=12)
SEEDS = st.integers(0, 2**32)


def labels_of(sizes, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def within_one(counts, sizes, total):
    exact = np.asarray(sizes) * total / sum(sizes)
    return bool(np.all(np.abs(counts - exact) <= 1))


@settings(deadline=None)
@given(sizes=SIZES, share=st.floats(0, 1), seed=SEEDS)
def test_allocation_is_exact_in_sum_and_within_one_in_each_class(sizes, share, seed):
    total = int(share * sum(sizes))
    counts = allocate(sizes, total, np.random.default_rng(seed))
    assert counts.sum() == total and np.all(counts <= sizes)
    assert within_one(counts, sizes, total)


def test_the_allocation_check_catches_an_unstratified_draw():
    labels = labels_of([40, 40, 40])
    counts = np.bincount(np.random.default_rng(0).permutation(labels)[:60], minlength=3)
    assert not within_one(counts, [40, 40, 40], 60)


@settings(deadline=None)
@given(sizes=SIZES, total=st.integers(0, 500), seed=SEEDS)
def test_taking_keeps_the_shares(sizes, total, seed):
    labels = labels_of(sizes, seed)
    taken = take(labels, total, np.random.default_rng(seed))
    assert len(taken) == min(total, len(labels)) == len(set(taken.tolist()))
    assert np.all(np.diff(taken) > 0)
    assert within_one(np.bincount(labels[taken], minlength=len(sizes)), sizes, len(taken))


@settings(deadline=None)
@given(sizes=SIZES, share=st.floats(0.01, 0.99), seed=SEEDS)
def test_holding_out_divides_every_class(sizes, share, seed):
    labels = labels_of(sizes, seed)
    rest, held = hold_out(labels, share, np.random.default_rng(seed))
    assert sorted([*rest.tolist(), *held.tolist()]) == list(range(len(labels)))
    counts = np.bincount(labels[held], minlength=len(sizes))
    exact = np.asarray(sizes) * share
    # The total is rounded to a whole image, which adds at most half an image to one class's exact share.
    assert np.all(np.abs(counts - exact) <= 1.5)
    for size, count in zip(sizes, counts, strict=True):
        assert 1 <= count <= size - 1 if size > 1 else count == 0


@settings(deadline=None)
@given(sizes=SIZES, seed=SEEDS)
def test_the_same_seed_gives_the_same_split(sizes, seed):
    labels = labels_of(sizes)
    for name in ("validation", "test"):
        first, second = (hold_out(labels, 0.3, generator(seed, name)) for _ in range(2))
        np.testing.assert_array_equal(first[1], second[1])


def test_names_and_seeds_give_different_draws():
    labels = labels_of([50, 50])
    draws = [hold_out(labels, 0.5, generator(*key))[1].tolist() for key in ((0, "a"), (0, "b"), (1, "a"))]
    assert draws[0] != draws[1] != draws[2] != draws[0]


@settings(deadline=None)
@given(size=st.integers(1, 30), classes=st.integers(2, 10), seed=SEEDS)
def test_the_first_images_of_an_order_are_nearly_stratified(size, classes, seed):
    labels = labels_of([size] * classes, seed)
    order = mixed_order(labels, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(labels)))
    for n in range(0, len(labels), classes):
        counts = np.bincount(labels[order[:n]], minlength=classes)
        assert counts.max() - counts.min() <= 1


def test_orders_are_not_sorted_within_a_class():
    labels = np.zeros(100, dtype=np.int64)
    order = mixed_order(labels, np.random.default_rng(0))
    assert np.any(np.diff(order) < 0)


NAMES = ("cat", "dog", "boat", "bird")
IDS = ("n1", "n2", "n3", "n4")


def test_classes_are_chosen_by_name_id_or_number():
    def choose(wanted, seed=0):
        return choose_classes(NAMES, IDS, wanted, generator(seed, "classes"))

    assert choose(None) == [0, 1, 2, 3]
    assert choose(("bird", "cat")) == choose(("n4", "n1")) == [0, 3]
    assert choose(3) == choose(3) == sorted(choose(3))
    assert len({tuple(choose(2, seed)) for seed in range(30)}) > 3


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (("cat", "bot"), "no class 'bot'.*did you mean boat"),
        (("cat", "xyz"), "allowed: cat, dog, boat, bird"),
        (("cat", "n1"), "named twice"),
        (5, "5 classes are wanted, but the source has 4"),
        (1, "at least two"),
        (("cat",), "at least two"),
    ],
)
def test_impossible_choices_are_named(wanted, text):
    with pytest.raises(UserError, match=text):
        choose_classes(NAMES, IDS, wanted, generator(0, "classes"))
