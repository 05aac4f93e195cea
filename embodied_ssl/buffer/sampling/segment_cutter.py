"""Cuts what is about to leave a ring into segments, each offered to the long-term memory once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape

MOST_AT_ONCE = 8
"""Segments that a call takes in, unless more would be lost."""


@dataclass(frozen=True)
class Segments:
    """Runs of ticks, each of one episode.

    Attributes:
        lanes: ``(S,)`` int64.
        first: ``(S,)`` int64, first tick.
        last: ``(S,)`` int64, last tick.
        low: ``(S,)`` int64, the first tick that can end a window: none of its ticks lies before the segment, but for
            ticks before the episode. The window does not hold the segment's own first tick either, because there
            a held reading would look fresh.
    """

    lanes: np.ndarray
    first: np.ndarray
    last: np.ndarray
    low: np.ndarray

    def __len__(self) -> int:
        """Return S."""
        return len(self.lanes)

    def __getitem__(self, chosen: np.ndarray) -> Segments:
        """Return the segments that ``chosen`` (numbers or bools) picks."""
        return Segments(self.lanes[chosen], self.first[chosen], self.last[chosen], self.low[chosen])


class SegmentCutter:
    """A cursor per lane that walks behind the ring's writer, as far back as is safe.

    Segments follow each other and have ``segment_ticks``, but for the last one of an episode: it ends with the
    episode and reaches back over its forerunner, and is shorter where the episode is. The cursor keeps an eighth of
    the ring between itself and what will be overwritten, for callers that come late. Once a lane has reached that,
    all lanes within another eighth are cut, so that several segments are copied at once: at most `MOST_AT_ONCE`, those
    that are furthest behind, for each copy is a window of all sensors. Only what has used up half of the eighth for
    late callers is cut in any case.
    """

    def __init__(self, buffer: StreamBuffer, shape: WindowShape, segment_ticks: int, guard_ticks: int) -> None:
        """Begin at the first tick of every lane.

        Args:
            buffer: the ring; at least three times as long as a segment.
            shape: of the windows that will be drawn from segments.
            segment_ticks: length of a segment, more than a window.
            guard_ticks: oldest ticks that a writer may be overwriting.
        """
        self.buffer, self.shape, self.segment_ticks = buffer, shape, segment_ticks
        self.guard_ticks = guard_ticks
        self.cursor = np.zeros(buffer.num_lanes, np.int64)
        self.num_missed = np.zeros(1, np.int64)  # lane-ticks overwritten before they were looked at

    def due(self) -> Segments:
        """Return the segments to be taken now; the caller holds ``buffer.lock``."""
        count, eighth = self.buffer.table.count, self.buffer.capacity // 8
        parts: list[Segments] = []
        # An episode's last segment may begin almost a whole segment before the cursor.
        urgent = self.buffer.capacity - self.guard_ticks - self.segment_ticks - eighth
        due, lost = max(urgent - eighth, self.segment_ticks), max(urgent + eighth // 2, self.segment_ticks)
        num_cut = 0
        if (count - self.cursor > urgent).any():
            while (lanes := self._furthest_behind(due, lost, MOST_AT_ONCE - num_cut)).size:
                parts.append(self._cut(lanes))
                num_cut += len(lanes)
        if not parts:
            none = np.zeros(0, np.int64)
            return Segments(none, none, none, none)
        return Segments(*(np.concatenate([getattr(p, name) for p in parts]) for name in Segments.__annotations__))

    def _furthest_behind(self, due: int, lost: int, most: int) -> np.ndarray:
        """Return ``most`` lanes of those whose cursor is more than ``due`` ticks behind, and all more than ``lost``."""
        behind = self.buffer.table.count - self.cursor
        order = np.argsort(-behind, kind="stable")
        num = max(min(most, np.count_nonzero(behind > due)), np.count_nonzero(behind > lost), 0)
        return np.sort(order[:num])

    def _cut(self, lanes: np.ndarray) -> Segments:
        """Move the cursor of ``lanes`` past one segment each; return those that hold a window."""
        safe = np.maximum(self.buffer.table.count[lanes] - self.buffer.capacity + self.guard_ticks, 0)
        self.num_missed += np.maximum(safe - self.cursor[lanes], 0).sum()
        self.cursor[lanes] = np.maximum(self.cursor[lanes], safe)
        start, newest = self.buffer.table.bounds(lanes, self.cursor[lanes])
        last = np.minimum(self.cursor[lanes] + self.segment_ticks - 1, newest)
        first = np.maximum(np.maximum(start, last - self.segment_ticks + 1), safe)
        self.cursor[lanes] = last + 1
        low = first + np.where(first == start, self.shape.horizon, self.shape.length)
        return Segments(lanes, first, last, low)[low <= last]
