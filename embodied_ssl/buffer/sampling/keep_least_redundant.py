"""Which segments a full memory keeps: those least like another (MinRed: Purushwalkam et al. 2022, arXiv 2203.12710).

Of the kept segments and the offered one, the one whose nearest neighbour is nearest goes. The two of the closest
pair are equally near to each other; chance decides between them.
"""

from __future__ import annotations

import numpy as np


class KeepLeastRedundant:
    """Euclidean distances between features, each in units of its spread over the memory.

    An offer costs one distance to every slot. The spread, and with it all neighbours, is measured anew when the memory
    is full and after every ``num_slots`` offers.
    """

    wants_features = True

    def __init__(self, num_slots: int) -> None:
        """Start empty."""
        self.num_slots = num_slots
        self._filled = self._offers = 0
        self._features = np.zeros((num_slots, 0))
        self._scale = np.ones(0)
        self._distance = np.full(num_slots, np.inf)  # squared, to the nearest neighbour
        self._neighbour = np.zeros(num_slots, np.int64)

    def place(self, num_offered: int, features: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
        """Return slots ``(n,)``, -1: not kept.

        Args:
            num_offered: n.
            features: ``(n, D)``.
            rng: decides between two equally redundant segments.
        """
        assert features is not None
        return np.array([self._place(row, rng) for row in features.astype(np.float64)], np.int64)

    def _place(self, features: np.ndarray, rng: np.random.Generator) -> int:
        if self._filled < self.num_slots:
            return self._fill(features)
        self._offers += 1
        if self._offers % self.num_slots == 0:
            self.refresh(self._features)
        distance = self._distances(features)
        slot = self._least_needed(distance, rng)
        if slot >= 0:
            self._put(slot, features, distance)
        return slot

    def _fill(self, features: np.ndarray) -> int:
        if self._filled == 0:
            self._features = np.zeros((self.num_slots, len(features)))
        self._features[self._filled] = features
        self._filled += 1
        if self._filled == self.num_slots:
            self.refresh(self._features)
        return self._filled - 1

    def _least_needed(self, distance: np.ndarray, rng: np.random.Generator) -> int:
        """Return the slot that gives way to an offer at ``distance (K,)`` from all, or -1: the offer itself."""
        nearest, closest = int(distance.argmin()), int(self._distance.argmin())
        if distance[nearest] <= self._distance[closest]:
            pair = (-1, nearest)
        else:
            pair = tuple(sorted((closest, int(self._neighbour[closest]))))
        return pair[int(rng.random() < 0.5)]

    def _put(self, slot: int, features: np.ndarray, distance: np.ndarray) -> None:
        orphans = np.flatnonzero(self._neighbour == slot)
        self._features[slot] = features
        closer = distance < self._distance
        self._distance[closer], self._neighbour[closer] = distance[closer], slot
        self._find_neighbours(np.union1d(orphans, [slot]))

    def refresh(self, features: np.ndarray) -> None:
        """Replace the features ``(K, D)`` of all slots, as when another encoder makes them, and measure anew."""
        self._features = np.array(features, np.float64)
        spread = self._features[: self._filled].std(axis=0)
        self._scale = np.where(spread > 1e-9, spread, 1.0)
        if self._filled == self.num_slots:
            self._find_neighbours(np.arange(self.num_slots))

    def _find_neighbours(self, slots: np.ndarray) -> None:
        for slot in slots:
            distance = self._distances(self._features[slot])
            distance[slot] = np.inf
            self._neighbour[slot] = distance.argmin()
            self._distance[slot] = distance[self._neighbour[slot]]

    def _distances(self, features: np.ndarray) -> np.ndarray:
        """Return squared distances ``(K,)`` of every slot to ``features (D,)``."""
        return np.square((self._features - features) / self._scale).sum(axis=1)

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays of an exact restore."""
        return {
            "counts": np.array([self._filled, self._offers]),
            "features": self._features.copy(),
            "scale": self._scale.copy(),
            "distance": self._distance.copy(),
            "neighbour": self._neighbour.copy(),
        }

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore `state`."""
        self._filled, self._offers = (int(count) for count in state["counts"])
        self._features, self._scale = state["features"].copy(), state["scale"].copy()
        self._distance, self._neighbour = state["distance"].copy(), state["neighbour"].copy()
