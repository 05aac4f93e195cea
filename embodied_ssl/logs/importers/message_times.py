"""Times and sequence numbers of messages: when captured, when received, and how often they come."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_STAMPS = tuple(
    (f"{stamp}.{seconds}", f"{stamp}.{nanoseconds}")
    for stamp in ("header.stamp", "stamp", "timestamp")
    for seconds, nanoseconds in (("sec", "nanosec"), ("seconds", "nanos"), ("sec", "nsec"), ("secs", "nsecs"))
)
"""Where messages carry their capture time, first match counts: ROS, protobuf, Foxglove's JSON, ROS 1."""

SAMPLE = 1 << 16
"""Arrival times kept a topic for the median rate; a longer topic is judged by its start."""


def stamp_paths(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the paths of seconds and nanoseconds of the capture time, None when the message carries none."""
    return next((pair for pair in _STAMPS if pair[0] in values and pair[1] in values), None)


def median_rate_hz(t_ns: np.ndarray) -> float:
    """Return the nominal rate of rows: from the median step, else the mean one, else 1 Hz.

    Args:
        t_ns: ``(n,)`` times in order of the file.
    """
    steps = np.diff(t_ns)
    step = float(np.median(steps)) if len(steps) else 0.0
    if step <= 0 and len(t_ns) > 1:
        step = (int(t_ns.max()) - int(t_ns.min())) / (len(t_ns) - 1)
    return 1e9 / step if step > 0 and math.isfinite(step) else 1.0


@dataclass
class TopicTimes:
    """Times seen of one topic, in bounded memory.

    Attributes:
        stamp: paths of the capture time.
        count: messages.
        unstamped: messages whose stamp is zero or beyond 64 bits: their publish time stands in.
        oldest_ns: earliest capture time.
        newest_ns: latest capture time.
        seq_seen: whether any sequence number was not 0.
        max_age_ns: longest time from capture to arrival.
        min_age_ns: shortest one; below zero when the clocks disagree.
    """

    stamp: tuple[str, str] | None = None
    count: int = 0
    unstamped: int = 0
    oldest_ns: int = 1 << 62
    newest_ns: int = -(1 << 62)
    seq_seen: bool = False
    max_age_ns: int = -(1 << 62)
    min_age_ns: int = 1 << 62
    sample: array[int] = field(default_factory=lambda: array("q"))

    def capture_ns(self, values: Mapping[str, Any], published_ns: int) -> int:
        """Return the time of a message: its stamp, or its publish time when it has none or a zero one."""
        if self.stamp is None:
            return published_ns
        return self._stamped(values) or published_ns

    def _stamped(self, values: Mapping[str, Any]) -> int:
        """Return a message's stamp, 0 when it has none that fits 64 bits."""
        assert self.stamp is not None
        seconds, nanoseconds = (values.get(path) for path in self.stamp)
        try:  # JSON may hold text, lists, NaN
            stamped = int(seconds or 0) * 10**9 + int(nanoseconds or 0)
        except (TypeError, ValueError, OverflowError):
            return 0
        return stamped if -(1 << 63) <= stamped < 1 << 63 else 0

    def see(self, values: Mapping[str, Any], published_ns: int, received_ns: int, seq: int) -> None:
        """Take note of one message."""
        t_ns = self.capture_ns(values, published_ns)
        self.count += 1
        self.unstamped += self.stamp is not None and not self._stamped(values)
        self.oldest_ns, self.newest_ns = min(self.oldest_ns, t_ns), max(self.newest_ns, t_ns)
        self.min_age_ns = min(self.min_age_ns, received_ns - t_ns)
        self.max_age_ns = max(self.max_age_ns, received_ns - t_ns)
        self.seq_seen = self.seq_seen or seq > 0
        if len(self.sample) < SAMPLE:
            self.sample.append(t_ns)

    def rate_hz(self) -> float:
        """Return the nominal rate."""
        return median_rate_hz(np.frombuffer(self.sample, np.int64)) if self.sample else 1.0

    def notes(self) -> list[str]:
        """Return what people should know of these times."""
        lines = []
        if self.unstamped:
            lines.append(f"{self.unstamped} of {self.count} stamps are zero or impossible: the publish time stands in")
        if self.count == 1:
            lines.append("one message only: its rate is nominally 1 Hz")
        elif self.count > 1 and self.newest_ns == self.oldest_ns:
            lines.append(f"all {self.count} messages carry the same time: the rate is nominally 1 Hz")
        if self.count and (self.min_age_ns < 0 or self.max_age_ns > 10 * 10**9):
            low, high = self.min_age_ns / 1e9, self.max_age_ns / 1e9
            lines.append(f"messages are {low:.3f} to {high:.3f} s old on arrival: clocks of sender and recorder differ")
        return lines
