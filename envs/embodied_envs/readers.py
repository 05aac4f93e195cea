"""Noise-free readings of the vector sensors, for all lanes at once.

Time convention: an observation at time T follows the last substep. Positions are read at T (age 0). IMU and touch are
acceleration-stage sensors, computed at the start of a substep with the controls that are then applied, so their newest
sample is one timestep old. All come from the engine's own history: no extra steps, no extra forward passes.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.native_history import NativeHistory
from embodied_envs.row_clock import RowClocks
from embodied_envs.sensors import Computed, HistoryMean, HistoryRows, Qpos, Sensor

__all__ = ["Reader", "Reading", "make_reader", "needs_cutoff"]

_TIME_TOLERANCE_S = 1e-9


@dataclass(frozen=True)
class Reading:
    """Noise-free rows of one sensor, oldest first.

    Attributes:
        values: float32 [lane, rows, *row shape], or [lane, *shape] for a sensor that is not faster than control.
        age_s: float32 [lane, rows] seconds from capture to now; None: age 0.
        valid: int8 [lane, rows], 0 where a row was never captured in this episode; None: all were.
    """

    values: np.ndarray
    age_s: np.ndarray | None = None
    valid: np.ndarray | None = None


class Reader(Protocol):
    """Reads one sensor of all lanes."""

    def read(self, is_first: np.ndarray, cutoff_s: np.ndarray | None) -> Reading:
        """Return the reading.

        Args:
            is_first: mask [lane] of lanes that have not been stepped since their reset.
            cutoff_s: simulation time [lane] after which samples have not arrived yet; None: nothing is late.
        """
        ...


def make_reader(sensor: Sensor, batch: Batch, clocks: RowClocks, control_hz: float) -> Reader:
    """Return the reader of a vector sensor.

    Raises:
        TypeError: the sensor has no vector source (cameras are rendered, not read).
        ValueError: the sensor is late, and its source cannot be.
    """
    source = sensor.source
    if isinstance(source, HistoryRows):
        return _RowsReader(source, sensor, batch, clocks, control_hz)
    if isinstance(source, Computed):
        return source.make(batch, sensor)
    if sensor.latency_s > 0 or sensor.jitter_s > 0:
        raise ValueError(f"sensor {sensor.key!r} has a latency, expected a HistoryRows source for a late sensor")
    if isinstance(source, Qpos):
        return _QposReader(source, batch)
    if isinstance(source, HistoryMean):
        return _MeanReader(source, batch)
    raise TypeError(f"got a {type(source).__name__} source, expected one of Qpos, HistoryRows, HistoryMean, Computed")


def needs_cutoff(reader: Reader) -> bool:
    """Return whether the reader must be told which samples have arrived."""
    return isinstance(reader, _RowsReader) and reader.is_irregular


class _QposReader:
    def __init__(self, source: Qpos, batch: Batch) -> None:
        self._positions = batch.bind("qpos")[:, source.start : source.start + source.size]

    def read(self, is_first: np.ndarray, cutoff_s: np.ndarray | None) -> Reading:
        return Reading(self._positions.astype(np.float32))


class _RowsReader:
    """A reset clears the ring and dates its slots before time 0: such rows were never captured, so they are invalid."""

    def __init__(self, source: HistoryRows, sensor: Sensor, batch: Batch, clocks: RowClocks, control_hz: float) -> None:
        self._history = NativeHistory(batch, source.engine_sensors)
        self._axes = None if source.axes is None else list(source.axes)
        self._arrange = source.arrange
        self._num_rows = sensor.num_rows(control_hz)
        self._shape = sensor.shape
        self._time_s, self._timestep_s = batch.bind("time"), float(batch.model.opt.timestep)
        self._lanes, self._offsets = np.arange(batch.nsim)[:, None], np.arange(-self._num_rows, 0)
        _check_depth(sensor, self._history.num_samples, self._num_rows)
        self._clock = clocks.find(sensor, source.engine_sensors[0], self._history)

    @property
    def is_irregular(self) -> bool:
        """Whether the number of rows on their way varies from tick to tick."""
        return self._clock is None

    def read(self, is_first: np.ndarray, cutoff_s: np.ndarray | None) -> Reading:
        if self._clock is not None:
            clock = self._clock  # copies: sensors share it, and what an observation holds belongs to its reader
            return Reading(self._values(clock.slots), clock.age_s.copy(), clock.valid.copy())
        assert cutoff_s is not None, "only late sensors have no clock"
        slots, times_s = self._arrived(cutoff_s)
        age_s = (self._time_s[:, None] - times_s).astype(np.float32)
        return Reading(self._values(slots), age_s, (times_s >= 0.0).astype(np.int8))

    def _values(self, slots: np.ndarray) -> np.ndarray:
        samples = self._history.samples(slots)
        if self._axes is not None:
            samples = samples[:, :, self._axes]
        values = samples.astype(np.float32)
        return (self._arrange(values) if self._arrange else values).reshape(-1, *self._shape)

    def _arrived(self, cutoff_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the newest rows captured before the cutoff; rows that do not exist are dated before time 0."""
        slots, times_s = self._history.times()
        num_arrived = (times_s <= cutoff_s[:, None] + _TIME_TOLERANCE_S).sum(axis=1)
        rows = num_arrived[:, None] + self._offsets
        found = np.maximum(rows, 0)
        return slots[self._lanes, found], np.where(rows >= 0, times_s[self._lanes, found], -self._timestep_s)


def _check_depth(sensor: Sensor, num_samples: int, num_rows: int) -> None:
    if num_rows > 1 and sensor.jitter_s > 1.0 / sensor.rate_hz + 1e-9:
        raise ValueError(f"sensor {sensor.key!r}: got a jitter of {sensor.jitter_s} s, expected at most one period")
    needed = num_rows + int(np.ceil((sensor.latency_s + sensor.jitter_s) * sensor.rate_hz - 1e-9))
    if num_samples < needed:
        raise ValueError(
            f"sensor {sensor.key!r}: the engine keeps {num_samples} samples, expected at least {needed}; "
            "fix: pass max_delay_s to set_rate"
        )


class _MeanReader:
    """Before the first substep there is nothing to average: the reading is the engine's value at the reset, age 0."""

    def __init__(self, source: HistoryMean, batch: Batch) -> None:
        self._history = NativeHistory(batch, source.engine_sensors)
        self._addresses = [_sensor_address(batch.model, name) for name in source.engine_sensors]
        self._sensordata = batch.bind("sensordata")
        self._timestep_s = float(batch.model.opt.timestep)

    def read(self, is_first: np.ndarray, cutoff_s: np.ndarray | None) -> Reading:
        values = np.where(is_first[:, None], self._sensordata[:, self._addresses], self._history.mean())
        age_s = np.where(is_first, 0.0, self._timestep_s)[:, None]
        return Reading(values.astype(np.float32), age_s.astype(np.float32))


def _sensor_address(model: mujoco.MjModel, name: str) -> int:
    return int(model.sensor_adr[mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, name)])
