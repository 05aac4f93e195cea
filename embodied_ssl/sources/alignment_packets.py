"""One stream's packets as they arrive: what is wrong with each, counted exactly, in blocks of any size.

All times are int64 nanoseconds and differences are taken between integers: a float holds no nanosecond of today.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.sources.alignment_counts import AlignmentCounts
from embodied_ssl.sources.alignment_doubles import DoubleFinder
from embodied_ssl.sources.sensor_faults import FaultDetector, FaultLimits
from embodied_ssl.spec import SensorSpec

IN_ORDER, REORDERED, LATE = 0, 1, 2

SEQ_WINDOW = 4096
"""A number smaller than the greatest one by more than this means that the source has begun anew."""

_MAX_NS = 2**62 - 1


@dataclass(frozen=True)
class ScreenSettings:
    """Times in nanoseconds.

    Attributes:
        tick_ns: length of a tick.
        max_gap_ns: longest silence without a cut, and largest believable jump of a clock.
        reorder_ns: how far back a packet may lie before the clock is thought to have jumped.
    """

    tick_ns: int
    max_gap_ns: int
    reorder_ns: int


@dataclass(frozen=True)
class Packets:
    """Packets that are no duplicates, in order of arrival.

    Attributes:
        arrival: ``(n,)`` int64, never going back within a piece.
        capture: ``(n,)`` int64, on the clock of arrival and never after it.
        order: ``(n,)`` `IN_ORDER`, `REORDERED` or `LATE`.
        masked: ``(n,)`` bool: the reading is faulty.
        data: ``(n, *shape)``.
        breaks: rows at which the arrival clock stepped back: a new piece begins there.
    """

    arrival: np.ndarray
    capture: np.ndarray
    order: np.ndarray
    masked: np.ndarray
    data: np.ndarray
    breaks: list[int]


class PacketScreen:
    """Sorts out the packets of one stream; state is carried from block to block."""

    def __init__(self, sensor: SensorSpec, settings: ScreenSettings, limits: FaultLimits | None = None) -> None:
        """Begin before the first packet; ``sensor.rate_hz`` is the nominal rate, for the estimate of missing ones."""
        self.counts = AlignmentCounts()
        self.faults = FaultDetector(sensor, limits)
        self._settings, self._sensor, self._name = settings, sensor, sensor.name
        self._period_ns = 1e9 / sensor.rate_hz
        self._begins_piece = False
        self._doubles = DoubleFinder(settings.max_gap_ns)
        self._arrived_ns: int | None = None  # newest arrival of this piece
        self._newest_ns: int | None = None  # greatest capture time of this clock segment, as the source wrote it
        self._latency_ns, self._shift_ns, self._good_ns = 0, 0, 0
        self._heard_ns: int | None = None  # arrival of the newest packet in order
        self._numbers: tuple[int, int, int] | None = None  # least, greatest and count since the source began
        self._missing_before = self._holes = 0

    def screen(self, t_ns: np.ndarray, t_recv_ns: np.ndarray, seq: np.ndarray, data: np.ndarray) -> Packets:
        """Take in packets ``(n,)`` in order of arrival.

        Raises:
            LogError: a time is beyond what int64 differences can hold.
        """
        for times in (t_ns, t_recv_ns):
            if len(times) and max(abs(int(times.min())), abs(int(times.max()))) > _MAX_NS:
                raise LogError(f"stream {self._name!r}: a time lies beyond 2^62 ns (146 years); expected nanoseconds")
        self.counts.received += len(t_ns)
        arrival, breaks = self._arrivals(np.asarray(t_recv_ns, np.int64))
        t_ns = self._timed(np.asarray(t_ns, np.int64), arrival)
        copied = self._doubles.check(np.asarray(seq, np.int64), t_ns, data)
        self.counts.duplicated += int(copied.sum())
        (kept,) = np.nonzero(~copied)
        places = np.searchsorted(kept, [*breaks, *([0] if self._begins_piece else [])])
        breaks = [int(place) for place in np.unique(places)]
        self._begins_piece = len(kept) in breaks  # its first packet was a duplicate: the next one begins the piece
        arrival, t_ns, data = arrival[kept], t_ns[kept], self._cast(data[kept])
        self._count_missing(np.asarray(seq, np.int64)[kept])
        capture, order = np.empty_like(t_ns), np.empty(len(t_ns), np.int8)
        for start, stop in _between(breaks, len(t_ns)):
            if start in breaks:
                self._newest_ns = self._heard_ns = None
            self._segments(arrival[start:stop], t_ns[start:stop], capture[start:stop], order[start:stop])
        flags, masked = self.faults.check(data, arrival)
        self.counts.non_finite += int((flags & 1).sum())
        self.counts.masked += int(masked.sum())
        return Packets(arrival, np.minimum(capture, arrival), order, masked, data, [b for b in breaks if b < len(t_ns)])

    def _cast(self, data: np.ndarray) -> np.ndarray:
        """Return rows in the form of ticks; what float32 cannot hold becomes infinite, and is then found faulty."""
        with np.errstate(over="ignore", invalid="ignore"):
            return data.reshape(len(data), *self._sensor.shape).astype(self._sensor.dtype)

    # --- arrival ------------------------------------------------------------------------------------------------

    def _arrivals(self, t_recv_ns: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """Return arrivals that never go back within a piece, and where pieces begin."""
        arrival, breaks, start = t_recv_ns.copy(), [], 0
        while start < len(arrival):
            first = int(arrival[start]) if self._arrived_ns is None else self._arrived_ns
            rest = t_recv_ns[start:]
            before = np.maximum.accumulate(np.concatenate([[first], rest]))[:-1]
            zero = (rest == 0) & (np.abs(before) > self._settings.max_gap_ns)  # no time at all
            (back,) = np.nonzero((before - rest > self._settings.reorder_ns) & ~zero)
            stop = start + int(back[0]) if len(back) else len(arrival)
            arrival[start:stop] = np.maximum(rest, before)[: stop - start]
            if len(back):
                breaks.append(stop)
                self.counts.arrival_jumps += 1
                self._arrived_ns = None
            elif stop > start:
                self._arrived_ns = int(arrival[stop - 1])
            start = stop
        return arrival, breaks

    def _timed(self, t_ns: np.ndarray, arrival: np.ndarray) -> np.ndarray:
        """Return capture times; the arrival where a running clock said 0."""
        zero = (t_ns == 0) & (np.abs(arrival) > self._settings.max_gap_ns)
        if not zero.any() or zero.all():
            return t_ns
        last = np.maximum.accumulate(np.where(zero, 0, np.arange(1, len(t_ns) + 1)))
        before = np.concatenate([[self._newest_ns or 0], t_ns])[last]
        untimed = zero & (np.abs(before) > self._settings.max_gap_ns)  # a clock that has just begun at 0 is in order
        self.counts.untimed += int(untimed.sum())
        shift_ns, good_ns = self._shift_ns, self._good_ns
        if self._newest_ns is None:
            latency_ns = int((arrival - t_ns)[~zero][0])
            near = abs(latency_ns) <= self._settings.max_gap_ns
            shift_ns, good_ns = (0, latency_ns) if near else (latency_ns, 0)
        return np.where(untimed, arrival - shift_ns - good_ns, t_ns)

    # --- capture ------------------------------------------------------------------------------------------------

    def _segments(self, arrival: np.ndarray, t_ns: np.ndarray, capture: np.ndarray, order: np.ndarray) -> None:
        """Fill in corrected capture times and orders of one piece, clock segment by clock segment."""
        start = 0
        while start < len(t_ns):
            if self._newest_ns is None:
                self._anchor(int(arrival[start]) - int(t_ns[start]), int(t_ns[start]))
            stop = start + self._until_jump(arrival[start:], t_ns[start:], order[start:])
            capture[start:stop] = t_ns[start:stop] + self._shift_ns
            if stop < len(t_ns):
                self.counts.clock_jumps += 1
                self._newest_ns = None
            start = stop

    def _anchor(self, latency_ns: int, t_ns: int) -> None:
        """Begin a clock segment: a clock far from that of arrival is shifted to keep the last believable latency."""
        near = abs(latency_ns) <= self._settings.max_gap_ns
        self._shift_ns = 0 if near else latency_ns - self._good_ns
        self._newest_ns, self._latency_ns = t_ns, latency_ns

    def _until_jump(self, arrival: np.ndarray, t_ns: np.ndarray, order: np.ndarray) -> int:
        """Classify packets up to the next jump of the clock; return how many."""
        assert self._newest_ns is not None, "a segment was begun"
        newest = np.maximum.accumulate(np.concatenate([[self._newest_ns], t_ns]))
        ahead = t_ns >= newest[:-1]
        latency = np.clip(arrival - t_ns, -(2**61), 2**61)
        row = np.maximum.accumulate(np.where(ahead, np.arange(1, len(t_ns) + 1), 0))
        believed = np.concatenate([[np.clip(self._latency_ns, -(2**61), 2**61)], latency])[np.concatenate([[0], row])]
        behind = newest[:-1] - t_ns
        jump = (np.abs(latency - believed[:-1]) > self._settings.max_gap_ns) & ahead
        (jumps,) = np.nonzero(jump | (behind > self._settings.reorder_ns))
        stop = int(jumps[0]) if len(jumps) else len(t_ns)
        if stop == 0:
            return 0
        order[:stop] = np.where(ahead, IN_ORDER, np.where(behind > self._settings.tick_ns, LATE, REORDERED))[:stop]
        self._count(arrival[:stop], t_ns[:stop], order[:stop])
        self._newest_ns, self._latency_ns = int(newest[stop]), int(believed[stop])
        self._good_ns = max(0, self._latency_ns - self._shift_ns)
        return stop

    # --- counting -----------------------------------------------------------------------------------------------

    def _count(self, arrival: np.ndarray, t_ns: np.ndarray, order: np.ndarray) -> None:
        """Count orders, gaps and, without numbers, holes in time."""
        for name, kind in (("in_order", IN_ORDER), ("reordered", REORDERED), ("late", LATE)):
            setattr(self.counts, name, getattr(self.counts, name) + int((order == kind).sum()))
        ahead = order == IN_ORDER
        heard = arrival[ahead] if self._heard_ns is None else np.concatenate([[self._heard_ns], arrival[ahead]])
        self.counts.gaps += int((np.diff(heard) > self._settings.max_gap_ns).sum())
        if len(heard):
            self._heard_ns = int(heard[-1])
        assert self._newest_ns is not None, "a segment was begun"
        step = np.diff(np.concatenate([[self._newest_ns], t_ns[ahead]]))
        hole = (step > 1.5 * self._period_ns) & (step <= self._settings.max_gap_ns)
        self._holes += int((np.rint(step[hole] / self._period_ns) - 1).sum()) - int((~ahead).sum())
        if self.counts.missing_is_estimate:
            self.counts.missing = max(0, self._holes)

    def _count_missing(self, seq: np.ndarray) -> None:
        """Count holes in the source's numbers; a source without numbers is estimated elsewhere."""
        if self._numbers is None and len(seq) and not self.counts.missing_is_estimate:
            self.counts.missing_is_estimate = bool(seq[0] < 0)
        if self.counts.missing_is_estimate:
            return
        seq, start = seq[seq >= 0], 0
        while start < len(seq):
            low, high, count = self._numbers or (int(seq[start]), int(seq[start]), 0)
            rest = seq[start:]
            before = np.maximum.accumulate(np.concatenate([[high], rest]))[:-1]
            (back,) = np.nonzero(before - rest > SEQ_WINDOW)
            part = rest[: back[0]] if len(back) else rest
            if len(part):
                self._numbers = min(low, int(part.min())), max(high, int(part.max())), count + len(part)
            if len(back):
                self._missing_before += self._lacking()
                self._numbers = None
            start += len(part)
        self.counts.missing = self._missing_before + self._lacking()

    def _lacking(self) -> int:
        low, high, count = self._numbers or (0, -1, 0)
        return max(0, high - low + 1 - count)


def _between(breaks: list[int], stop: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of rows that breaks leave."""
    edges = [0, *(b for b in breaks if 0 < b < stop), stop]
    yield from ((a, b) for a, b in itertools.pairwise(edges) if b > a)
