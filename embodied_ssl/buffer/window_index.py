"""Which windows are legal: per lane a ring of legal end ticks, so that a draw is exactly uniform and O(1).

A window of ``context + horizon`` ticks ends at tick ``e``. Its last ``horizon + 1`` ticks lie in one episode; of
the ``context - 1`` ticks before them those that precede the episode are masked, so the first ticks of an episode
are learned from as the policy will see them. Everything here is host memory: the draw is made outside the update.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class WindowShape:
    """Length of a window in ticks: ``context`` ending at the anchor, ``horizon`` after it."""

    context: int
    horizon: int

    @property
    def length(self) -> int:
        """All ticks of the window, L."""
        return self.context + self.horizon

    @property
    def num_positions(self) -> int:
        """Ticks at which an embedding with its whole context exists, P = horizon + 1."""
        return self.horizon + 1


class EpisodeTable:
    """Episode bounds of every tick in the ring, per lane."""

    def __init__(self, num_lanes: int, capacity_ticks: int) -> None:
        """Make an empty table of ``(T, N)``."""
        self.capacity = capacity_ticks
        self.count = np.zeros(num_lanes, np.int64)
        self.start = np.zeros((capacity_ticks, num_lanes), np.int64)
        self.ordinal = np.full((capacity_ticks, num_lanes), -1, np.int64)
        self._current = np.full(num_lanes, -1, np.int64)
        self._last = np.zeros((capacity_ticks, num_lanes), np.int64)

    def append(self, lanes: np.ndarray, is_first: np.ndarray) -> None:
        """Count one tick of each of ``lanes`` (M,); a lane's very first tick starts an episode in any case."""
        tick = self.count[lanes]
        slot = tick % self.capacity
        starts = is_first | (tick == 0)
        self._current[lanes] += starts
        before = self.start[(tick - 1) % self.capacity, lanes]
        self.start[slot, lanes] = np.where(starts, tick, before)
        self.ordinal[slot, lanes] = self._current[lanes]
        self._last[self._current[lanes] % self.capacity, lanes] = tick
        self.count[lanes] = tick + 1

    def bounds(self, lanes: np.ndarray, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return first and newest tick of the episodes that hold ``ticks`` of ``lanes``."""
        slot = ticks % self.capacity
        return self.start[slot, lanes], self._last[self.ordinal[slot, lanes] % self.capacity, lanes]

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays of an exact restore."""
        return {
            "count": self.count,
            "start": self.start,
            "ordinal": self.ordinal,
            "current": self._current,
            "last": self._last,
        }

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore `state`."""
        self.count[:], self.start[:], self.ordinal[:] = state["count"], state["start"], state["ordinal"]
        self._current[:], self._last[:] = state["current"], state["last"]


class WindowIndex:
    """The legal ends of one window shape, per lane a FIFO in a ring."""

    def __init__(self, shape: WindowShape, table: EpisodeTable, guard_ticks: int) -> None:
        """Start empty on ``table``; ends whose window reaches into the oldest ``guard_ticks`` are not legal."""
        self.shape = shape
        self._table = table
        self._guard = guard_ticks
        num_lanes = table.count.shape[0]
        self._ends = np.zeros((table.capacity, num_lanes), np.int64)
        self._head = np.zeros(num_lanes, np.int64)
        self._tail = np.zeros(num_lanes, np.int64)

    @property
    def num_legal(self) -> int:
        """Windows that can be drawn now."""
        return int((self._head - self._tail).sum())

    def append(self, lanes: np.ndarray) -> None:
        """Take in the tick that the table has just counted for ``lanes``: add its end, drop what it expired."""
        tick = self._table.count[lanes] - 1
        start = self._table.start[tick % self._table.capacity, lanes]
        new = tick - start >= self.shape.horizon
        added = lanes[new]
        self._ends[self._head[added] % self._table.capacity, added] = tick[new]
        self._head[added] += 1
        self._expire(lanes)

    def _expire(self, lanes: np.ndarray) -> None:
        """Drop ends whose oldest tick is about to be overwritten; several may share one oldest tick."""
        capacity = self._table.capacity
        while len(lanes):
            lanes = lanes[self._head[lanes] > self._tail[lanes]]
            end = self._ends[self._tail[lanes] % capacity, lanes]
            oldest = np.maximum(end - self.shape.length + 1, self._table.start[end % capacity, lanes])
            lanes = lanes[oldest < self._table.count[lanes] - capacity + self._guard]
            self._tail[lanes] += 1

    def draw(self, num_windows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw lanes ``(B,)`` and end ticks ``(B,)`` uniformly, with replacement, from all legal windows."""
        ahead = np.cumsum(self._head - self._tail)
        pick = rng.integers(ahead[-1], size=num_windows)
        lanes = np.searchsorted(ahead, pick, side="right")
        # Counted from the newest end of the lane: any order is uniform, and this one needs no second cumsum.
        nth = self._head[lanes] - (ahead[lanes] - pick)
        return lanes, self._ends[nth % self._table.capacity, lanes]

    def draw_siblings(
        self, lanes: np.ndarray, ends: np.ndarray, num_siblings: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw for each window ``num_siblings`` more of its own episode, uniformly; shapes ``(B, num_siblings)``."""
        start, last = self._table.bounds(lanes, ends)
        oldest_legal = self._ends[self._tail[lanes] % self._table.capacity, lanes]
        low = np.maximum(start + self.shape.horizon, oldest_legal)
        siblings = rng.integers(low[:, None], last[:, None] + 1, size=(len(lanes), num_siblings))
        return np.repeat(lanes[:, None], num_siblings, 1), siblings

    def all_legal(self) -> tuple[np.ndarray, np.ndarray]:
        """Return lanes and ends of every legal window, by lane, oldest first."""
        lanes = np.repeat(np.arange(len(self._head)), self._head - self._tail)
        nth = np.concatenate([np.arange(low, high) for low, high in zip(self._tail, self._head, strict=True)])
        return lanes, self._ends[nth % self._table.capacity, lanes]

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays of an exact restore."""
        return {"ends": self._ends, "head": self._head, "tail": self._tail}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore `state`."""
        self._ends[:], self._head[:], self._tail[:] = state["ends"], state["head"], state["tail"]
