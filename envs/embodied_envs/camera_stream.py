"""One camera of all lanes: renders when a lane's camera fires, holds the frame and lets it age in between."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.rendering import Renderer, make_renderer
from embodied_envs.sensors import Camera, Sensor

__all__ = ["CameraStream"]


class CameraStream:
    """Frames of one camera sensor, captured on ticks 0, p, 2p, ... of a lane's episode; p = control / camera rate."""

    def __init__(
        self, sensor: Sensor, source: Camera, model: mujoco.MjModel, num_lanes: int, control_hz: float
    ) -> None:
        """Prepare held frames; the renderer is made by `open`.

        Raises:
            ValueError: the camera's rate does not divide the control rate.
        """
        ticks = control_hz / sensor.rate_hz
        if ticks < 1 or ticks != round(ticks):
            raise ValueError(f"got camera rate {sensor.rate_hz} Hz, expected {control_hz} Hz divided by a whole number")
        self.key, self._camera, self._model = sensor.key, source.camera, model
        self._ticks_per_frame, self._control_hz = round(ticks), control_hz
        self._frames = np.zeros((num_lanes, *sensor.shape), np.uint8)
        self._capture_tick = np.zeros(num_lanes, np.int64)
        self._renderer: Renderer | None = None

    def open(self, backend: str) -> None:
        """Choose the back end that draws this camera."""
        height, width, _ = self._frames.shape[1:]
        self._renderer = make_renderer(backend, self._model, self._camera, height, width)

    def capture(self, batch: Batch, lanes: np.ndarray, ticks: np.ndarray) -> None:
        """Render the masked lanes [lane] whose episode tick [lane] is one of the camera's."""
        firing = np.flatnonzero(lanes & (ticks % self._ticks_per_frame == 0))
        if firing.size:
            self._frames[firing] = self.draw(batch, firing)
            self._capture_tick[firing] = ticks[firing]

    def draw(self, batch: Batch, lanes: np.ndarray) -> np.ndarray:
        """Return present frames uint8 [lane in lanes, height, width, 3] without holding them."""
        assert self._renderer is not None, "open() comes first"
        return self._renderer.render(batch, lanes)

    def observe(self, ticks: np.ndarray) -> dict[str, np.ndarray]:
        """Return copies of the held frames and their ages in s [lane]."""
        age_s = ((ticks - self._capture_tick) / self._control_hz).astype(np.float32)
        return {self.key: self._frames.copy(), f"{self.key}.age_s": age_s}

    def get_state(self) -> dict[str, np.ndarray]:
        """Return the held frames and when they were captured."""
        return {f"{self.key}.frames": self._frames.copy(), f"{self.key}.capture_tick": self._capture_tick.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned."""
        self._frames[...] = state[f"{self.key}.frames"]
        self._capture_tick[...] = state[f"{self.key}.capture_tick"]

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
