"""Readings that are no readings: not finite, frozen, saturated or all black; flagged row by row, streaming.

What is declared is looked for: NaN, infinity (and numbers beyond `HUGE`) and black frames in any case, frozen and
saturated sensors when a time is given, because a contact sensor that reads zero for a minute is in order and an IMU
that does so is broken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.sources.rows import to_host
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick

NON_FINITE, FROZEN, SATURATED, BLACK = 1, 2, 4, 8
"""Bits of a row's flags."""

FAULT_NAMES = {"non_finite": NON_FINITE, "frozen": FROZEN, "saturated": SATURATED, "black": BLACK}

HUGE = 1e18
"""No reading is as large: its square is more than float32 holds, and running variances would become infinite."""

POLICIES = ("mask", "keep")


@dataclass(frozen=True)
class FaultLimits:
    """When a sensor counts as broken.

    Attributes:
        frozen_s: every value of a row unchanged for longer than this; None: never asked.
        saturated_s: a value at its declared bound, or unchanged at the extreme seen so far, for longer than this;
            None: never asked.
        black_level: a frame whose brightest value is at most this is black; None: never asked.
        policy: ``mask`` keeps rows with a flag out of batches, ``keep`` only counts them. Rows that are not finite are
            kept out in any case: one of them would make every weight NaN.
    """

    frozen_s: float | None = None
    saturated_s: float | None = None
    black_level: int | None = 0
    policy: str = "mask"

    def __post_init__(self) -> None:
        """Check the policy and the times."""
        if self.policy not in POLICIES:
            raise LogError(f"policy is {self.policy!r}, expected one of {', '.join(POLICIES)}")
        for name in ("frozen_s", "saturated_s"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise LogError(f"{name} is {value}, expected a positive number of seconds, or None")


@dataclass
class FaultCounts:
    """What was found in one sensor.

    Attributes:
        rows: rows looked at.
        flagged: rows by kind of fault; a row may have several.
        masked: rows kept out of batches.
    """

    rows: int = 0
    flagged: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULT_NAMES, 0))
    masked: int = 0

    def add(self, flags: np.ndarray, masked: np.ndarray) -> None:
        """Count rows ``(n,)``."""
        self.rows += len(flags)
        self.masked += int(masked.sum())
        for name, bit in FAULT_NAMES.items():
            self.flagged[name] += int((flags & bit > 0).sum())


