"""A sum tree in one array: draws in proportion to weights, and changes of weights, in the logarithm of their number."""

from __future__ import annotations

import numpy as np


class SumTree:
    """``n`` weights at the leaves of a binary tree whose nodes hold the sum of their children.

    Every method works on whole batches, level by level. Node 1 is the root; children of ``k`` are ``2k, 2k + 1``.
    """

    def __init__(self, num_leaves: int) -> None:
        """Make ``num_leaves`` weights of zero."""
        self.num_leaves = num_leaves
        self._depth = num_leaves.bit_length()  # at least one leaf more than asked for, so that `before` may name it
        self._nodes = np.zeros(2 << self._depth, np.float64)

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return float(self._nodes[1])

    @property
    def leaves(self) -> np.ndarray:
        """The weights ``(n,)``; read only, for it is no copy."""
        first = 1 << self._depth
        return self._nodes[first : first + self.num_leaves]

    def set(self, leaves: np.ndarray, weights: np.ndarray | float) -> None:
        """Set weights of ``leaves (M,)``; where one comes twice, the last counts.

        Parents are summed anew rather than moved by the difference, so no rounding error builds up.
        """
        if not len(leaves):
            return
        nodes = leaves + (1 << self._depth)
        self._nodes[nodes] = weights
        for _ in range(self._depth):
            nodes = np.unique(nodes >> 1)
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

    def find(self, mass: np.ndarray) -> np.ndarray:
        """Return ``(M,)`` the leaves at which the running sum of weights first exceeds ``mass`` in [0, total).

        A leaf of weight zero is never found.
        """
        mass = np.array(mass, np.float64)
        nodes = np.ones(len(mass), np.int64)
        for _ in range(self._depth):
            nodes = 2 * nodes
            left = self._nodes[nodes]
            # Rounding may leave a rest beyond the last weight: never go where there is none.
            right = (mass >= left) & (self._nodes[nodes + 1] > 0)
            mass = np.where(right, mass - left, mass)
            nodes = nodes + right
        return nodes - (1 << self._depth)

    def before(self, leaves: np.ndarray) -> np.ndarray:
        """Return ``(M,)`` sums of the weights of all leaves before ``leaves``, which may be ``num_leaves``."""
        nodes = np.array(leaves, np.int64) + (1 << self._depth)
        total = np.zeros(len(nodes))
        for _ in range(self._depth):
            total += np.where(nodes & 1, self._nodes[nodes - 1], 0.0)
            nodes = nodes >> 1
        return total
