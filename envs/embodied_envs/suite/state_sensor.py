"""What the suite observes: the state itself, now, without noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mujoco.batch import Batch

from embodied_envs.readers import Reading
from embodied_envs.robots.robot_spec import Privileged
from embodied_envs.sensors import Camera, Computed, Sensor

__all__ = ["pixels", "privileged_qvel", "qvel", "state_sensor"]

BEYOND = 1000.0  # larger than any velocity or unwound angle here; the suite itself declares no bounds
CAMERA_PX = 84

Read = Callable[[Batch], np.ndarray]


@dataclass(frozen=True)
class _StateReader:
    batch: Batch
    state: Read

    def __post_init__(self) -> None:
        # Derived fields are copied out after calls only from their first `bind` on: bind them now.
        self.state(self.batch)

    def read(self, is_first: np.ndarray, cutoff_s: np.ndarray | None) -> Reading:
        return Reading(self.state(self.batch).astype(np.float32))


def state_sensor(key: str, unit: str, control_hz: float, size: int, read: Read, limit: float = BEYOND) -> Sensor:
    """Return a noise-free sensor of the state at the observation's own time.

    Args:
        key: the suite's name of the observation.
        unit: units of its elements.
        control_hz: control rate.
        size: number of elements.
        read: batch -> [lane, size].
        limit: largest absolute value.
    """
    source = Computed(lambda batch, sensor: _StateReader(batch, read), is_current=True)
    return Sensor(key, "joint", unit, control_hz, (size,), 0.0, -limit, limit, source)


def qvel(batch: Batch) -> np.ndarray:
    """Return all joint velocities [lane, nv]."""
    return batch.bind("qvel")


def privileged_qvel(unit: str) -> Privileged:
    """Return all joint velocities as a probe target."""
    return Privileged("joint_vel", unit, "velocities", lambda batch, clean: batch.bind("qvel"))


def pixels(camera: str, control_hz: float) -> Sensor:
    """Return the suite's picture: every control period, 84 x 84, the model's first camera.

    Source: 84 x 84 and 100 x 100 (cropped to 84) are the sizes of arXiv:1910.01741 and arXiv:2004.04136; camera 0 is
    the choice of both for these six.
    """
    shape = (CAMERA_PX, CAMERA_PX, 3)
    return Sensor("camera", "camera", "intensity", control_hz, shape, 0.0, 0.0, 255.0, Camera(camera))
