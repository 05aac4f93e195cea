"""Which rows a tick shows: latest, window, nearest or linear. Index arithmetic on sorted int64 times, no row loops.

``latest`` and ``window`` show what had arrived by the tick, as a robot acting then would have seen it. ``nearest`` and
``linear`` also look at rows captured after the tick: the future leaks in by up to half of the largest gap, or the whole
of it, so they are for offline use only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from embodied_ssl.sources.alignment_packets import IN_ORDER, LATE

CAUSAL = ("latest", "window")
METHODS = (*CAUSAL, "nearest", "linear")


@dataclass(frozen=True)
class Span:
    """A run of ticks on one grid.

    Attributes:
        ticks: ``(m,)`` int64 times.
        before: time of the tick before the first; for the first tick of a segment just before the segment's begin.
        begin: when the segment begins: nothing that arrived earlier is shown.
        max_age_ns: rows older than this at their tick are not shown.
        max_gap_ns: rows farther apart than this are not joined.
        room: most rows of a tick.
        sent: position of the row shown last, -1: none in this segment.
    """

    ticks: np.ndarray
    before: int
    begin: int
    max_age_ns: int
    max_gap_ns: int
    room: int
    sent: int

    @property
    def previous(self) -> np.ndarray:
        """Time ``(m,)`` of the tick before each."""
        return np.concatenate([[self.before], self.ticks[:-1]])


@dataclass(frozen=True)
class Picks:
    """Rows of each tick.

    Attributes:
        rows: ``(m, K)`` positions of rows, -1 where there is none, oldest first.
        age_ns: ``(m, K)`` int64.
        share: ``(m,)`` weight of the row after each, for ``linear``; None otherwise.
        counts: what became of the packets, by name in `AlignmentCounts`.
    """

    rows: np.ndarray
    age_ns: np.ndarray
    share: np.ndarray | None
    counts: dict[str, int]


def latest(arrival: np.ndarray, capture: np.ndarray, order: np.ndarray, masked: np.ndarray, span: Span) -> Picks:
    """Pick the newest row that had arrived by each tick, once: at the first tick that shows it."""
    (usable,) = np.nonzero((order == IN_ORDER) & ~masked & (arrival >= span.begin))
    last = np.searchsorted(arrival[usable], span.ticks, "right") - 1
    seen = np.searchsorted(arrival[usable], span.previous, "right") - 1
    new = last > seen
    rows = np.where(new, usable[last] if len(usable) else -1, -1)
    age_ns = span.ticks - capture[rows] if len(usable) else np.zeros_like(span.ticks)
    fits = new & (age_ns <= span.max_age_ns)
    arrived = _arrived(arrival, (order != LATE) & ~masked, span)
    counts = {"delivered": int(fits.sum()), "over_age": int((new & ~fits).sum())}
    counts["superseded"] = int(arrived.sum()) - int(new.sum())
    return Picks(np.where(fits, rows, -1)[:, None], np.where(fits, age_ns, 0)[:, None], None, counts)


def window(arrival: np.ndarray, capture: np.ndarray, order: np.ndarray, masked: np.ndarray, span: Span) -> Picks:
    """Pick all rows that arrived since the tick before, oldest first; of a burst the newest ``room``."""
    (usable,) = np.nonzero((order != LATE) & ~masked & (arrival >= span.begin))
    (inside,) = np.nonzero(_arrived(arrival[usable], np.ones(len(usable), bool), span))
    tick = np.searchsorted(span.ticks, arrival[usable[inside]])
    shown = np.maximum.accumulate(np.concatenate([[np.iinfo(np.int64).min], capture[usable]]))
    seen = np.searchsorted(arrival[usable], span.previous, "right")
    missed = capture[usable[inside]] < shown[seen][tick]
    old = ~missed & (span.ticks[tick] - capture[usable[inside]] > span.max_age_ns)
    kept = ~(missed | old)
    rows, tick = usable[inside[kept]], tick[kept]
    by_time = np.lexsort((capture[rows], tick))
    rows, tick = rows[by_time], tick[by_time]
    count = np.bincount(tick, minlength=len(span.ticks))
    place = np.arange(len(tick)) - (np.cumsum(count) - count)[tick] - np.maximum(count - span.room, 0)[tick]
    fits = place >= 0
    picked = np.full((len(span.ticks), span.room), -1)
    picked[tick[fits], place[fits]] = rows[fits]
    age_ns = np.where(picked >= 0, span.ticks[:, None] - capture[picked] if len(capture) else 0, 0)
    counts = {"delivered": int(fits.sum()), "overflow": int((~fits).sum())}
    return Picks(picked, age_ns, None, counts | {"missed_tick": int(missed.sum()), "over_age": int(old.sum())})


def nearest(arrival: np.ndarray, capture: np.ndarray, order: np.ndarray, masked: np.ndarray, span: Span) -> Picks:
    """Pick the row captured nearest to each tick, before or after it; once."""
    usable = _by_capture(arrival, capture, masked, span)
    if not len(usable):
        return _nothing(span)
    rows, distance = _nearest(usable, capture, span.ticks)
    limit = min(span.max_gap_ns // 2, span.max_age_ns)
    near = distance <= limit
    held = np.where(near, rows, -1)
    before = np.maximum.accumulate(np.concatenate([[-1], np.where(near, np.arange(len(rows)), -1)]))[:-1]
    shown = np.where(before >= 0, held[before], span.sent)
    new = near & (rows != shown)
    passed = _arrived(capture[usable], np.ones(len(usable), bool), span).sum()
    counts = {"delivered": int(new.sum()), "superseded": max(0, int(passed) - int(new.sum()))}
    return Picks(np.where(new, rows, -1)[:, None], np.where(new, span.ticks - capture[rows], 0)[:, None], None, counts)


def linear(arrival: np.ndarray, capture: np.ndarray, order: np.ndarray, masked: np.ndarray, span: Span) -> Picks:
    """Pick the rows around each tick, for the straight line between them; none across a gap that is too long."""
    usable = _by_capture(arrival, capture, masked, span)
    if not len(usable):
        return _nothing(span)
    times = capture[usable]
    after = np.searchsorted(times, span.ticks, "right")
    low, high = (after - 1).clip(0), after.clip(max=len(times) - 1)
    gap = times[high] - times[low]
    inside = (after > 0) & ((times[low] == span.ticks) | ((after < len(times)) & (gap <= span.max_gap_ns)))
    share = np.where(inside & (gap > 0), (span.ticks - times[low]) / np.maximum(gap, 1), 0.0)
    rows = np.stack([usable[low], usable[high]], 1)
    counts = {"delivered": int(inside.sum())}
    return Picks(np.where(inside[:, None], rows, -1), np.zeros((len(rows), 1), np.int64), share, counts)


PICKERS: dict[str, Callable[..., Picks]] = {"latest": latest, "window": window, "nearest": nearest, "linear": linear}


def _nothing(span: Span) -> Picks:
    empty = np.full((len(span.ticks), 1), -1)
    return Picks(empty, np.zeros_like(empty), None, {})


def _arrived(times: np.ndarray, counted: np.ndarray, span: Span) -> np.ndarray:
    """Return which rows fall between the tick before the first and the last."""
    return counted & (times > span.before) & (times <= span.ticks[-1]) & (times >= span.begin)


def _by_capture(arrival: np.ndarray, capture: np.ndarray, masked: np.ndarray, span: Span) -> np.ndarray:
    """Return positions of usable rows of the segment, sorted by capture; of equal times the last that arrived."""
    (usable,) = np.nonzero(~masked & (arrival >= span.begin))
    usable = usable[np.argsort(capture[usable], kind="stable")]
    times = capture[usable]
    return usable[np.concatenate([times[1:] != times[:-1], [True]])] if len(usable) else usable


def _nearest(usable: np.ndarray, capture: np.ndarray, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the row nearest to each tick, the earlier of two equally near, and its distance."""
    times = capture[usable]
    after = np.searchsorted(times, ticks)
    low, high = (after - 1).clip(0), after.clip(max=len(times) - 1)
    to_low, to_high = np.abs(ticks - times[low]), np.abs(times[high] - ticks)
    chosen = np.where(to_low <= to_high, low, high)
    return usable[chosen], np.minimum(to_low, to_high)
