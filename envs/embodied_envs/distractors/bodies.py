"""Coloured bodies that float through the view and touch nothing."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.distractors.base import Distractor, Generators
from embodied_envs.distractors.camera_mount import CameraMount
from embodied_envs.distractors.difficulty import SCALES, level
from embodied_envs.distractors.lane_draws import LaneDraws, normals
from embodied_envs.robots.robot_spec import Privileged
from embodied_envs.sensors import Camera, Sensor

__all__ = ["Bodies"]

_NAME = "distractor_body"
_SHAPES = (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CAPSULE)
_COLOURS = ((0.9, 0.8, 0.1), (0.7, 0.2, 0.8), (0.1, 0.8, 0.7), (0.9, 0.5, 0.6), (0.4, 0.9, 0.2), (0.95, 0.95, 0.95))
_SIZE_OF_VIEW = 0.08  # a body's radius, relative to half the height of what the camera sees at the robot's distance
_CROSSING_S = 2.0  # about how long a body needs from the middle to the border of the view
_MEMORY_S = 1.0  # how long a velocity lasts


class Bodies(Distractor):
    """Two, four or six mocap bodies without contacts that wander around what the first camera looks at.

    Their velocity is a random walk that returns to 0 within a second, faster the harder; they stay in a cube as large
    as the view at the robot's distance, above z = 0. Lidars and depth cameras see them too.
    """

    name = "bodies"

    def __init__(self, difficulty: str = "easy") -> None:
        """Choose how many there are and how fast."""
        self._num_bodies, self._speed = 2 * level(difficulty), 10.0 * SCALES[difficulty]

    def edit(self, spec: mujoco.MjSpec) -> None:
        """Add the bodies, last in the world, sized for the first camera.

        Raises:
            ValueError: the model has no camera.
        """
        if not spec.cameras:
            raise ValueError("got distractor 'bodies' for a robot without cameras, expected at least one camera")
        radius_m = _SIZE_OF_VIEW * _half_view(spec.copy().compile(), 0)
        for number in range(self._num_bodies):
            body = spec.worldbody.add_body(name=f"{_NAME}_{number}", mocap=True, pos=[0, 0, 1])
            size = [radius_m, radius_m, radius_m] if number % 3 < 2 else [0.7 * radius_m, radius_m, 0]
            body.add_geom(
                type=_SHAPES[number % 3], size=size, contype=0, conaffinity=0, mass=0,
                rgba=[*_COLOURS[number % len(_COLOURS)], 1.0],
            )  # fmt: skip

    def attach(self, batch: Batch, sensors: tuple[Sensor, ...], control_hz: float) -> None:
        """Measure what the first observed camera sees."""
        self._batch, self._period_s, model = batch, 1.0 / control_hz, batch.model
        self._mocap = [model.body_mocapid[model.body(f"{_NAME}_{i}").id] for i in range(self._num_bodies)]
        names = [sensor.source.camera for sensor in sensors if isinstance(sensor.source, Camera)]
        self._camera = model.camera(names[0]).id if names else 0
        self._distance_m, self._half_m = CameraMount(model, self._camera).distance_m, _half_view(model, self._camera)
        self._camera_xpos, self._camera_xmat = batch.bind("cam_xpos"), batch.bind("cam_xmat")
        self._poses = batch.bind("mocap_pos")
        shape = (batch.nsim, self._num_bodies, 3)
        self._offset, self._velocity = np.zeros(shape), np.zeros(shape)
        self._draws = LaneDraws(batch.nsim, self._num_bodies * 3, normals)
        self.nuisance = (Privileged("bodies_offset", "m", "nuisance", self._read),)

    def _read(self, batch: Batch, clean: dict[str, np.ndarray]) -> np.ndarray:
        return self._offset.reshape(len(self._offset), -1)

    def reset(self, lanes: np.ndarray, generators: Generators) -> None:
        """Start anywhere in the cube."""
        self._draws.forget(lanes)
        for lane in np.flatnonzero(lanes).tolist():
            self._offset[lane] = generators[lane].uniform(-self._half_m, self._half_m, self._offset.shape[1:])
        self._velocity[lanes] = 0.0
        self._batch.forward(lanes, stage=mujoco.mjtStage.mjSTAGE_POS)  # where the camera is in the new episode
        self._show(lanes)

    def step(self, lanes: np.ndarray, generators: Generators) -> None:
        """Walk; a body that meets the border of the cube stops there."""
        # After a step the camera pose is one substep old, unless a renderer was there; after `set_state`, meaningless.
        self._batch.forward(lanes, stage=mujoco.mjtStage.mjSTAGE_POS)
        noise = self._draws.next(lanes, generators).reshape(self._offset.shape)
        keep = 1.0 - self._period_s / _MEMORY_S
        std = self._speed * self._half_m / _CROSSING_S * np.sqrt(max(1.0 - keep**2, 0.0))
        self._velocity = np.where(lanes[:, None, None], keep * self._velocity + std * noise, self._velocity)
        moved = np.clip(
            self._offset + self._period_s * self._velocity * lanes[:, None, None], -self._half_m, self._half_m
        )
        self._velocity[lanes] = ((moved - self._offset) / self._period_s)[lanes]
        self._offset = moved
        self._show(lanes)

    def _show(self, lanes: np.ndarray) -> None:
        ahead = -self._camera_xmat[lanes, self._camera].reshape(-1, 3, 3)[:, :, 2]
        centre = self._camera_xpos[lanes, self._camera] + self._distance_m * ahead
        place = centre[:, None, :] + self._offset[lanes]
        place[:, :, 2] = np.maximum(place[:, :, 2], _SIZE_OF_VIEW * self._half_m)
        self._poses[np.flatnonzero(lanes)[:, None], self._mocap] = place

    def get_state(self) -> dict[str, Any]:
        """Return places, velocities and the numbers drawn ahead; poses in the world are part of the physics."""
        return {"offset": self._offset.copy(), "velocity": self._velocity.copy()} | self._draws.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._offset, self._velocity = np.array(state["offset"]), np.array(state["velocity"])
        self._draws.set_state(state)


def _half_view(model: mujoco.MjModel, camera: int) -> float:
    """Return half the height in m of what a camera sees at the robot's distance."""
    return CameraMount(model, camera).distance_m * float(np.tan(np.deg2rad(model.cam_fovy[camera]) / 2.0))
