"""Packets of made-up sensors with injected faults, and exact counts of what was injected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied_ssl.logs import LogStream
from embodied_ssl.spec import SensorSpec

MS = 1_000_000
EPOCH = 1_790_000_000_000_000_000  # a time of these years, beyond 2^53


def imu(rate_hz: float = 100.0, name: str = "imu", size: int = 3) -> LogStream:
    return LogStream(SensorSpec(name, "imu", (size,), "float32", rate_hz))


@dataclass
class Faulty:
    """Columns of a stream in order of arrival, and what was done to it."""

    t_ns: np.ndarray
    t_recv_ns: np.ndarray
    seq: np.ndarray
    data: np.ndarray
    injected: dict[str, int]

    def blocks(self, size: int):
        for i in range(0, len(self.t_ns), size):
            s = slice(i, i + size)
            yield self.data[s], self.t_ns[s], self.t_recv_ns[s], self.seq[s]


def inject(
    rng: np.random.Generator,
    num: int = 2000,
    period_ns: int = 10 * MS,
    start_ns: int = EPOCH,
    drop: float = 0.0,
    late: float = 0.0,
    late_ns: int = 65 * MS,
    swap: float = 0.0,
    double: float = 0.0,
    nan: float = 0.0,
    jumps: tuple[int, ...] = (),
    drift: float = 0.0,
    latency_ns: int = 3 * MS,
) -> Faulty:
    """Make a stream and break it; each packet has at most one of late and swapped.

    Args:
        rng: of all choices.
        num: packets sent.
        period_ns: between them.
        start_ns: time of the first.
        drop: share of packets that never arrive; the first and last always do.
        late: share that arrives ``late_ns`` later than the others.
        late_ns: this much; more than a tick.
        swap: share of packets that change places in arrival with the next one; closer than a tick.
        double: share that arrives twice, the copy up to three packets later.
        nan: share with a NaN.
        jumps: nanoseconds by which the capture clock jumps, at even places.
        drift: how much faster the capture clock runs.
        latency_ns: between capture and arrival.
    """
    number = np.arange(num)
    sent = start_ns + number * period_ns
    t = sent + np.rint(number * (period_ns * drift)).astype(np.int64)
    for k, jump in enumerate(jumps):
        t[num * (k + 1) // (len(jumps) + 1) :] += jump
    data = rng.standard_normal((num, 3)).astype(np.float32)
    arrival = sent + latency_ns
    edge = np.zeros(num, bool)
    edge[[0, 1, 2, -1, -2, -3]] = True
    for k in range(len(jumps)):  # faults stay away from jumps, so that each has one name
        at = num * (k + 1) // (len(jumps) + 1)
        edge[at - 8 : at + 8] = True
    kept = (rng.random(num) >= drop) | edge
    bad = (rng.random(num) < nan) & kept
    data[bad, 0] = np.nan
    is_late = (rng.random(num) < late) & kept & ~edge
    for i in np.flatnonzero(is_late):  # late it is only if one sent more than a tick after it came before it
        is_late[i] = kept[i + 4 : i + 5].all() and not is_late[max(0, i - 4)]
    arrival[is_late] += late_ns
    order = np.argsort(np.where(kept, arrival, np.iinfo(np.int64).max), kind="stable")[: kept.sum()]
    swapped = 0
    place = 4
    while swap and place < len(order) - 4:
        a, b = order[place], order[place + 1]
        if b == a + 1 and not (is_late[[a, b]].any() or edge[[a, b]].any()) and rng.random() < swap:
            order[[place, place + 1]] = b, a
            arrival[a] = arrival[b] = max(arrival[a], arrival[b])
            swapped += 1
            place += 1
        place += 1
    out, copies, waiting = [], 0, []
    for i in order:
        out.append(i)
        waiting = [(j, left - 1) for j, left in waiting]
        out += [j for j, left in waiting if left <= 0]
        waiting = [(j, left) for j, left in waiting if left > 0]
        if rng.random() < double and not edge[i]:
            waiting.append((i, int(rng.integers(1, 4))))
            copies += 1
    out = np.array(out + [j for j, _ in waiting])
    injected = {
        "received": len(out),
        "duplicated": copies,
        "missing": int((~kept).sum()),
        "late": int(is_late.sum()),
        "reordered": swapped,
        "clock_jumps": len(jumps),
        "non_finite": int(bad.sum()),
    }
    arrived = np.maximum.accumulate(arrival[out])
    return Faulty(t[out], arrived, number[out], data[out], injected)
