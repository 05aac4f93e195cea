from __future__ import annotations

import numpy as np
import pytest

from embodied_ssl.buffer.sampling.sum_tree import SumTree


@pytest.mark.parametrize("num_leaves", [1, 2, 3, 7, 8, 9, 100])
def test_the_tree_is_a_list_of_weights(num_leaves):
    rng = np.random.default_rng(num_leaves)
    tree, plain = SumTree(num_leaves), [0.0] * num_leaves
    for _ in range(30):
        leaves = rng.integers(num_leaves, size=rng.integers(0, 12))
        weights = rng.integers(0, 5, size=len(leaves)).astype(float)
        tree.set(leaves, weights)
        for leaf, weight in zip(leaves, weights, strict=True):
            plain[leaf] = weight
        assert tree.total == sum(plain)
        np.testing.assert_array_equal(tree.leaves, plain)
        ask = np.arange(num_leaves + 1)
        np.testing.assert_array_equal(tree.before(ask), [sum(plain[:leaf]) for leaf in ask])
        for mass in np.arange(0, sum(plain), 0.5):
            expected = next(leaf for leaf in range(num_leaves) if sum(plain[: leaf + 1]) > mass)
            assert tree.find(np.array([mass])).tolist() == [expected]


def test_rounding_never_finds_a_weight_of_zero():
    rng = np.random.default_rng(0)
    tree = SumTree(1000)
    kept = rng.permutation(1000)[:300]
    tree.set(kept, rng.random(300) ** 8)
    mass = np.concatenate([rng.random(20_000) * tree.total, [0.0, tree.total, np.nextafter(tree.total, 0)]])
    assert (tree.leaves[tree.find(mass)] > 0).all()
