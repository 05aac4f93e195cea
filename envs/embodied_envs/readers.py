"""Noise-free readings of the vector sensors, for all lanes at once.

Time convention: an observation at time T follows the last substep. Positions are read at T (age 0). IMU and touch are
acceleration-stage sensors, computed at the start of a substep with the controls that are then applied, so their newest
sample is one timestep old. Both come from the engine's own history: no extra steps, no extra forward passes.
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
from embodied_envs.sensors import HistoryMean, HistoryRows, Qpos, Sensor

__all__ = ["Reader", "Reading", "make_reader"]


@dataclass(frozen=True)
class Reading:
    """Noise-free values [lane, *shape]; ages in s and validity [lane, rows] or [lane], where the sensor has them."""

    values: np.ndarray
    age_s: np.ndarray | None = None
    valid: np.ndarray | None = None


class Reader(Protocol):
    """Reads one sensor of all lanes."""

    def read(self, is_first: np.ndarray) -> Reading:
        """Return the reading; `is_first` [lane] marks lanes that have not been stepped since their reset."""
        ...


def make_reader(sensor: Sensor, batch: Batch) -> Reader:
    """Return the reader of a vector sensor.

    Raises:
        TypeError: the sensor has no vector source (cameras are rendered, not read).
    """
    if isinstance(sensor.source, Qpos):
        return _QposReader(sensor.source, batch)
    if isinstance(sensor.source, HistoryRows):
        return _RowsReader(sensor.source, batch)
    if isinstance(sensor.source, HistoryMean):
        return _MeanReader(sensor.source, batch)
    raise TypeError(f"got a {type(sensor.source).__name__} source, expected Qpos, HistoryRows or HistoryMean")


class _QposReader:
    def __init__(self, source: Qpos, batch: Batch) -> None:
        self._positions = batch.bind("qpos")[:, source.start : source.start + source.size]

    def read(self, is_first: np.ndarray) -> Reading:
        return Reading(self._positions.astype(np.float32))


class _RowsReader:
    """A reset clears the ring and dates its slots before time 0: such rows were never captured, so they are invalid."""

    def __init__(self, source: HistoryRows, batch: Batch) -> None:
        self._history = NativeHistory(batch, source.engine_sensor)
        self._axes = list(source.axes)
        self._time_s = batch.bind("time")

    def read(self, is_first: np.ndarray) -> Reading:
        times_s, samples = self._history.read()
        age_s = (self._time_s[:, None] - times_s).astype(np.float32)
        valid = (times_s >= 0.0).astype(np.int8)
        return Reading(samples[:, :, self._axes].astype(np.float32), age_s, valid)


class _MeanReader:
    """Before the first substep there is nothing to average: the reading is the engine's value at the reset, age 0."""

    def __init__(self, source: HistoryMean, batch: Batch) -> None:
        self._histories = [NativeHistory(batch, name) for name in source.engine_sensors]
        self._addresses = [_sensor_address(batch.model, name) for name in source.engine_sensors]
        self._sensordata = batch.bind("sensordata")
        self._timestep_s = float(batch.model.opt.timestep)

    def read(self, is_first: np.ndarray) -> Reading:
        means = np.stack([history.mean() for history in self._histories], axis=1)
        values = np.where(is_first[:, None], self._sensordata[:, self._addresses], means)
        age_s = np.where(is_first, 0.0, self._timestep_s)
        return Reading(values.astype(np.float32), age_s.astype(np.float32))


def _sensor_address(model: mujoco.MjModel, name: str) -> int:
    return int(model.sensor_adr[mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, name)])
