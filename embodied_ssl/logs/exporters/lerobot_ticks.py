"""Rows at one global rate: for every tick of an episode the latest row at or before it, stream by stream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import Episode

SLACK_NS = 1000
"""A row that is at most so much later than a tick counts as before it: rates such as 30 Hz are no whole nanoseconds."""


def episodes_of(log: StreamLog, names: Iterable[str]) -> list[Episode]:
    """Return the episodes of a log with their ends; one for each lane over everything if it states none.

    Args:
        log: the log.
        names: the streams that count for the span.
    """
    indices = [log.index(name) for name in names]
    rows = np.concatenate(indices) if indices else np.zeros((0, 5), np.int64)
    episodes = log.episodes
    if not episodes:
        for lane in np.unique(rows[:, 3]).tolist():
            times = rows[rows[:, 3] == lane, 0]
            episodes.append(Episode(lane, int(times.min()), int(times.max()), "unknown"))
    closed = []
    for number, episode in enumerate(episodes):
        end_ns = episode.end_ns
        if end_ns is None:
            later = [other.start_ns for other in episodes[number + 1 :] if other.lane == episode.lane]
            times = rows[(rows[:, 3] == episode.lane) & (rows[:, 0] < min(later, default=1 << 62)), 0]
            end_ns = max(int(times.max(initial=episode.start_ns)), episode.start_ns)
        closed.append(Episode(episode.lane, episode.start_ns, end_ns, "unknown", facts=episode.facts))
    return closed


@dataclass(frozen=True)
class LaneRows:
    """The rows of one stream and lane in order of capture.

    Attributes:
        t_ns: ``(n,)`` times, sorted.
        row: ``(n,)`` row numbers in the log.
    """

    t_ns: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, index: np.ndarray, lane: int) -> LaneRows:
        """Sort the rows of a lane; of rows with the same time the one that came last counts."""
        (row,) = np.nonzero(index[:, 3] == lane)
        order = np.argsort(index[row, 0], kind="stable")
        return cls(index[row[order], 0], row[order])

    def latest(self, ticks_ns: np.ndarray) -> np.ndarray:
        """Return ``(T,)`` the row number of the latest row at or before each tick; -1: none."""
        at = np.searchsorted(self.t_ns, ticks_ns + SLACK_NS, side="right") - 1
        return np.where(at >= 0, self.row[np.maximum(at, 0)] if len(self.row) else -1, -1)

    def first_in(self, start_ns: int, end_ns: int) -> int | None:
        """Return the time of the first row of a span, None when there is none."""
        at = int(np.searchsorted(self.t_ns, start_ns, side="left"))
        return int(self.t_ns[at]) if at < len(self.t_ns) and self.t_ns[at] <= end_ns else None


def ticks_of(episode: Episode, fps: int, lanes: Iterable[LaneRows]) -> np.ndarray:
    """Return ``(T,)`` times of the ticks of an episode, from when every stream that speaks in it has spoken.

    Args:
        episode: with its end.
        fps: ticks a second.
        lanes: the rows of each stream, of the episode's lane.
    """
    end_ns = episode.end_ns if episode.end_ns is not None else episode.start_ns
    firsts = [first for rows in lanes if (first := rows.first_in(episode.start_ns, end_ns)) is not None]
    count = (end_ns + SLACK_NS - episode.start_ns) * fps // 10**9 + 1
    ticks = episode.start_ns + np.rint(np.arange(count) * (1e9 / fps)).astype(np.int64)
    return ticks[ticks + SLACK_NS >= max(firsts, default=episode.start_ns)]
