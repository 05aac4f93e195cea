"""The words of the project: sensors, streams and ticks. Importing this loads no torch.

Axes: storage is ``(T, N, ...)`` (ticks, lanes), samples are ``(B, L, ...)`` (windows, ticks). Images are
``uint8`` channels-last until the encoder.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied_ssl.errors import SpecError

IMAGE_MODALITIES = frozenset({"camera", "image"})
"""Modalities that promise a picture; any other word is free, for people and for later tokenisers."""


@dataclass(frozen=True)
class SensorSpec:
    """One named channel of a robot.

    Attributes:
        name: key of the sensor in the observation.
        modality: kind of sensor, a free word; ``camera`` and ``image`` must be pictures.
        shape: shape of one row (one reading), without row, lane or time axes.
        dtype: numpy name of the stored type, ``uint8`` for images, ``float32`` for vectors.
        rate_hz: readings a second; any ratio to the control rate is legal.
        unit: physical unit, for people.
        low: lowest possible value, for people and for image scaling.
        high: highest possible value.
    """

    name: str
    modality: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    rate_hz: float = 20.0
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        """Check what a wrong env could declare."""
        if not (self.rate_hz > 0 and math.isfinite(self.rate_hz)):
            raise SpecError(f"sensor {self.name!r}: rate_hz is {self.rate_hz}, expected a positive number")
        if any(size <= 0 for size in self.shape):
            raise SpecError(f"sensor {self.name!r}: shape {self.shape} has an empty axis")
        if self.modality in IMAGE_MODALITIES and not self.is_image:
            raise SpecError(
                f"sensor {self.name!r}: an image is (height, width, channels) uint8, got {self.shape} {self.dtype}"
            )

    @property
    def is_image(self) -> bool:
        """Whether rows are frames ``(H, W, C)`` uint8, encoded once each, rather than vectors read row by row."""
        return self.dtype == "uint8" and len(self.shape) == 3

    @property
    def size(self) -> int:
        """Number of values in one row."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class StreamSpec:
    """What flows: the ordered sensors, the action and the control rate. All else is built from it.

    Attributes:
        sensors: the sensors, in the order in which encoders see them.
        action_size: number of action values, each in [-1, 1].
        control_hz: ticks a second.
    """

    sensors: tuple[SensorSpec, ...]
    action_size: int
    control_hz: float

    def __post_init__(self) -> None:
        """Check that names are unique and the control rate is a rate."""
        names = [sensor.name for sensor in self.sensors]
        if len(set(names)) != len(names) or not names:
            raise SpecError(f"a stream needs at least one sensor and unique names, got {names}")
        if not (self.control_hz > 0 and math.isfinite(self.control_hz)):
            raise SpecError(f"control_hz is {self.control_hz}, expected a positive number")

    def __getitem__(self, name: str) -> SensorSpec:
        """Return the sensor called ``name``."""
        return next(sensor for sensor in self.sensors if sensor.name == name)

    @property
    def vectors(self) -> tuple[SensorSpec, ...]:
        """The one-dimensional sensors."""
        return tuple(sensor for sensor in self.sensors if not sensor.is_image)

    @property
    def images(self) -> tuple[SensorSpec, ...]:
        """The image sensors."""
        return tuple(sensor for sensor in self.sensors if sensor.is_image)

    @property
    def tick_s(self) -> float:
        """Length of one tick in seconds."""
        return 1.0 / self.control_hz

    def rows_per_tick(self, sensor: SensorSpec) -> int:
        """Most rows of ``sensor`` that one tick reads: ``ceil(rate / control)``, at least 1."""
        return max(1, math.ceil(sensor.rate_hz / self.control_hz - 1e-9))

    def tick_room(self, sensor: SensorSpec) -> int:
        """Most rows that a source may bring in one tick: one more than is read, for one may come late.

        Of so many fresh rows the buffer drops the oldest and counts it as overflow.
        """
        return self.rows_per_tick(sensor) + 1

    def frames_per_window(self, sensor: SensorSpec, num_ticks: int) -> int:
        """Most distinct rows of ``sensor`` that ``num_ticks`` consecutive ticks refer to."""
        if num_ticks == 1:
            return 1
        return math.ceil(num_ticks * sensor.rate_hz / self.control_hz - 1e-9) + 1

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able description; infinities become ``None``."""
        record = dataclasses.asdict(self)
        for sensor in record["sensors"]:
            for bound in ("low", "high"):
                sensor[bound] = sensor[bound] if math.isfinite(sensor[bound]) else None
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> StreamSpec:
        """Rebuild a spec from `to_json`."""
        sensors = []
        for fields in record["sensors"]:
            low = -math.inf if fields["low"] is None else fields["low"]
            high = math.inf if fields["high"] is None else fields["high"]
            sensors.append(SensorSpec(**{**fields, "shape": tuple(fields["shape"]), "low": low, "high": high}))
        return cls(tuple(sensors), int(record["action_size"]), float(record["control_hz"]))


@dataclass(frozen=True)
class Tick:
    """One control period of a set of ``M`` lanes: the only thing that is ever appended.

    Attributes:
        lanes: ``(M,)`` int64, distinct lane numbers.
        rows: per sensor ``(M, K, *shape)``, oldest first, ``K <= tick_room``; an array, or a tensor of any device.
        fresh: per sensor ``(M, K)`` bool: the row is a valid reading not delivered before.
        age_s: per sensor ``(M, K)`` float32: seconds from capture to this tick.
        action: ``(M, A)`` float32: the action that led to this tick; ignored where ``is_first``; array or tensor.
        reward: ``(M,)`` float32, that came with this tick; ignored where ``is_first``; array or tensor.
        is_first: ``(M,)`` bool: first tick of an episode.
        terminated: ``(M,)`` bool: the episode ended here in a terminal state.
        truncated: ``(M,)`` bool: the episode was cut here.
    """

    lanes: np.ndarray
    rows: Mapping[str, Any]
    fresh: Mapping[str, np.ndarray]
    age_s: Mapping[str, np.ndarray]
    action: Any
    reward: Any
    is_first: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
