"""Cameras wander around what they look at; cameras on moving bodies work loose in their mounts."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from typing import Any

import numpy as np
from mujoco.batch import Batch

from embodied_envs.distractors.base import Distractor, Generators
from embodied_envs.distractors.camera_mount import CameraMount
from embodied_envs.distractors.difficulty import SCALES
from embodied_envs.distractors.lane_draws import LaneDraws, normals
from embodied_envs.robots.robot_spec import Privileged
from embodied_envs.sensors import Camera, Sensor

__all__ = ["CameraMotion"]

_NUM_FACTORS = 4  # horizontal, vertical and roll angle, logarithm of the distance
_SUITE_RADIUS_M = 4.0


class CameraMotion(Distractor):
    """Random walk of the velocity of each camera's horizontal, vertical and roll angle, and of its distance.

    Angles stay within pi/2 * scale of the original, the distance between 1 - .5 scale and 1 + 1.5 scale of it. A
    control period changes the velocity by noise of standard deviation .1 * scale and limits it to .4 * scale, in metres
    at the suite's usual 4 m: a quarter of that in rad. At a limit the velocity becomes 0.

    Cameras that stand in the world or follow a body keep looking at the robot and stay above ground; cameras fixed to a
    moving body only turn.

    Source: Distracting Control Suite (Stone et al. 2021, arXiv:2101.02722), section on camera pose. Deviation: angles
    about the camera's own target instead of Cartesian velocity, so that it does not depend on where the robot is.
    """

    name = "camera"
    lane_fields = ("cam_pos", "cam_quat", "cam_pos0", "cam_poscom0", "cam_mat0")

    def __init__(self, difficulty: str = "easy") -> None:
        """Set the ranges of the walk."""
        scale = SCALES[difficulty]
        angle = np.pi / 2.0 * scale
        self._high = np.array([angle, angle, angle, np.log1p(1.5 * scale)])
        self._low = np.array([-angle, -angle, -angle, np.log1p(-0.5 * scale)])
        self._velocity_std, self._max_velocity = 0.1 * scale / _SUITE_RADIUS_M, 0.4 * scale / _SUITE_RADIUS_M

    def attach(self, batch: Batch, sensors: tuple[Sensor, ...], control_hz: float) -> None:
        """Measure the cameras of the robot's sensors; a robot without any has nothing to move."""
        model = batch.model
        names = dict.fromkeys(sensor.source.camera for sensor in sensors if isinstance(sensor.source, Camera))
        self._cameras = [model.camera(name).id for name in names]
        self._mounts = [CameraMount(model, camera) for camera in self._cameras]
        self._fields = {name: batch.expand(name) for name in self.lane_fields}
        self._poscom0 = np.array(model.cam_poscom0)
        self._pos0 = np.array(model.cam_pos0)
        shape = (batch.nsim, len(self._cameras), _NUM_FACTORS)
        self._walk, self._velocity = np.zeros(shape), np.zeros(shape)
        self._draws = LaneDraws(batch.nsim, shape[1] * _NUM_FACTORS, normals)
        if self._cameras:
            self.nuisance = (Privileged("camera_motion", "rad, rad, rad, 1", "nuisance", self._read),)

    def _read(self, batch: Batch, clean: dict[str, np.ndarray]) -> np.ndarray:
        return self._walk.reshape(len(self._walk), -1)

    def reset(self, lanes: np.ndarray, generators: Generators) -> None:
        """Start anywhere in the range, with any velocity."""
        self._draws.forget(lanes)
        for lane in np.flatnonzero(lanes).tolist():
            self._walk[lane] = generators[lane].uniform(self._low, self._high, self._walk.shape[1:])
            speed = self._max_velocity
            self._velocity[lane] = generators[lane].uniform(-speed, speed, self._walk.shape[1:])
        self._show(lanes)

    def step(self, lanes: np.ndarray, generators: Generators) -> None:
        """Walk."""
        noise = self._draws.next(lanes, generators).reshape(self._walk.shape)
        self._velocity += self._velocity_std * noise
        np.clip(self._velocity, -self._max_velocity, self._max_velocity, out=self._velocity)
        moved = np.clip(self._walk + self._velocity * lanes[:, None, None], self._low, self._high)
        self._velocity[lanes] = (moved - self._walk)[lanes]
        self._walk = moved
        self._show(lanes)

    def _show(self, lanes: np.ndarray) -> None:
        """Write the poses, and what `set_const` would derive from them: tracking cameras use only that."""
        for index, (camera, mount) in enumerate(zip(self._cameras, self._mounts, strict=True)):
            walk = self._walk[lanes, index]
            position, axes = pose = mount.displaced(walk[:, :3], np.exp(walk[:, 3]))
            self._fields["cam_pos"][lanes, camera], self._fields["cam_quat"][lanes, camera] = mount.local(pose)
            self._fields["cam_pos0"][lanes, camera] = position
            self._fields["cam_poscom0"][lanes, camera] = self._poscom0[camera] + position - self._pos0[camera]
            self._fields["cam_mat0"][lanes, camera] = axes.reshape(-1, 9)

    def get_state(self) -> dict[str, Any]:
        """Return poses, velocities and the numbers drawn ahead."""
        return {"walk": self._walk.copy(), "velocity": self._velocity.copy()} | self._draws.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._walk = np.array(state["walk"])
        self._velocity[...] = state["velocity"]
        self._draws.set_state(state)
