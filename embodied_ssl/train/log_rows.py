"""How many rows the stretches of logs hold, counted before they are decoded: what rings must have room for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied_ssl.logs.schema import INDEX_COLUMNS
from embodied_ssl.sources.log_set import LogSet
from embodied_ssl.sources.logged_ticks import LoggedTicks

_ARRIVAL, _LANE = INDEX_COLUMNS.index("t_recv_ns"), INDEX_COLUMNS.index("lane")


def most_rows(logs: LogSet, lanes: Sequence[int], filled: np.ndarray) -> dict[str, int]:
    """Return per sensor the most rows that a lane will hold.

    Counted are the rows that arrived from the tick before a stretch to its last one; no tick keeps more of them than it
    reads.

    Args:
        logs: with the stretches learned from.
        lanes: the lane of every one.
        filled: ``(N,)`` ticks of each lane.
    """
    found = {}
    for sensor in logs.spec.sensors:
        counts = np.zeros(len(filled), np.int64)
        for number, logged in enumerate(logs.logs):
            if sensor.name in logged.log.streams:
                _count(logs, number, logged, sensor.name, lanes, counts)
        found[sensor.name] = int(np.minimum(counts, filled * logs.spec.rows_per_tick(sensor)).max())
    return found


def _count(logs: LogSet, number: int, logged: LoggedTicks, name: str, lanes: Sequence[int], counts: np.ndarray) -> None:
    """Add the rows of one sensor of one log to ``counts (N,)``."""
    index = logged.log.index(name)
    arrivals = [np.sort(index[index[:, _LANE] == lane.number, _ARRIVAL]) for lane in logged.lanes]
    for stretch, target in zip(logs.learned, lanes, strict=True):
        if stretch.log == number:
            times = logged.lanes[stretch.lane].time_ns
            before = np.searchsorted(arrivals[stretch.lane], times[stretch.start - 1]) if stretch.start else 0
            counts[target] += np.searchsorted(arrivals[stretch.lane], times[stretch.stop - 1], "right") - before
