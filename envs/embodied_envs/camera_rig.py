"""All cameras of all lanes: one renderer, one stream of frames per camera sensor."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.camera_stream import CameraStream
from embodied_envs.distractors.base import Distractor
from embodied_envs.rendering import Renderer, make_renderer
from embodied_envs.sensors import Camera, Sensor

__all__ = ["CameraRig"]

Generators = Sequence[np.random.Generator]


class CameraRig:
    """Renders only the lanes and ticks whose camera fires; a lane's kinematics serve all its cameras that fire."""

    def __init__(self, sensors: Sequence[Sensor], model: mujoco.MjModel, num_lanes: int, control_hz: float) -> None:
        """Prepare held frames; the renderer is made by `open`.

        Args:
            sensors: the robot's sensors; those that are no cameras are left out.
            model: the compiled model.
            num_lanes: number of lanes.
            control_hz: observations per second.

        Raises:
            ValueError: a camera whose rate does not divide the control rate, whose kind is unknown, or whose shape
                does not fit its kind.
        """
        self._model = model
        self.streams = [
            CameraStream(sensor, sensor.source, num_lanes, control_hz)
            for sensor in sensors
            if isinstance(sensor.source, Camera)
        ]
        self._distractors: tuple[Distractor, ...] = ()
        self._renderer: Renderer | None = None

    @property
    def has_cameras(self) -> bool:
        """Whether the robot has any camera."""
        return bool(self.streams)

    def open(self, backend: str, preset: str = "fast", distractors: Sequence[Distractor] = ()) -> None:
        """Make the renderer.

        Args:
            backend: from `resolve_backend`.
            preset: fast or quality.
            distractors: their `paint` is called, in turn, on every RGB frame.
        """
        self._distractors = tuple(d for d in distractors if type(d).paint is not Distractor.paint)
        hide_ground = any(distractor.covers_ground for distractor in self._distractors)
        if self.streams:
            views = [stream.view for stream in self.streams]
            self._renderer = make_renderer(backend, self._model, views, preset, hide_ground)

    def capture(self, batch: Batch, lanes: np.ndarray, ticks: np.ndarray, generators: Generators | None = None) -> None:
        """Render what fires.

        Args:
            batch: the simulation.
            lanes: mask [lane] of lanes that are observed anew.
            ticks: episode tick [lane]; on tick 0 a lane forgets its former frames.
            generators: one per lane, for jitter and drop-out; only needed by sensors that have them.
        """
        for stream in self.streams:
            stream.forget(lanes & (ticks == 0))
        firing = (
            np.stack([lanes & stream.fires(ticks) for stream in self.streams]) if self.streams else np.empty((0, 0))
        )
        for group, members in _groups(firing):
            streams = [self.streams[i] for i in group]
            for stream, frames in zip(streams, self._render(batch, members, streams), strict=True):
                stream.take(frames, members, ticks[members], generators)

    def observe(self, ticks: np.ndarray) -> dict[str, np.ndarray]:
        """Return, for every camera, copies of the delivered frames with their ages in s and, if it has it, validity."""
        entries: dict[str, np.ndarray] = {}
        for stream in self.streams:
            entries |= stream.observe(ticks)
        return entries

    def draw(self, batch: Batch, lanes: np.ndarray) -> np.ndarray:
        """Return present frames uint8 [lane in lanes, height, width, 3] of the first RGB camera, without holding them.

        Raises:
            ValueError: the robot has no RGB camera.
        """
        for stream in self.streams:
            if stream.view.kind == "rgb":
                return self._render(batch, lanes, [stream])[0]
        raise ValueError("got render_mode='rgb_array' for a robot without an RGB camera; fix: render_mode=None")

    def _render(self, batch: Batch, lanes: np.ndarray, streams: Sequence[CameraStream]) -> list[np.ndarray]:
        """Return present frames [lane in lanes, ...] of each stream, with everything painted that belongs on it."""
        assert self._renderer is not None, "open() comes first"
        views = [stream.view for stream in streams]
        drawn = self._renderer.render(batch, lanes, views, with_background=bool(self._distractors))
        for view, frames in zip(views, drawn, strict=True):
            if frames.background is not None:
                self._paint(frames.values, frames.background, lanes, view.camera)
        return [frames.values for frames in drawn]

    def _paint(self, frames: np.ndarray, background: np.ndarray, lanes: np.ndarray, camera: str) -> None:
        for distractor in self._distractors:
            distractor.paint(frames, background, lanes, camera)

    def get_state(self) -> dict[str, np.ndarray]:
        """Return the held frames and when they were captured and arrive."""
        return {key: value for stream in self.streams for key, value in stream.get_state().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned."""
        for stream in self.streams:
            stream.set_state(state)

    def close(self) -> None:
        """Free the renderer; may be called twice."""
        if self._renderer is not None:
            self._renderer.close()


def _groups(firing: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
    """Return (camera numbers, lane numbers) for each set of cameras that fires together; `firing` is [camera, lane]."""
    if not firing.any():
        return []
    sets, group_of_lane = np.unique(firing, axis=1, return_inverse=True)
    cameras = [np.flatnonzero(members).tolist() for members in sets.T]
    return [(group, np.flatnonzero(group_of_lane == i)) for i, group in enumerate(cameras) if group]
