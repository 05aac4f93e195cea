"""The sensor manifest: what each observation key holds, in which unit, how often, how late and how noisily.

One `Sensor` becomes one to three observation keys (plain Gymnasium, a reader needs no import):

    key        the reading; a sensor faster than control has a leading axis of rows, oldest first
    key.age_s  seconds from a row's capture to this observation: (rows,) for fast sensors, () for slow ones
    key.valid  1 where the row was captured in this episode and not lost: (rows,) or (), int8

A row is new if and only if its capture time (observation time - age) is later than the last row's. A key without
`.age_s` has age 0 and a new row every tick; a key without `.valid` is always valid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

if TYPE_CHECKING:
    from embodied_envs.readers import Reader

__all__ = [
    "CAMERA_CHANNELS",
    "CAMERA_KINDS",
    "Camera",
    "Computed",
    "HistoryMean",
    "HistoryRows",
    "Qpos",
    "Sensor",
    "observation_space",
    "sensor_metadata",
]

CAMERA_CHANNELS = {"rgb": 3, "depth": 1, "segmentation": 1}
CAMERA_KINDS = tuple(CAMERA_CHANNELS)


@dataclass(frozen=True)
class Qpos:
    """Joint positions `qpos[start : start + size]` at the observation's time: age 0, never late, never lost."""

    start: int
    size: int


@dataclass(frozen=True)
class HistoryRows:
    """The newest samples of engine sensors from their native history, as late as the sensor's latency says.

    Attributes:
        engine_sensors: one or several engine sensors of equal dimension and timing (`native_timing.set_rate`), declared
            one after the other; their values are concatenated.
        axes: which of the concatenated values to keep; None: all.
        arrange: samples [lane, row, value] -> [lane, row, *row shape]; None: a reshape.
    """

    engine_sensors: tuple[str, ...]
    axes: tuple[int, ...] | None = None
    arrange: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class HistoryMean:
    """Mean of scalar engine sensors over the substeps of the control period, from their native history."""

    engine_sensors: tuple[str, ...]


@dataclass(frozen=True)
class Computed:
    """Readings that a robot module computes from the simulation; `make(batch, sensor)` returns their reader.

    Attributes:
        make: batch and sensor -> reader.
        is_current: every reading is of the observation's own time and always exists: no age, no validity.
    """

    make: Callable[[Any, Sensor], Reader]
    is_current: bool = False


@dataclass(frozen=True)
class Camera:
    """Frames of one model camera, held between captures.

    Attributes:
        camera: the camera's name in the model.
        kind: rgb: uint8 (height, width, 3); depth: float32 (height, width, 1), metres along the optical axis, clipped
            to the sensor's `high`; segmentation: uint8 (height, width, 1), body number, 0 for nothing and for the world
            with its fixed scenery.
    """

    camera: str
    kind: str = "rgb"


