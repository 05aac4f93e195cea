"""What probes may read of the rover, and policies may not."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import numpy as np
from mujoco.batch import Batch

from embodied_envs.microphones import Sounds
from embodied_envs.robots import rover_figures as rover
from embodied_envs.robots.robot_spec import Privileged, Readings
from embodied_envs.robots.rover_task import BUMP_N, bump_force, is_occluded, offset_to, yaw

__all__ = ["PRIVILEGED"]

_ROOT_DOFS = 6


def _body_vel(batch: Batch, clean: Readings) -> np.ndarray:
    """Forward speed and yaw rate; a free joint's linear velocity is in world axes, its angular one in the body's."""
    velocity, heading = batch.bind("qvel"), yaw(batch)
    forward = velocity[:, 0] * np.cos(heading) + velocity[:, 1] * np.sin(heading)
    return np.stack([forward, velocity[:, 5]], axis=1)


def _wheel_vel(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.bind("qvel")[:, _ROOT_DOFS:]


def _bump(batch: Batch, clean: Readings) -> np.ndarray:
    return bump_force(batch)[:, None] > BUMP_N


def _bump_force(batch: Batch, clean: Readings) -> np.ndarray:
    return bump_force(batch)[:, None]


def _heading(batch: Batch, clean: Readings) -> np.ndarray:
    return _sin_cos(yaw(batch))


def _position(batch: Batch, clean: Readings) -> np.ndarray:
    """The walls have colours, so that camera and lidar together can know the place in the arena."""
    return batch.bind("qpos")[:, :2]


def _distance(batch: Batch, clean: Readings) -> np.ndarray:
    return np.linalg.norm(offset_to(batch, "target"), axis=1, keepdims=True)


def _bearing(batch: Batch, clean: Readings) -> np.ndarray:
    return _bearing_of(batch, "target")


def _distractor_bearing(batch: Batch, clean: Readings) -> np.ndarray:
    return _bearing_of(batch, "distractor")


def _bearing_of(batch: Batch, source: str) -> np.ndarray:
    offset = offset_to(batch, source)
    return _sin_cos(np.arctan2(offset[:, 1], offset[:, 0]) - yaw(batch))


def _occluded(batch: Batch, clean: Readings) -> np.ndarray:
    return is_occluded(batch, "target", rover.MICROPHONE_HEIGHT_M)[:, None]


def _friction(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.expand("geom_friction")[:, batch.model.geom(rover.WHEELS[0]).id, :1]


def _payload_kg(batch: Batch, clean: Readings) -> np.ndarray:
    payload = batch.model.body("payload").id
    return batch.expand("body_mass")[:, payload : payload + 1]


def _asymmetry(batch: Batch, clean: Readings) -> np.ndarray:
    gains = batch.expand("actuator_gainprm")[:, :, 0]
    return gains[:, :1] / gains[:, 1:] - 1.0


def _latency_s(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.expand("actuator_delay")[:, :1]


def _distractor_level(batch: Batch, clean: Readings) -> np.ndarray:
    tones = Sounds.unpack(batch.bind("userdata"), len(rover.SOURCES), rover.NUM_TONES).tone_pa[
        :, rover.SOURCES.index("distractor")
    ]
    return np.sqrt(0.5 * np.square(tones).sum(axis=1, keepdims=True))


def _sin_cos(angle_rad: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(angle_rad), np.cos(angle_rad)], axis=1)


PRIVILEGED = (
    Privileged("body_vel", "m/s, rad/s", "velocities", _body_vel),
    Privileged("wheel_vel", "rad/s", "velocities", _wheel_vel),
    Privileged("bump", "1", "contacts", _bump),
    Privileged("bump_force", "N", "forces", _bump_force),
    Privileged("heading", "sin, cos", "poses", _heading),
    Privileged("position", "m", "poses", _position),
    Privileged("target_distance", "m", "task", _distance),
    Privileged("target_bearing", "sin, cos", "task", _bearing),
    Privileged("target_occluded", "1", "task", _occluded),
    Privileged("friction", "1", "slow_dynamics", _friction),
    Privileged("payload_kg", "kg", "slow_dynamics", _payload_kg),
    Privileged("motor_asymmetry", "1", "slow_dynamics", _asymmetry),
    Privileged("command_latency", "s", "slow_dynamics", _latency_s),
    Privileged("distractor_level", "Pa", "nuisance", _distractor_level),
    Privileged("distractor_bearing", "sin, cos", "nuisance", _distractor_bearing),
)
"""Everything that probes may read, in the order of `info["privileged"]`."""
