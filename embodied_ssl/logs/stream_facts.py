"""What can be said of one stream from its rows, gathered block by block in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from embodied_ssl.logs.schema import LogRows, LogStream

GAP_PERIODS = 1.5
"""A gap is longer than so many usual periods."""
FROZEN_PERIODS, FROZEN_S = 5, 0.5
"""A sensor is called frozen (or saturated) while its row stays the same for longer than both."""
MAX_SPANS = 10_000
"""Stretches kept by kind; all are counted."""

Span = tuple[int, int]


@dataclass
class Stretches:
    """Spans of time in which something was so; ``spans`` holds the first `MAX_SPANS` of ``count``."""

    count: int = 0
    longest_ns: int = 0
    total_ns: int = 0
    spans: list[Span] = field(default_factory=list)

    def add(self, start_ns: int, end_ns: int) -> None:
        """Note a span."""
        self.count += 1
        self.longest_ns = max(self.longest_ns, end_ns - start_ns)
        self.total_ns += end_ns - start_ns
        if len(self.spans) < MAX_SPANS:
            self.spans.append((start_ns, end_ns))


class StretchFinder:
    """Finds maximal stretches of one lane in which a condition holds from row to row, over blocks."""

    def __init__(self, least_ns: int) -> None:
        """Look for stretches of at least ``least_ns``."""
        self.found, self._least_ns = Stretches(), least_ns
        self._start_ns: int | None = None
        self._last_ns: int | None = None

    def take(self, holds: np.ndarray, times: np.ndarray) -> None:
        """Take in rows: ``holds (n,)`` bool and capture times ``(n,)``."""
        edges = np.flatnonzero(np.diff(holds, prepend=self._start_ns is not None))
        for edge in edges.tolist():
            before = int(times[edge - 1]) if edge else self._last_ns
            if self._start_ns is None:
                self._start_ns = int(times[0]) if before is None else before
            else:
                self._end(self._start_ns, int(times[0]) if before is None else before)
        if len(times):
            self._last_ns = int(times[-1])

    def _end(self, start_ns: int, end_ns: int) -> None:
        if end_ns - start_ns >= self._least_ns:
            self.found.add(start_ns, end_ns)
        self._start_ns = None

    def finish(self) -> Stretches:
        """Return the stretches, one that lasts to the end included."""
        if self._start_ns is not None and self._last_ns is not None:
            self._end(self._start_ns, self._last_ns)
        return self.found


@dataclass
class ValueFacts:
    """What the values of a stream are like.

    Attributes:
        non_finite_rows: rows with a NaN or infinity.
        black_frames: frames without any light.
        constant_channels: values of a vector that are the same in all rows, by number.
        frozen: stretches in which whole rows stay the same.
        saturated: stretches in which a value stands at a declared bound.
    """

    non_finite_rows: int = 0
    black_frames: int = 0
    constant_channels: list[int] = field(default_factory=list)
    frozen: Stretches = field(default_factory=Stretches)
    saturated: Stretches = field(default_factory=Stretches)


class _LaneStretches:
    def __init__(self, least_ns: int) -> None:
        self.frozen, self.saturated = StretchFinder(least_ns), StretchFinder(least_ns)
        self.last: np.ndarray | None = None  # (1, F) newest row


class ValueGatherer:
    """Looks at blocks of rows of one stream in order."""

    def __init__(self, stream: LogStream, period_ns: int) -> None:
        """Begin; ``period_ns`` is the usual time between rows of a lane."""
        self._stream, self.facts = stream, ValueFacts()
        self._least_ns = max(int(FROZEN_S * 1e9), FROZEN_PERIODS * period_ns)
        self._lanes: dict[int, _LaneStretches] = {}
        self._first: np.ndarray | None = None
        self._constant = np.ones(stream.sensor.size, bool)

    def take(self, rows: LogRows) -> None:
        """Take in a block."""
        values = rows.data.reshape(len(rows), -1)
        if values.dtype.kind == "f":
            self.facts.non_finite_rows += int((~np.isfinite(values).all(1)).sum())
        if self._stream.sensor.is_image:
            self.facts.black_frames += int((~values.any(1)).sum())
        self._first = values[0].copy() if self._first is None else self._first
        self._constant &= (values == self._first).all(0)
        for lane in np.unique(rows.lane).tolist():
            mine = rows.lane == lane
            self._take_lane(self._lanes.setdefault(lane, _LaneStretches(self._least_ns)), values[mine], rows.t_ns[mine])

    def _take_lane(self, lane: _LaneStretches, values: np.ndarray, times: np.ndarray) -> None:
        same = np.empty(len(values), bool)
        same[0] = lane.last is not None and bool((values[0] == lane.last[0]).all())
        same[1:] = (values[1:] == values[:-1]).all(1)
        lane.frozen.take(same, times)
        sensor = self._stream.sensor
        if not sensor.is_image and (np.isfinite(sensor.low) or np.isfinite(sensor.high)):
            at_bound = np.logical_or(values <= sensor.low, values >= sensor.high)
            lane.saturated.take(np.any(at_bound, axis=1), times)
        lane.last = values[-1:].copy()

    def finish(self) -> ValueFacts:
        """Return what was found."""
        for lane in self._lanes.values():
            for kind in ("frozen", "saturated"):
                total, found = getattr(self.facts, kind), getattr(lane, kind).finish()
                total.count, total.total_ns = total.count + found.count, total.total_ns + found.total_ns
                total.longest_ns = max(total.longest_ns, found.longest_ns)
                total.spans += found.spans[: MAX_SPANS - len(total.spans)]
        if self._first is not None and not self._stream.sensor.is_image:
            self.facts.constant_channels = np.flatnonzero(self._constant).tolist()
        return self.facts


@dataclass
class TimeFacts:
    """What the times and numbers of a stream are like; lanes are looked at one by one.

    Attributes:
        first_ns, last_ns: earliest and latest capture; -1 without rows.
        lanes: how many.
        measured_hz: one over the median time between rows of a lane that follow each other in time; 0: unknown.
        gaps: times longer than `GAP_PERIODS` usual periods without a row.
        dropped: numbers of the source that are missing.
        duplicates: rows whose number, or without numbers whose capture time, was there before in the row before.
        out_of_order: rows captured before the row before them.
    """

    first_ns: int = -1
    last_ns: int = -1
    lanes: int = 0
    measured_hz: float = 0.0
    gaps: Stretches = field(default_factory=Stretches)
    dropped: int = 0
    duplicates: int = 0
    out_of_order: int = 0


def time_facts(index: np.ndarray) -> TimeFacts:
    """Return the facts of the index columns ``(N, 5)`` of a stream."""
    facts = TimeFacts()
    if not len(index):
        return facts
    facts.first_ns, facts.last_ns = int(index[:, 0].min()), int(index[:, 0].max())
    lanes = np.unique(index[:, 3])
    facts.lanes = len(lanes)
    steps, per_lane = [], []
    for lane in lanes:
        mine = index[index[:, 3] == lane]
        facts.out_of_order += int((np.diff(mine[:, 0]) < 0).sum())
        _count_numbers(mine, facts)
        times = np.unique(mine[:, 0])
        per_lane.append(times)
        steps.append(np.diff(times))
    every = np.concatenate(steps)
    if len(every):
        period = float(np.median(every))
        facts.measured_hz = 1e9 / period
        for times, some in zip(per_lane, steps, strict=True):
            for number in np.flatnonzero(some > GAP_PERIODS * period).tolist():
                facts.gaps.add(int(times[number]), int(times[number + 1]))
    return facts


def _count_numbers(mine: np.ndarray, facts: TimeFacts) -> None:
    """Count drops and duplicates of one lane by the source's numbers, without them duplicates by capture time."""
    numbers = mine[mine[:, 2] >= 0, 2]
    if len(numbers):
        distinct = np.unique(numbers)
        facts.duplicates += len(numbers) - len(distinct)
        facts.dropped += int(distinct[-1] - distinct[0]) + 1 - len(distinct)
    else:
        facts.duplicates += len(mine) - len(np.unique(mine[:, 0]))
