"""Windows in proportion to a priority that the learner gives them (Schaul et al. 2015, arXiv 1511.05952).

Eq. 1: ``P(i) = p_i^alpha / sum_k p_k^alpha``; importance weights ``w_i = (n P(i))^-beta``, scaled by their largest.
"""

from __future__ import annotations

import numpy as np

from embodied_ssl.buffer.sampling.sampler import Ends, episode_keys, legal_span, require_legal
from embodied_ssl.buffer.sampling.sum_tree import SumTree
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape

FLOOR = 1e-6
"""Added to every priority, so that no window is lost for good."""


class Prioritized:
    """Proportional prioritisation over the legal windows of a ring; O(log n) a draw and an update.

    New windows get the largest priority given so far. The tree is brought up to date with the ring when it is used,
    not when ticks arrive, so appending costs nothing more; a window that has expired has weight zero by then.
    """

    def __init__(self, buffer: StreamBuffer, shape: WindowShape, alpha: float = 0.6) -> None:
        """Start with all legal windows alike.

        Args:
            buffer: the ring.
            shape: of the windows.
            alpha: 0 is uniform, 1 fully proportional.
        """
        self.buffer, self.shape, self.alpha = buffer, shape, alpha
        self._tree = SumTree(buffer.num_lanes * buffer.capacity)
        self._seen = np.zeros(buffer.num_lanes, np.int64)  # ends taken in, by their numbers
        self._oldest = np.zeros(buffer.num_lanes, np.int64)  # ends before this tick have weight zero
        self._largest = 1.0

    def draw(self, num_windows: int, rng: np.random.Generator, windows_per_episode: int = 1) -> Ends:
        """Draw lanes and ends ``(B,)`` in groups of one episode, with replacement.

        Raises:
            BufferFullError: there is no legal window yet.
        """
        num_groups = num_windows // windows_per_episode
        with self.buffer.lock:
            require_legal(self.buffer, self.shape)
            self._catch_up()
            lanes, ends = self._windows(self._tree.find(rng.random(num_groups) * self._tree.total))
            if windows_per_episode > 1:
                siblings = self._siblings(lanes, ends, rng.random((num_groups, windows_per_episode - 1)))
                ends = np.concatenate([ends[:, None], siblings], axis=1).ravel()
                lanes = np.repeat(lanes, windows_per_episode)
        return lanes, ends

    def _siblings(self, lanes: np.ndarray, ends: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Return ends ``(G, M - 1)`` of the same episodes, in proportion to their weights."""
        low, high = legal_span(self.buffer, self.shape, lanes, ends)
        first, last = self._leaf(lanes, low), self._leaf(lanes, high)
        before, upto = self._tree.before(first), self._tree.before(last + 1)
        # The leaves of an episode that goes round the end of the ring lie in two pieces of the lane.
        top, base = (
            self._tree.before((lanes + 1) * self.buffer.capacity),
            self._tree.before(lanes * self.buffer.capacity),
        )
        wraps = last < first
        head = np.where(wraps, top - before, upto - before)
        mass = uniform * (head + np.where(wraps, upto - base, 0.0))[:, None]
        at = np.where(mass < head[:, None], before[:, None] + mass, base[:, None] + mass - head[:, None])
        leaves = self._tree.find(at.ravel()).reshape(at.shape)
        ticks = low[:, None] + (leaves - first[:, None]) % self.buffer.capacity
        return np.clip(ticks, low[:, None], high[:, None])  # rounding may reach one leaf too far

    def update(self, lanes: np.ndarray, ends: np.ndarray, priorities: np.ndarray) -> None:
        """Give windows new priorities, such as absolute errors; what has expired since it was drawn is left out.

        Args:
            lanes: ``(B,)``.
            ends: ``(B,)``.
            priorities: ``(B,)``, finite, at least 0; of one that comes twice the last counts.
        """
        with self.buffer.lock:
            self._catch_up()
            legal = self._is_legal(lanes, ends)
            lanes, ends, priorities = lanes[legal], ends[legal], np.asarray(priorities, np.float64)[legal]
            self._tree.set(self._leaf(lanes, ends), (priorities + FLOOR) ** self.alpha)
            self._largest = max(self._largest, float(priorities.max(initial=0.0)))

    def importance(self, lanes: np.ndarray, ends: np.ndarray, beta: float) -> np.ndarray:
        """Return ``(B,)`` float32 factors in (0, 1] that undo the priorities in a mean, wholly so at ``beta`` 1.

        The largest of the batch is 1. A window that has expired since it was drawn gets that, too.
        """
        with self.buffer.lock:
            self._catch_up()
            legal = self._is_legal(lanes, ends)
            share = self._tree.leaves[self._leaf(lanes, ends)] / max(self._tree.total, FLOOR)
            num_legal = self.buffer.indices[self.shape].num_legal
        factor = np.ones(len(lanes))
        factor[legal] = (share[legal] * num_legal) ** -beta
        factor[legal] /= factor[legal].max(initial=0.0)
        return factor.astype(np.float32)

    def episodes(self, lanes: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return ``(B,)`` numbers of the episodes of windows."""
        return episode_keys(self.buffer, lanes, ends)

    def weights(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return lanes and ends of every legal window and their priorities to the power of alpha."""
        with self.buffer.lock:
            self._catch_up()
            lanes, ends = self.buffer.indices[self.shape].all_legal()
            return lanes, ends, self._tree.leaves[self._leaf(lanes, ends)].copy()

    def _catch_up(self) -> None:
        """Clear the leaves of ends that have expired, and fill those of ends that were added."""
        index, capacity = self.buffer.indices[self.shape], self.buffer.capacity
        expired, added = index.spans
        oldest, busy = self.buffer.table.count.copy(), np.flatnonzero(added > expired)
        oldest[busy] = index.end(busy, expired[busy])
        lane, tick = spans(np.maximum(self._oldest, oldest - capacity), oldest)
        self._tree.set(self._leaf(lane, tick), 0.0)
        lane, number = spans(np.maximum(self._seen, expired), added)
        self._tree.set(self._leaf(lane, index.end(lane, number)), (self._largest + FLOOR) ** self.alpha)
        self._seen, self._oldest = added.copy(), oldest

    def _is_legal(self, lanes: np.ndarray, ends: np.ndarray) -> np.ndarray:
        within = (ends >= self._oldest[lanes]) & (ends < self.buffer.table.count[lanes])
        return within & (self._tree.leaves[self._leaf(lanes, ends)] > 0)

    def _leaf(self, lanes: np.ndarray, ends: np.ndarray) -> np.ndarray:
        return lanes * self.buffer.capacity + ends % self.buffer.capacity

    def _windows(self, leaves: np.ndarray) -> Ends:
        """Return lanes and ends of leaves: the one tick of the ring's last ``capacity`` that lies there."""
        lanes, slot = np.divmod(leaves, self.buffer.capacity)
        newest = self.buffer.table.count[lanes] - 1
        return lanes, newest - (newest - slot) % self.buffer.capacity

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays of an exact restore; the buffer is restored apart from it, and first."""
        return {
            "weights": self._tree.leaves.copy(),
            "seen": self._seen.copy(),
            "oldest": self._oldest.copy(),
            "largest": np.array(self._largest),
        }

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore `state`."""
        self._tree.set(np.arange(self._tree.num_leaves), state["weights"])
        self._seen, self._oldest = state["seen"].copy(), state["oldest"].copy()
        self._largest = float(state["largest"])


def spans(low: np.ndarray, high: np.ndarray) -> Ends:
    """Return lane and number of every entry of ``[low[n], high[n])``, lane by lane."""
    counts = np.maximum(high - low, 0)
    lanes = np.repeat(np.arange(len(low)), counts)
    within = np.arange(len(lanes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return lanes, np.repeat(low, counts) + within
