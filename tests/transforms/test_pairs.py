"""Which style goes with which image: seeded, balanced, and in a cue conflict never of the same class."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapelens.errors import UserError
from shapelens.transforms import pairs
from shapelens.transforms.pairs import conflict_pairs, style_of_each


@settings(max_examples=40, deadline=None)
@given(images=st.integers(0, 200), styles=st.integers(1, 70), seed=st.integers(0, 2**40))
def test_styles_are_balanced_and_do_not_depend_on_the_number_of_images(images, styles, seed):
    chosen = style_of_each(images, styles, seed)
    assert chosen.shape == (images,) and chosen.dtype == np.int64
    uses = np.bincount(chosen, minlength=styles)
    assert len(uses) == styles and uses.max() - uses.min() <= 1
    np.testing.assert_array_equal(style_of_each(images + 37, styles, seed)[:images], chosen)


def test_styles_depend_on_the_seed_and_vary_from_round_to_round():
    chosen = style_of_each(128, 64, 0)
    assert not np.array_equal(chosen, style_of_each(128, 64, 1))
    assert not np.array_equal(chosen[:64], chosen[64:])
    # A planted fault: drawn with replacement, as published code does, they are far from balanced.
    uses = np.bincount(np.random.default_rng(0).integers(64, size=128), minlength=64)
    assert uses.max() - uses.min() > 1


def test_no_styles():
    with pytest.raises(UserError, match="no style images"):
        style_of_each(3, 0, 0)


def incongruent(labels, content, style):
    return bool((labels[content] != labels[style]).all())


@settings(max_examples=60, deadline=None)
@given(labels=st.lists(st.integers(0, 9), min_size=2, max_size=120), seed=st.integers(0, 2**40))
def test_pairs_are_never_congruent_and_each_content_class_meets_the_others_alike(labels, seed):
    labels = np.array(labels, dtype=np.int64)
    classes = np.unique(labels)
    if len(classes) == 1:
        with pytest.raises(UserError, match=r"two"):
            conflict_pairs(labels, seed)
        return
    content, style = conflict_pairs(labels, seed)
    assert content.dtype == style.dtype == np.int64
    np.testing.assert_array_equal(content, np.arange(len(labels)))
    assert incongruent(labels, content, style)
    for own in classes:
        others = labels[style][labels == own]
        met = np.array([(others == other).sum() for other in classes if other != own])
        assert met.max() - met.min() <= 1


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_equal_classes_give_equal_style_classes(classes):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(classes), 5))
    _, style = conflict_pairs(labels, 3)
    assert set(np.bincount(labels[style], minlength=classes)) == {5}


def test_pairs_depend_on_seed_and_index_alone():
    labels = np.tile(np.arange(8), 20)
    content, style = conflict_pairs(labels, 0)
    some = conflict_pairs(labels, 0, count=50)
    np.testing.assert_array_equal(some[0], content[:50])
    np.testing.assert_array_equal(some[1], style[:50])
    assert style[:50].max() >= 50  # styles come from the whole set
    assert not np.array_equal(conflict_pairs(labels, 1)[1], style)
    assert len(conflict_pairs(labels, 0, count=1000)[0]) == 160
    assert len(np.unique(style)) > 70  # drawn from the class, not always its first image


def test_a_congruent_pair_that_slips_in_is_seen(monkeypatch):
    real = pairs.generator

    class Shifted:
        def __init__(self, rng):
            self.rng = rng

        def permutation(self, n):
            return self.rng.permutation(n) - 1  # shifts from 0 instead of 1: some styles are of the content's class

        def __getattr__(self, name):
            return getattr(self.rng, name)

    monkeypatch.setattr(pairs, "generator", lambda *key: Shifted(real(*key)))
    labels = np.tile(np.arange(4), 10)
    content, style = conflict_pairs(labels, 0)
    assert not incongruent(labels, content, style)


def test_no_images():
    with pytest.raises(UserError, match="0 class"):
        conflict_pairs(np.empty(0, dtype=np.int64), 0)
