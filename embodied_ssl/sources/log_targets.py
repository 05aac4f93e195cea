"""Probe targets at the ticks of a log: rows of streams that are never learned from."""

from __future__ import annotations

import numpy as np

from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.sources.logged_ticks import LaneTicks


def privileged_names(log: StreamLog) -> list[str]:
    """Return the streams that are only ever probe targets and hold rows."""
    return [name for name, stream in log.streams.items() if stream.role == "privileged" and log.num_rows(name)]


def targets_at(
    log: StreamLog, name: str, lane: LaneTicks, start: int, stop: int, tick_ns: int
) -> tuple[np.ndarray, int]:
    """Return the newest row of a stream that had arrived by each tick since its uncut run of ticks began.

    Args:
        log: the log.
        name: the stream.
        lane: of the log.
        start: first tick asked for.
        stop: one past the last; no cut lies between.
        tick_ns: length of a tick; a run begins as much before its first tick.

    Returns:
        ``(T, *shape)`` float32, zeros where no row had arrived, and how many ticks these are; they come first.
    """
    shape, times = log.streams[name].sensor.shape, lane.time_ns[start:stop]
    values = np.zeros((len(times), *shape), np.float32)
    begin_ns = int(lane.time_ns[int(np.flatnonzero(lane.is_first[: start + 1])[-1])]) - tick_ns
    index = log.index(name)
    mine = np.flatnonzero((index[:, 3] == lane.number) & (index[:, 1] > begin_ns) & (index[:, 1] <= times[-1]))
    mine = mine[np.argsort(index[mine, 1], kind="stable")]
    place = np.searchsorted(index[mine, 1], times, side="right") - 1
    unknown = int((place < 0).sum())
    if unknown < len(times):
        wanted, back = np.unique(mine[place[unknown:]], return_inverse=True)
        rows = log.read(name, int(wanted[0]), int(wanted[-1]) + 1).data
        values[unknown:] = rows[wanted - wanted[0]][back]
    return values, unknown
