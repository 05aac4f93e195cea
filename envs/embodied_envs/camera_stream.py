"""The frames of one camera sensor, for all lanes: captured when it fires, delivered when they arrive, held in between.

A frame captured at tick c arrives `latency_s` (and up to `jitter_s`) later and is observed from the first tick at or
after its arrival, until a newer one arrives. A frame that is lost is zeros with `.valid` 0 while it would have been
held. Before the first frame of an episode arrives: zeros, `.valid` 0, and the age since the episode's start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from embodied_envs.nearest import nearest
from embodied_envs.rendering import View
from embodied_envs.sensors import CAMERA_CHANNELS, CAMERA_KINDS, Camera, Sensor, has_valid

__all__ = ["CameraStream"]

Generators = Sequence[np.random.Generator]

_NEVER = -1


class CameraStream:
    """Frames captured on ticks 0, p, 2p, ... of a lane's episode; p = control rate / camera rate.

    They wait in a ring: with latency, several are under way at once.
    """

    def __init__(self, sensor: Sensor, source: Camera, num_lanes: int, control_hz: float) -> None:
        """Prepare the ring of frames.

        Raises:
            ValueError: the camera's rate does not divide the control rate, or kind and shape do not fit.
        """
        self.view = _view(sensor, source)
        self.sensor, self._control_hz = sensor, control_hz
        self._ticks_per_frame = _ticks_per_frame(sensor, control_hz)
        self._late_ticks = _whole_ticks(sensor.latency_s, control_hz)
        # A frame is overwritten no earlier than the next one has arrived.
        latest_ticks = _whole_ticks(sensor.latency_s + sensor.jitter_s, control_hz)
        num_slots = math.ceil(latest_ticks / self._ticks_per_frame) + 1
        self._frames = np.zeros((num_slots, num_lanes, *sensor.shape), self._dtype)
        self._captured = np.full((num_slots, num_lanes), _NEVER)
        self._arrival = np.zeros((num_slots, num_lanes), np.int64)
        self._lost = np.zeros((num_slots, num_lanes), bool)
        self._lanes = np.arange(num_lanes)

    @property
    def _dtype(self) -> type:
        return np.float32 if self.view.kind == "depth" else np.uint8

    def fires(self, ticks: np.ndarray) -> np.ndarray:
        """Return the mask [lane] of episode ticks [lane] that are the camera's."""
        return ticks % self._ticks_per_frame == 0

    def forget(self, lanes: np.ndarray) -> None:
        """Drop all frames of the masked lanes [lane]: a new episode starts."""
        self._captured[:, lanes] = _NEVER

    def take(
        self, frames: np.ndarray, lanes: np.ndarray, ticks: np.ndarray, generators: Generators | None = None
    ) -> None:
        """Put rendered frames [n, height, width, channels] of lanes [n] at their ticks [n] under way."""
        slots = (ticks // self._ticks_per_frame) % len(self._frames)
        self._captured[slots, lanes] = ticks
        self._arrival[slots, lanes] = ticks + self._late_ticks
        self._lost[slots, lanes] = False
        if self.sensor.jitter_s > 0 or self.sensor.dropout > 0:
            assert generators is not None, "jitter and drop-out need the lanes' generators"
            for slot, lane, tick in zip(slots.tolist(), lanes.tolist(), ticks.tolist(), strict=True):
                self._disturb(slot, lane, tick, generators[lane])
        visible = np.minimum(frames, self.sensor.high) if self.view.kind == "depth" else frames
        self._frames[slots, lanes] = np.where(self._lost[slots, lanes][:, None, None, None], 0, visible)

    def _disturb(self, slot: int, lane: int, tick: int, generator: np.random.Generator) -> None:
        """Draw one frame's extra latency and whether it is lost; the number of draws does not depend on the result."""
        extra_s, loss = generator.random(2)
        delay_s = self.sensor.latency_s + extra_s * self.sensor.jitter_s
        self._arrival[slot, lane] = tick + _whole_ticks(delay_s, self._control_hz)
        self._lost[slot, lane] = loss < self.sensor.dropout

    def observe(self, ticks: np.ndarray) -> dict[str, np.ndarray]:
        """Return copies of the newest frames that arrived by `ticks` [lane], their ages in s and their validity."""
        arrived = (self._captured >= 0) & (self._arrival <= ticks)
        captured = np.where(arrived, self._captured, _NEVER)
        slots = captured.argmax(axis=0)
        seen = arrived[slots, self._lanes]
        frames = self._frames[slots, self._lanes]
        frames[~seen] = 0
        age_s = (ticks - np.maximum(captured[slots, self._lanes], 0)) / self._control_hz
        entries = {self.sensor.key: frames, f"{self.sensor.key}.age_s": age_s.astype(np.float32)}
        if has_valid(self.sensor):
            valid = seen & ~self._lost[slots, self._lanes]
            entries[f"{self.sensor.key}.valid"] = valid.astype(np.int8)
        return entries

    def get_state(self) -> dict[str, np.ndarray]:
        """Return the held frames, and when they were captured and arrive."""
        return {f"{self.sensor.key}.{name}": array.copy() for name, array in self._state_arrays().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned."""
        for name, array in self._state_arrays().items():
            array[...] = state[f"{self.sensor.key}.{name}"]

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {"frames": self._frames, "captured": self._captured, "arrival": self._arrival, "lost": self._lost}


def _view(sensor: Sensor, source: Camera) -> View:
    if source.kind not in CAMERA_KINDS:
        raise ValueError(
            f"sensor {sensor.key!r}: got camera kind {source.kind!r}; {nearest(source.kind, CAMERA_KINDS)}"
        )
    if len(sensor.shape) != 3 or sensor.shape[2] != CAMERA_CHANNELS[source.kind]:
        raise ValueError(
            f"sensor {sensor.key!r}: got shape {sensor.shape}, expected (height, width, "
            f"{CAMERA_CHANNELS[source.kind]}) for a camera of kind {source.kind}"
        )
    return View(source.camera, source.kind, *sensor.shape[:2])


def _ticks_per_frame(sensor: Sensor, control_hz: float) -> int:
    ticks = control_hz / sensor.rate_hz
    if ticks < 1 or abs(ticks - round(ticks)) > 1e-9:
        raise ValueError(
            f"sensor {sensor.key!r}: got camera rate {sensor.rate_hz} Hz, expected {control_hz} Hz divided by a "
            "whole number"
        )
    return round(ticks)


def _whole_ticks(duration_s: float, control_hz: float) -> int:
    """Return how many ticks pass until `duration_s` has passed, rounding errors aside."""
    return math.ceil(duration_s * control_hz - 1e-9)
