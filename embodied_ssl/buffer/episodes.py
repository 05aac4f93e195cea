"""Where episodes begin: all that is kept on the host of the ticks in the ring, some bytes an episode, none a tick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LANE = 1 << 40
"""Ticks that a lane may count before keys of two lanes meet: 34 years at 1 kHz."""


@dataclass(frozen=True)
class Episodes:
    """Episodes that the ring may still hold, by lane, oldest first: arrays ``(F,)``.

    Attributes:
        lane: the lane.
        first: its first tick.
        last: its last tick so far.
        before: per horizon, legal ends ever added to the lane before this episode.
        key: ``lane * 2^40 + first``, ascending.
    """

    lane: np.ndarray
    first: np.ndarray
    last: np.ndarray
    before: dict[int, np.ndarray]
    key: np.ndarray

    def find(self, lanes: np.ndarray, ticks: np.ndarray) -> np.ndarray:
        """Return which episode holds each of ``ticks`` of ``lanes``."""
        return np.maximum(np.searchsorted(self.key, lanes * _LANE + ticks, side="right") - 1, 0)

    def find_number(self, horizon: int, lanes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return which episode the ends with these numbers, counted per lane from the first ever, are of."""
        return np.searchsorted(self.lane * _LANE + self.before[horizon], lanes * _LANE + numbers, side="right") - 1


class EpisodeTable:
    """Per lane its write counter and a ring of episode starts, which grows when episodes are short.

    An end of horizon h is legal from the h-th tick of its episode on; how many such ends came before an episode is
    noted when it starts, so that ends keep their numbers whatever has expired.
    """

    def __init__(self, num_lanes: int, capacity_ticks: int, horizons: Sequence[int] = ()) -> None:
        """Make an empty table of ``N`` lanes for a ring of ``T`` ticks."""
        self.capacity = capacity_ticks
        self.count = np.zeros(num_lanes, np.int64)
        self.start = np.zeros(num_lanes, np.int64)  # first tick of the episode that goes on
        self.horizons = tuple(dict.fromkeys(horizons))
        self.version = 0
        self._tail = np.zeros(num_lanes, np.int64)
        self._head = np.zeros(num_lanes, np.int64)
        self._ring = np.zeros((1 + len(self.horizons), 8, num_lanes), np.int64)  # first tick, then `before` by horizon
        self._view: tuple[int, Episodes] | None = None

    def start_of(self, lanes: np.ndarray, is_first: np.ndarray) -> np.ndarray:
        """Return ``(M,)`` the first tick of the episode to which the next tick of ``lanes`` will belong."""
        count = self.count[lanes]
        return np.where(is_first | (count == 0), count, self.start[lanes])

    def append(self, lanes: np.ndarray, is_first: np.ndarray) -> None:
        """Count one tick of each of ``lanes`` (M,); a lane's very first tick starts an episode in any case."""
        starts = is_first | (self.count[lanes] == 0)
        if starts.any():
            self._begin(lanes[starts])
        self.count[lanes] += 1
        self.version += 1

    def _begin(self, lanes: np.ndarray) -> None:
        self._drop(lanes)
        if (self._head[lanes] - self._tail[lanes] >= self._ring.shape[1]).any():
            self._grow()
        ring, slot = self._ring, self._head[lanes] % self._ring.shape[1]
        for row, horizon in enumerate(self.horizons, start=1):
            ring[row, slot, lanes] = self.added(horizon)[lanes]
        self.start[lanes] = ring[0, slot, lanes] = self.count[lanes]
        self._head[lanes] += 1

    def _drop(self, lanes: np.ndarray) -> None:
        """Forget episodes whose last tick is overwritten."""
        while len(lanes):
            lanes = lanes[self._head[lanes] - self._tail[lanes] > 1]
            second = self._ring[0, (self._tail[lanes] + 1) % self._ring.shape[1], lanes]
            lanes = lanes[second <= self.count[lanes] - self.capacity]
            self._tail[lanes] += 1

    def _grow(self) -> None:
        rows, size, lanes = self._ring.shape
        ring = np.zeros((rows, 2 * size, lanes), np.int64)
        number = self._tail + np.arange(size)[:, None]
        ring[:, number % (2 * size), np.arange(lanes)] = self._ring[:, number % size, np.arange(lanes)]
        self._ring = ring

    def added(self, horizon: int) -> np.ndarray:
        """Return ``(N,)`` how many ends of ``horizon`` each lane has ever had."""
        row = 1 + self.horizons.index(horizon)
        lanes = np.arange(len(self.count))
        before = self._ring[row, (self._head - 1) % self._ring.shape[1], lanes]
        return np.where(self._head > 0, before + np.maximum(self.count - self.start - horizon, 0), 0)

    def episodes(self) -> Episodes:
        """Return the episodes that the ring may still hold; made anew only when ticks have come in."""
        version = self.version
        if self._view is None or self._view[0] != version:
            self._view = (version, self._list())
        return self._view[1]

    def _list(self) -> Episodes:
        tail, head, ring = self._tail.copy(), self._head.copy(), self._ring
        lane = np.repeat(np.arange(len(head)), head - tail)
        upto = np.cumsum(head - tail)
        number = np.arange(len(lane)) + (head - upto)[lane]
        table = ring[:, number % ring.shape[1], lane]
        last = np.empty_like(lane)
        last[:-1] = table[0, 1:] - 1
        newest = number == head[lane] - 1
        last[newest] = self.count[lane[newest]] - 1
        before = {horizon: table[row] for row, horizon in enumerate(self.horizons, start=1)}
        return Episodes(lane, table[0], last, before, lane * _LANE + table[0])

    def bounds(self, lanes: np.ndarray, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return first and newest tick of the episodes that hold ``ticks`` of ``lanes``.

        A lane without any tick gives back ``ticks``.
        """
        episodes = self.episodes()
        if not len(episodes.lane):
            return ticks, ticks
        at = episodes.find(lanes, ticks)
        known = episodes.lane[at] == lanes
        return np.where(known, episodes.first[at], ticks), np.where(known, episodes.last[at], ticks)

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays of an exact restore."""
        return {"count": self.count, "start": self.start, "tail": self._tail, "head": self._head, "ring": self._ring}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore `state`."""
        self.count[:], self.start[:] = state["count"], state["start"]
        self._tail[:], self._head[:] = state["tail"], state["head"]
        self._ring = state["ring"].copy()
        self.version += 1
