"""All vector sensors of all lanes: noise-free readings, and the noisy observation made from them."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import itertools
import math

import numpy as np
from mujoco.batch import Batch

from embodied_envs.lane_random import LaneRandom
from embodied_envs.readers import Reading, make_reader
from embodied_envs.sensors import Camera, Sensor

__all__ = ["SensorSuite"]


class SensorSuite:
    """Reads every vector sensor once per tick; each observation of a lane draws the same number of normals."""

    def __init__(self, sensors: tuple[Sensor, ...], batch: Batch) -> None:
        """Bind one reader per sensor; cameras are not vector sensors and are left out."""
        self._sensors = [sensor for sensor in sensors if not isinstance(sensor.source, Camera)]
        self._readers = [make_reader(sensor, batch) for sensor in self._sensors]
        sizes = [math.prod(sensor.shape) for sensor in self._sensors]
        self._stops = list(itertools.accumulate(sizes))
        self._starts = [stop - size for stop, size in zip(self._stops, sizes, strict=True)]

    def read(self, is_first: np.ndarray) -> dict[str, Reading]:
        """Return the noise-free readings by key; `is_first` [lane] marks lanes just reset."""
        pairs = zip(self._sensors, self._readers, strict=True)
        return {sensor.key: reader.read(is_first) for sensor, reader in pairs}

    def observe(self, readings: dict[str, Reading], random: LaneRandom, lanes: np.ndarray) -> dict[str, np.ndarray]:
        """Return observation arrays [lane, ...]; the masked lanes draw their noise."""
        normals = random.normals(lanes, self._stops[-1])
        observation: dict[str, np.ndarray] = {}
        for sensor, start, stop in zip(self._sensors, self._starts, self._stops, strict=True):
            unit_noise = normals[:, start:stop].reshape(-1, *sensor.shape)
            observation |= _entries(sensor, readings[sensor.key], unit_noise)
        return observation


def _entries(sensor: Sensor, reading: Reading, unit_noise: np.ndarray) -> dict[str, np.ndarray]:
    """Return a sensor's key with its companions; rows never captured stay zero."""
    noisy = np.clip(reading.values + np.float32(sensor.noise_std) * unit_noise, sensor.low, sensor.high)
    entries = {sensor.key: noisy}
    if reading.age_s is not None:
        entries[f"{sensor.key}.age_s"] = reading.age_s
    if reading.valid is not None:
        noisy *= reading.valid[:, :, None]
        entries[f"{sensor.key}.valid"] = reading.valid
    return entries
