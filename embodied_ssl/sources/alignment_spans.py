"""When there are ticks: while sensors speak, on an even grid that begins with them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

MAX_GRID_DENOMINATOR = 1000


@dataclass(frozen=True)
class Alive:
    """A stretch of time without a silence that is too long.

    Attributes:
        begin: first arrival.
        end: last arrival known.
        closed: a silence follows; else it may go on.
    """

    begin: int
    end: int
    closed: bool


class Activity:
    """The stretches in which one group of streams was alive."""

    def __init__(self, max_gap_ns: int) -> None:
        """Begin before the first arrival."""
        self._max_gap_ns = max_gap_ns
        self._spans: list[tuple[int, int]] = []

    def add(self, arrival: np.ndarray) -> None:
        """Take in arrivals, sorted, none before those taken in earlier."""
        if not len(arrival):
            return
        times = arrival if not self._spans else np.concatenate([[self._spans[-1][1]], arrival])
        begin = int(arrival[0]) if not self._spans else self._spans.pop()[0]
        for cut in np.flatnonzero(np.diff(times) > self._max_gap_ns):
            self._spans.append((begin, int(times[cut])))
            begin = int(times[cut + 1])
        self._spans.append((begin, int(times[-1])))

    def forget(self, before_ns: int) -> None:
        """Drop stretches that ended before; the last one stays."""
        while len(self._spans) > 1 and self._spans[0][1] < before_ns:
            self._spans.pop(0)

    def spans(self, closed: bool) -> list[Alive]:
        """Return the stretches; the last is open unless ``closed``."""
        last = len(self._spans) - 1
        return [Alive(begin, end, closed or i < last) for i, (begin, end) in enumerate(self._spans)]


def common(one: list[Alive], other: list[Alive]) -> list[Alive]:
    """Return the stretches that lie in both."""
    found, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        a, b = one[i], other[j]
        end = min(a.end, b.end)
        closed = (a.closed and a.end == end) or (b.closed and b.end == end)
        if max(a.begin, b.begin) <= end:
            found.append(Alive(max(a.begin, b.begin), end, closed))
        if a.end <= b.end:
            i += 1
        else:
            j += 1
    return found


@dataclass(frozen=True)
class Grid:
    """Even ticks ``origin + floor(k / control_hz)`` in whole nanoseconds, without drift.

    Attributes:
        origin: time of tick 0.
        rate: ticks a second, an exact fraction.
    """

    origin: int
    rate: Fraction

    @classmethod
    def of(cls, origin: int, control_hz: float) -> Grid:
        """Return the grid of a rate in floating point: 29.97 is 2997 / 100."""
        return cls(origin, Fraction(control_hz).limit_denominator(MAX_GRID_DENOMINATOR))

    def times(self, first: int, count: int) -> np.ndarray:
        """Return the times of ``count`` ticks from number ``first`` on."""
        step, rate = 10**9 * self.rate.denominator, self.rate.numerator
        base, rest = divmod(first * step, rate)
        return self.origin + base + (rest + np.arange(count, dtype=np.int64) * step) // rate

    def num_before(self, time_ns: int) -> int:
        """Return how many ticks lie before ``time_ns``."""
        step, rate = 10**9 * self.rate.denominator, self.rate.numerator
        return max(0, -(-(time_ns - self.origin) * rate // step))
