"""Which slots of a native ring an observation reads, how old they are and whether they exist: once for many sensors."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import math

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.native_history import NativeHistory
from embodied_envs.sensors import Sensor

__all__ = ["RowClock", "RowClocks", "late_rows"]


class RowClock:
    """The newest rows, leaving out a fixed number that are still on their way, of sensors with equal timing."""

    def __init__(
        self, history: NativeHistory, num_rows: int, num_late: int, time_s: np.ndarray, latency_s: float
    ) -> None:
        """Keep the ring whose times stand for all; `time_s` is the batch's live time [lane]."""
        self._history, self._time_s, self._latency_s = history, time_s, latency_s
        last = history.num_samples - num_late
        self._rows = slice(last - num_rows, last)
        self.refresh()

    def refresh(self) -> None:
        """Look anew; called once per observation."""
        self.slots, times_s = self._history.times(self._rows)
        self.age_s = (self._time_s[:, None] - times_s).astype(np.float32)
        valid = times_s >= 0.0
        if self._latency_s:  # a reset may sample at time 0, at once: that sample is late as well
            valid &= self.age_s >= self._latency_s - 1e-6
        self.valid = valid.astype(np.int8)


class RowClocks:
    """The clocks of an environment, one for each timing."""

    def __init__(self, batch: Batch, control_hz: float) -> None:
        """Start without any."""
        self._batch, self._control_hz = batch, control_hz
        self._clocks: dict[tuple, RowClock] = {}

    def find(self, sensor: Sensor, engine_sensor: str, history: NativeHistory) -> RowClock | None:
        """Return the clock of a sensor; None if its rows' lateness varies and must be worked out lane by lane."""
        model = self._batch.model
        index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, engine_sensor)
        period_s, phase_s = (float(value) for value in model.sensor_interval[index])
        if period_s == 0:  # every substep
            period_s = float(model.opt.timestep)
        num_late = late_rows(sensor, period_s, phase_s, float(model.opt.timestep), self._control_hz)
        if num_late is None:
            return None
        num_rows = sensor.num_rows(self._control_hz)
        key = (history.num_samples, period_s, phase_s, num_rows, num_late, sensor.latency_s)
        if key not in self._clocks:
            self._clocks[key] = RowClock(history, num_rows, num_late, self._batch.bind("time"), sensor.latency_s)
        return self._clocks[key]

    def refresh(self) -> None:
        """Refresh every clock."""
        for clock in self._clocks.values():
            clock.refresh()


def late_rows(sensor: Sensor, period_s: float, phase_s: float, timestep_s: float, control_hz: float) -> int | None:
    """Return how many of the newest samples have not arrived at any observation; None if that varies from tick to tick.

    A sample is due at n period + phase and taken at the start of the next substep; observations are at multiples of the
    control period. Their distance repeats every tick if the control period is a multiple of the sampling period.
    """
    if sensor.latency_s == 0 and sensor.jitter_s == 0:
        return 0
    per_tick = sensor.rate_hz / control_hz
    if sensor.jitter_s > 0 or per_tick < 1 or abs(per_tick - round(per_tick)) > 1e-9:
        return None
    now_s = 100.0 / control_hz  # any observation long after the reset
    first = math.floor((now_s - sensor.latency_s) / period_s) - 2
    due_s = phase_s + period_s * np.arange(first, first + 4 + math.ceil(sensor.latency_s / period_s))
    taken_s = np.ceil(due_s / timestep_s - 1e-9) * timestep_s
    taken_s = taken_s[taken_s < now_s - 1e-9]
    return int((taken_s > now_s - sensor.latency_s + 1e-9).sum())
