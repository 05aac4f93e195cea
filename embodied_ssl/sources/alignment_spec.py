"""What the ticks of a log look like: sensors, methods and scaled actions, from the streams that it holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.schema import LogStream
from embodied_ssl.sources.alignment_methods import METHODS
from embodied_ssl.spec import SensorSpec, StreamSpec

WINDOW_RATIO = 1.5
"""A vector sensor faster than control by this shows all its rows, unless told otherwise."""

MIN_ACTION_SIZE = 1
"""A log without actions gets this many zeros: buffers and encoders of width 0 do not exist."""


def of_role(streams: Iterable[LogStream], role: str) -> list[LogStream]:
    """Return the streams of one role, in order."""
    return [stream for stream in streams if stream.role == role]


def choose_sensors(streams: Sequence[LogStream], names: Sequence[str] | None = None) -> list[LogStream]:
    """Return the sensors to be aligned: those named, or all of role ``sensor``.

    Raises:
        LogError: a name is unknown, or of a stream that must not be learned from; or there is none.
    """
    sensors = {stream.name: stream for stream in of_role(streams, "sensor")}
    for name in names or ():
        if name not in sensors:
            raise LogError(f"{name!r} is no sensor of this log; {nearest(name, sensors)}")
    if not sensors:
        raise LogError(f"the log has no sensor; its streams are {sorted(s.name for s in streams)}")
    return [sensors[name] for name in names] if names is not None else list(sensors.values())


def choose_methods(
    sensors: Sequence[LogStream], control_hz: float, methods: Mapping[str, str] | str | None = None
) -> dict[str, str]:
    """Return the method of every sensor: as told, or ``window`` for fast vector sensors and ``latest`` for others.

    Raises:
        LogError: an unknown sensor or method, or a straight line between pictures.
    """
    if isinstance(methods, str):
        methods = dict.fromkeys((sensor.name for sensor in sensors), methods)
    names = {sensor.name for sensor in sensors}
    for name, method in (methods or {}).items():
        if name not in names:
            raise LogError(f"a method is given for {name!r}, which is not aligned; {nearest(name, names)}")
        if method not in METHODS:
            raise LogError(f"{name!r}: unknown method {method!r}; {nearest(method, METHODS)}")
    chosen = {}
    for stream in sensors:
        fast = stream.sensor.rate_hz > WINDOW_RATIO * control_hz and not _is_image(stream.sensor)
        chosen[stream.name] = (methods or {}).get(stream.name, "window" if fast else "latest")
        if chosen[stream.name] == "linear" and _is_image(stream.sensor):
            raise LogError(f"{stream.name!r} holds pictures; between them there is no straight line: use latest")
    return chosen


def aligned_spec(
    streams: Sequence[LogStream],
    control_hz: float,
    methods: Mapping[str, str] | str | None = None,
    sensors: Sequence[str] | None = None,
) -> StreamSpec:
    """Return the spec of the ticks that `Aligner` makes of ``streams``.

    Values are float32, pictures uint8. A sensor of which a tick shows one row at most has the control rate at most.

    Args:
        streams: of the log.
        control_hz: ticks a second.
        methods: by sensor, or one for all.
        sensors: names; None: every stream of role ``sensor``.
    """
    chosen = choose_sensors(streams, sensors)
    how = choose_methods(chosen, control_hz, methods)
    action_size = sum(stream.sensor.size for stream in of_role(streams, "action"))
    specs = tuple(_aligned(stream.sensor, control_hz, how[stream.name]) for stream in chosen)
    return StreamSpec(specs, max(MIN_ACTION_SIZE, action_size), float(control_hz))


def _is_image(sensor: SensorSpec) -> bool:
    return sensor.is_image


def _aligned(sensor: SensorSpec, control_hz: float, method: str) -> SensorSpec:
    return SensorSpec(
        name=sensor.name,
        modality=sensor.modality,
        shape=sensor.shape or (1,),
        dtype="uint8" if sensor.is_image else "float32",
        rate_hz=sensor.rate_hz if method == "window" else min(sensor.rate_hz, control_hz),
        unit=sensor.unit,
        low=sensor.low,
        high=sensor.high,
    )


@dataclass(frozen=True)
class ActionBounds:
    """Least and greatest value of each action, which become -1 and 1.

    Attributes:
        low: ``(A,)``.
        high: ``(A,)``.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def scaled(self, actions: np.ndarray) -> np.ndarray:
        """Return actions ``(n, A)`` as float32 in [-1, 1]; a value that never changes is 0."""
        low, high = np.asarray(self.low), np.asarray(self.high)
        half = np.where(high > low, (high - low) / 2, 1.0)
        return ((actions.astype(np.float64) - (low + high) / 2) / half).clip(-1, 1).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """Return what a log or a run should keep."""
        return {"low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ActionBounds:
        """Rebuild from `to_json`."""
        return cls(tuple(map(float, record["low"])), tuple(map(float, record["high"])))


def action_bounds(logs: Sequence[StreamLog]) -> ActionBounds:
    """Return the declared bounds of the actions of logs with the same streams, measured where none are declared."""
    low, high = [], []
    for stream in of_role(logs[0].streams.values(), "action"):
        sensor = stream.sensor
        declared = math.isfinite(sensor.low) and math.isfinite(sensor.high) and sensor.low < sensor.high
        if declared:
            ends = np.full(sensor.size, sensor.low), np.full(sensor.size, sensor.high)
        else:
            ends = _measured(logs, stream)
        low += ends[0].tolist()
        high += ends[1].tolist()
    return ActionBounds(tuple(low), tuple(high))


def _measured(logs: Sequence[StreamLog], stream: LogStream) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and greatest finite value of each action over all rows; 0 where there is none."""
    low, high = np.full(stream.sensor.size, np.inf), np.full(stream.sensor.size, -np.inf)
    for log in logs:
        for block in log.blocks(stream.name):
            values = block.data.reshape(len(block), -1).astype(np.float64)
            finite = np.isfinite(values)
            low = np.minimum(low, np.where(finite, values, np.inf).min(0, initial=np.inf))
            high = np.maximum(high, np.where(finite, values, -np.inf).max(0, initial=-np.inf))
    seen = low <= high
    return np.where(seen, low, 0.0), np.where(seen, high, 0.0)