@dataclass(frozen=True)
class Sensor:
    """One named channel of a robot.

    Attributes:
        key: observation key.
        modality: joint, imu, touch, tactile, force, lidar, audio, camera, depth, segmentation, or another free word.
        unit: unit of every element.
        rate_hz: samples per second.
        shape: shape of one lane's reading, rows first if the sensor is faster than control.
        noise_std: standard deviation of the white noise added to each element, in `unit`.
        low: smallest possible reading; noisy readings are clipped to it.
        high: largest possible reading.
        source: where the noise-free reading comes from.
        latency_s: seconds from capture until a sample can be delivered at all.
        jitter_s: largest extra latency; each tick of a lane draws its own, uniform in [0, jitter_s]. At most one period
            of a sensor faster than control, whose reading then holds one row more than a control period has samples.
        bias_std: standard deviation of a constant error of each element, drawn once per episode, in `unit`.
        dropout: probability that a row is lost for good.
    """

    key: str
    modality: str
    unit: str
    rate_hz: float
    shape: tuple[int, ...]
    noise_std: float
    low: float
    high: float
    source: Qpos | HistoryRows | HistoryMean | Computed | Camera
    latency_s: float = 0.0
    jitter_s: float = 0.0
    bias_std: float = 0.0
    dropout: float = 0.0

    def num_rows(self, control_hz: float) -> int:
        """Return how many rows one observation holds: as many as one control period can bring, jitter included."""
        one_late = 1 if self.jitter_s > 0 and self.is_fast(control_hz) else 0
        return max(1, math.ceil(self.rate_hz / control_hz - 1e-9)) + one_late

    def repeats_samples(self, control_hz: float) -> bool:
        """Return whether an observation may hold samples of an earlier one: then their noise must be the same."""
        per_tick = self.rate_hz / control_hz
        all_new = per_tick >= 1 and abs(per_tick - round(per_tick)) < 1e-9 and self.jitter_s == 0
        return isinstance(self.source, HistoryRows | Computed) and not all_new

    def is_fast(self, control_hz: float) -> bool:
        """Return whether the reading has an axis of rows."""
        return self.rate_hz > control_hz


def sensor_metadata(sensor: Sensor) -> dict[str, Any]:
    """Return what `env.metadata["sensors"]` says about one sensor, JSON-able."""
    names = ("rate_hz", "unit", "modality", "noise_std", "low", "high", "latency_s", "jitter_s", "bias_std", "dropout")
    return {name: getattr(sensor, name) for name in names}


def observation_space(sensors: tuple[Sensor, ...], control_hz: float) -> spaces.Dict:
    """Return one lane's observation space: every sensor's reading, then its age and validity where it has them."""
    entries: dict[str, spaces.Space] = {}
    for sensor in sensors:
        entries[sensor.key] = _reading_space(sensor)
        entries.update(_companion_spaces(sensor, control_hz))
    return spaces.Dict(entries)


def _reading_space(sensor: Sensor) -> spaces.Box:
    if isinstance(sensor.source, Camera) and sensor.source.kind != "depth":
        return spaces.Box(0, 255, sensor.shape, np.uint8)
    return spaces.Box(sensor.low, sensor.high, sensor.shape, np.float32)


def _companion_spaces(sensor: Sensor, control_hz: float) -> dict[str, spaces.Space]:
    entries: dict[str, spaces.Space] = {}
    rows = (sensor.num_rows(control_hz),) if sensor.is_fast(control_hz) else ()
    if has_age(sensor):
        # A row is at most as old as the slower of the two clocks, plus one period of its own, plus its lateness.
        oldest_s = max(1.0 / control_hz, 1.0 / sensor.rate_hz) + 1.0 / sensor.rate_hz
        oldest_s += sensor.latency_s + sensor.jitter_s + 1.0 / control_hz * (sensor.latency_s + sensor.jitter_s > 0)
        entries[f"{sensor.key}.age_s"] = spaces.Box(0.0, oldest_s, rows, np.float32)
    if has_valid(sensor):
        entries[f"{sensor.key}.valid"] = spaces.Box(0, 1, rows, np.int8)
    return entries


def has_age(sensor: Sensor) -> bool:
    """Return whether the observation holds `key.age_s`."""
    return not (isinstance(sensor.source, Qpos) or _is_current(sensor))


def has_valid(sensor: Sensor) -> bool:
    """Return whether the observation holds `key.valid`: some rows may not exist."""
    may_not_exist = isinstance(sensor.source, HistoryRows | Computed) and not _is_current(sensor)
    return may_not_exist or sensor.dropout > 0 or _frames_may_be_missing(sensor)


def _is_current(sensor: Sensor) -> bool:
    return isinstance(sensor.source, Computed) and sensor.source.is_current


def _frames_may_be_missing(sensor: Sensor) -> bool:
    return isinstance(sensor.source, Camera) and sensor.latency_s + sensor.jitter_s > 0