class FaultDetector:
    """Looks at the rows of one sensor of one lane in the order of their capture, in blocks of any size.

    Flags depend on the past only, so a row is called frozen from the moment the limit has passed.
    """

    def __init__(self, sensor: SensorSpec, limits: FaultLimits | None = None) -> None:
        """Begin before the first row."""
        self.sensor, self.limits, self.counts = sensor, limits or FaultLimits(), FaultCounts()
        self._last: np.ndarray | None = None  # (F,) newest values
        self._last_ns = 0
        self._same_ns = np.zeros(sensor.size, np.int64)  # since when each value is what it is
        self._bound_ns = np.zeros(sensor.size, np.int64)  # since when each value is at its bound
        self._at_bound = np.zeros(sensor.size, bool)
        self._low, self._high = np.full(sensor.size, np.inf), np.full(sensor.size, -np.inf)

    def check(self, rows: np.ndarray, t_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return flags ``(n,)`` uint8 and which rows ``(n,)`` bool are to be kept out of batches.

        Args:
            rows: ``(n, *shape)``.
            t_ns: ``(n,)`` int64, never going back.
        """
        flags = np.zeros(len(rows), np.uint8)
        if len(rows):
            values = rows.reshape(len(rows), -1)
            if values.dtype.kind == "f":
                flags |= np.where((np.abs(values) < HUGE).all(1), 0, NON_FINITE).astype(np.uint8)
            if self.sensor.is_image and self.limits.black_level is not None:
                flags |= np.where(values.max(1) <= self.limits.black_level, BLACK, 0).astype(np.uint8)
            if self.limits.frozen_s is not None or self.limits.saturated_s is not None:
                flags |= self._stuck(values, np.asarray(t_ns, np.int64))
            if not self.sensor.is_image:
                self._low, self._high = (extreme[-1] for extreme in self._extremes(values))
        masked = flags > 0 if self.limits.policy == "mask" else flags & NON_FINITE > 0
        self.counts.add(flags, masked)
        return flags, masked

    @property
    def constant_channels(self) -> list[int]:
        """Values of a vector sensor that never changed; nothing can be learned from them, and they do no harm."""
        return np.flatnonzero(self._low == self._high).tolist()

    def _stuck(self, values: np.ndarray, t_ns: np.ndarray) -> np.ndarray:
        """Return the flags of frozen and saturated rows; moves the carried state on."""
        flags = np.zeros(len(values), np.uint8)
        before = np.concatenate([values[:1] if self._last is None else self._last[None], values[:-1]])
        same = (values == before) | (np.isnan(values) & np.isnan(before) if values.dtype.kind == "f" else False)
        if self._last is None:
            same[0] = False
        same_ns = _since(same, t_ns, self._same_ns)
        if self.limits.frozen_s is not None:
            flags |= np.where(_longer(t_ns, same_ns.max(1), self.limits.frozen_s), FROZEN, 0).astype(np.uint8)
        if self.limits.saturated_s is not None:
            flags |= np.where(self._saturated(values, t_ns, same_ns), SATURATED, 0).astype(np.uint8)
        self._last, self._same_ns = values[-1].copy(), same_ns[-1]
        return flags

    def _saturated(self, values: np.ndarray, t_ns: np.ndarray, same_ns: np.ndarray) -> np.ndarray:
        limit_s = self.limits.saturated_s
        assert limit_s is not None, "asked only when declared"
        at_bound = (values <= self.sensor.low) | (values >= self.sensor.high)
        stays = at_bound & np.concatenate([self._at_bound[None], at_bound[:-1]])
        bound_ns = _since(stays, t_ns, self._bound_ns)
        low, high = self._extremes(values)
        at_extreme = ((values == low) | (values == high)) & (low < high)
        longest = (at_bound & _longer(t_ns[:, None], bound_ns, limit_s)) | (
            at_extreme & _longer(t_ns[:, None], same_ns, limit_s)
        )
        self._bound_ns, self._at_bound = bound_ns[-1], at_bound[-1]
        return longest.any(1)

    def _extremes(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and greatest value ``(n, F)`` seen up to each row."""
        known = np.where(np.isfinite(values), values, np.nan) if values.dtype.kind == "f" else values
        low = np.fmin.accumulate(np.concatenate([self._low[None], known]))[1:]
        return low, np.fmax.accumulate(np.concatenate([self._high[None], known]))[1:]


class TickFaults:
    """The same detector for live ticks: rows with a fault are no longer fresh.

    Example:
        >>> faults = TickFaults(tick_maker.spec, num_lanes, {"imu": FaultLimits(frozen_s=0.5)})
        >>> buffer.append(faults(tick))
    """

    def __init__(self, spec: StreamSpec, num_lanes: int, limits: Mapping[str, FaultLimits] | None = None) -> None:
        """Make one detector a lane and sensor; ``limits`` by sensor name, others have the default."""
        self._tick_ns = round(1e9 / spec.control_hz)
        self._clock = np.zeros(num_lanes, np.int64)
        self._detectors = {
            s.name: [FaultDetector(s, (limits or {}).get(s.name)) for _ in range(num_lanes)] for s in spec.sensors
        }

    def __call__(self, tick: Tick) -> Tick:
        """Return the tick without faulty rows; nothing is copied but flags."""
        self._clock[tick.lanes] += self._tick_ns
        fresh = {name: self._check(name, tick) for name in tick.fresh}
        return dataclasses.replace(tick, fresh=fresh)

    def _check(self, name: str, tick: Tick) -> np.ndarray:
        kept = tick.fresh[name].copy()
        for i, lane in enumerate(tick.lanes):
            (at,) = np.nonzero(kept[i])
            if len(at):
                age_ns = np.rint(tick.age_s[name][i, at].astype(np.float64) * 1e9).astype(np.int64)
                rows = to_host(tick.rows[name][i][at])
                _, masked = self._detectors[name][lane].check(rows, self._clock[lane] - age_ns)
                kept[i, at[masked]] = False
        return kept

    def counts(self) -> dict[str, FaultCounts]:
        """Return the counts of each sensor, summed over lanes."""
        totals = {}
        for name, detectors in self._detectors.items():
            total = totals[name] = FaultCounts()
            for detector in detectors:
                total.rows += detector.counts.rows
                total.masked += detector.counts.masked
                for kind, count in detector.counts.flagged.items():
                    total.flagged[kind] += count
        return totals


def _since(stays: np.ndarray, t_ns: np.ndarray, before_ns: np.ndarray) -> np.ndarray:
    """Return since when ``(n, F)`` a state has lasted.

    Args:
        stays: ``(n, F)`` bool: the state of the row before goes on.
        t_ns: ``(n,)`` times.
        before_ns: ``(F,)``: since when the state of the row before the first has lasted.
    """
    row = np.arange(1, len(stays) + 1)[:, None]
    began = np.maximum.accumulate(np.where(stays, 0, row))  # 0: before these rows
    times = np.concatenate([before_ns[None], np.broadcast_to(t_ns[:, None], stays.shape)])
    return np.take_along_axis(times, began, 0)


def _longer(t_ns: np.ndarray, since_ns: np.ndarray, limit_s: float) -> np.ndarray:
    return t_ns - since_ns > round(limit_s * 1e9)
