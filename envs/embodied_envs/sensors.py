"""The sensor manifest: what each observation key holds, in which unit, how often and how noisily.

One `Sensor` becomes one to three observation keys (plain Gymnasium, a reader needs no import):

    key        the reading; a sensor faster than control has a leading axis of rows, oldest first
    key.age_s  seconds from a row's capture to this observation: (rows,) for fast sensors, () for slow ones
    key.valid  1 where the row was captured in this episode: (rows,), int8

A row is new if and only if its capture time (observation time - age) is later than the last row's. A key without
`.age_s` has age 0 and a new row every tick; a key without `.valid` is always valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

__all__ = ["Camera", "HistoryMean", "HistoryRows", "Qpos", "Sensor", "observation_space", "sensor_metadata"]


@dataclass(frozen=True)
class Qpos:
    """Joint positions `qpos[start : start + size]` at the observation's time: age 0."""

    start: int
    size: int


@dataclass(frozen=True)
class HistoryRows:
    """Every sample that one engine sensor took in the control period, from its native history."""

    engine_sensor: str
    axes: tuple[int, ...]


@dataclass(frozen=True)
class HistoryMean:
    """Mean of scalar engine sensors over the substeps of the control period, from their native history."""

    engine_sensors: tuple[str, ...]


@dataclass(frozen=True)
class Camera:
    """Frames of one model camera, shape (height, width, 3), held between captures."""

    camera: str


@dataclass(frozen=True)
class Sensor:
    """One named channel of a robot.

    Attributes:
        key: observation key.
        modality: joint, imu, touch or camera.
        unit: unit of every element.
        rate_hz: samples per second.
        shape: shape of one lane's reading, rows first if the sensor is faster than control.
        noise_std: standard deviation of the white noise added to each element, in `unit`.
        low: smallest possible reading; noisy readings are clipped to it.
        high: largest possible reading.
        source: where the noise-free reading comes from.
    """

    key: str
    modality: str
    unit: str
    rate_hz: float
    shape: tuple[int, ...]
    noise_std: float
    low: float
    high: float
    source: Qpos | HistoryRows | HistoryMean | Camera


def sensor_metadata(sensor: Sensor) -> dict[str, Any]:
    """Return what `env.metadata["sensors"]` says about one sensor, JSON-able."""
    names = ("rate_hz", "unit", "modality", "noise_std", "low", "high")
    return {name: getattr(sensor, name) for name in names}


def observation_space(sensors: tuple[Sensor, ...], control_hz: float) -> spaces.Dict:
    """Return one lane's observation space: every sensor's reading, then its age and validity where it has them."""
    entries: dict[str, spaces.Space] = {}
    for sensor in sensors:
        entries[sensor.key] = _reading_space(sensor)
        entries.update(_companion_spaces(sensor, control_hz))
    return spaces.Dict(entries)


def _reading_space(sensor: Sensor) -> spaces.Box:
    if isinstance(sensor.source, Camera):
        return spaces.Box(0, 255, sensor.shape, np.uint8)
    return spaces.Box(sensor.low, sensor.high, sensor.shape, np.float32)


def _companion_spaces(sensor: Sensor, control_hz: float) -> dict[str, spaces.Space]:
    if isinstance(sensor.source, Qpos):
        return {}
    # A row is at most as old as the slower of the two clocks, plus one period of its own.
    oldest_s = max(1.0 / control_hz, 1.0 / sensor.rate_hz) + 1.0 / sensor.rate_hz
    if not isinstance(sensor.source, HistoryRows):
        return {f"{sensor.key}.age_s": spaces.Box(0.0, oldest_s, (), np.float32)}
    rows = sensor.shape[0]
    return {
        f"{sensor.key}.age_s": spaces.Box(0.0, oldest_s, (rows,), np.float32),
        f"{sensor.key}.valid": spaces.MultiBinary(rows),
    }
