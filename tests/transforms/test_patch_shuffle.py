"""Patch shuffle against its closed forms (RECIPES §9)."""

import numpy as np
import pytest

from shapelens.errors import UserError
from shapelens.transforms.patch_shuffle import patch_permutations, shuffle_patches

RNG = np.random.default_rng(0)


def images(dtype, size=(8, 16)):
    return (RNG.random((5, 3, *size)) * 255).astype(dtype)


def identity(count, k):
    return np.tile(np.arange(k * k), (count, 1))


def transposed(pictures, permutations):
    """The released code's fault: patches cut row by row and put back column by column."""
    k = round(permutations.shape[1] ** 0.5)
    turned = np.arange(k * k).reshape(k, k).T.ravel()
    return shuffle_patches(pictures, permutations[:, turned])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_identity_inverse_and_pixels(dtype, k):
    x = images(dtype)
    assert np.array_equal(shuffle_patches(x, identity(len(x), k)), x)
    p = patch_permutations(len(x), k, seed=3)
    out = shuffle_patches(x, p)
    assert out.dtype == dtype
    assert np.array_equal(shuffle_patches(out, np.argsort(p, axis=1)), x)
    assert np.array_equal(np.sort(out, axis=None), np.sort(x, axis=None))
    # Whole pixels move: their channels stay together.
    assert sorted(map(tuple, out[0].reshape(3, -1).T)) == sorted(map(tuple, x[0].reshape(3, -1).T))


def test_identity_catches_the_block_transpose():
    x = images(np.uint8)
    assert not np.array_equal(transposed(x, identity(len(x), 4)), x)


def test_moves_the_named_patch():
    x = np.arange(16).reshape(1, 1, 4, 4)
    out = shuffle_patches(x, np.array([[1, 0, 2, 3]]))
    assert np.array_equal(out[0, 0], [[2, 3, 0, 1], [6, 7, 4, 5], [8, 9, 10, 11], [12, 13, 14, 15]])
    out = shuffle_patches(x, np.array([[2, 0, 1, 3]]))  # a cycle tells a permutation from its inverse
    assert out[0, 0, 0, 0] == 8 and out[0, 0, 0, 2] == 0 and out[0, 0, 2, 0] == 2


def test_permutations_depend_on_seed_k_and_index_alone():
    whole = patch_permutations(10, 4, seed=1)
    parts = [patch_permutations(4, 4, seed=1), patch_permutations(6, 4, seed=1, first=4)]
    assert np.array_equal(whole, np.concatenate(parts))
    assert np.array_equal(np.sort(whole, axis=1), identity(10, 4))
    assert len(np.unique(whole, axis=0)) == 10
    assert not np.array_equal(whole, patch_permutations(10, 4, seed=2))


def test_permutations_are_uniform():
    drawn = patch_permutations(6000, 2, seed=0)
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 24
    assert ((counts - 250) ** 2 / 250).sum() < 60  # 23 degrees of freedom: exceeded with probability 4e-5


def test_refuses_sides_that_k_does_not_divide():
    with pytest.raises(UserError, match=r"k = 3.*8×16.*1, 2, 4, 8"):
        shuffle_patches(images(np.uint8), identity(5, 3))


@pytest.mark.parametrize("bad", [identity(4, 2), np.zeros((5, 4), int), np.zeros((5, 3), int)])
def test_refuses_what_is_no_permutation(bad):
    with pytest.raises(ValueError, match="permutations"):
        shuffle_patches(images(np.uint8), bad)
