"""One growing clock for episodes that were recorded one after another, each with its own time zero."""

from __future__ import annotations

import numpy as np

GAP_NS = 1_000_000_000
"""Shortest time that is put between two episodes: no temporal pair should cross it."""


def tick_times(start_ns: int, first: int, count: int, rate_hz: float) -> np.ndarray:
    """Return ``(count,)`` int64 ns: the times of ticks ``first ...`` of a regular clock that starts at ``start_ns``."""
    return start_ns + np.rint(np.arange(first, first + count) * (1e9 / rate_hz)).astype(np.int64)


class EpisodeClock:
    """Says when the next episode starts.

    The first starts at 0 ns. Each next one starts after the last row of the one before, by 1 s or by two ticks of the
    slowest stream, whichever is longer. The source's own clock, if it has one, is not kept across episodes: its zero
    means nothing.
    """

    def __init__(self, rate_hz: float) -> None:
        """Start at 0.

        Args:
            rate_hz: rate of the slowest stream.
        """
        self.gap_ns = max(GAP_NS, round(2e9 / rate_hz))
        self.start_ns = 0

    def end(self, last_ns: int) -> None:
        """Close the episode whose last row is at ``last_ns``; `start_ns` moves on."""
        self.start_ns = max(self.start_ns, int(last_ns)) + self.gap_ns
