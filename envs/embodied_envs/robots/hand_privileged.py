"""What probes may read of the hand: velocities, the cube's pose, true fingertip forces, and the lane's dynamics."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.hand_model import FINGERS, JOINTS, PALM_TOP_M
from embodied_envs.robots.hand_task import CUBE_POS, CUBE_QUAT
from embodied_envs.robots.robot_spec import Privileged, Readings

__all__ = ["PRIVILEGED"]

CONTACT_N = 0.05
_NUM_JOINTS = len(JOINTS)
_CUBE_LINEAR = slice(_NUM_JOINTS, _NUM_JOINTS + 3)  # of the cube in qvel: world frame
_CUBE_ANGULAR = slice(_NUM_JOINTS + 3, _NUM_JOINTS + 6)  # cube frame


def _joint_vel(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.bind("qvel")[:, :_NUM_JOINTS]


def _cube_vel(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.bind("qvel")[:, _CUBE_LINEAR]


def _cube_spin(batch: Batch, clean: Readings) -> np.ndarray:
    """Return the angular velocity in the world frame; its last element is the yaw rate."""
    turn = _rotation(batch.bind("qpos")[:, CUBE_QUAT])
    return np.einsum("nij,nj->ni", turn, batch.bind("qvel")[:, _CUBE_ANGULAR])


def _yaw_rate(batch: Batch, clean: Readings) -> np.ndarray:
    return _cube_spin(batch, clean)[:, 2:]


def _cube_pos(batch: Batch, clean: Readings) -> np.ndarray:
    """Return the cube's centre seen from the middle of the palm's surface."""
    return batch.bind("qpos")[:, CUBE_POS] - np.array([0.0, 0.0, PALM_TOP_M])


def _cube_axes(batch: Batch, clean: Readings) -> np.ndarray:
    """Return the cube's first two axes: six numbers that are continuous in the orientation, as yaw angles are not."""
    return _rotation(batch.bind("qpos")[:, CUBE_QUAT])[:, :, :2].transpose(0, 2, 1).reshape(-1, 6)


def _rotation(quat: np.ndarray) -> np.ndarray:
    """Return rotation matrices [lane, 3, 3] of unit quaternions [lane, 4]."""
    w, x, y, z = quat.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rows).transpose(2, 0, 1)


def _fingertip_force(batch: Batch, clean: Readings) -> np.ndarray:
    """Return the newest sample of the touch sensors: nothing is late here, unlike in the readings."""
    addresses = [int(batch.model.sensor(f"{finger}_touch").adr[0]) for finger in FINGERS]
    return batch.bind("sensordata")[:, addresses]


def _fingertip_contact(batch: Batch, clean: Readings) -> np.ndarray:
    return _fingertip_force(batch, clean) > CONTACT_N


def _cube_mass_kg(batch: Batch, clean: Readings) -> np.ndarray:
    cube = batch.model.body("cube").id
    return batch.expand("body_mass")[:, cube : cube + 1]


def _friction(batch: Batch, clean: Readings) -> np.ndarray:
    """Return the fingertips' friction; the palm's is a constant fraction of it."""
    tip = batch.model.geom(f"{FINGERS[0]}_tip").id
    return batch.expand("geom_friction")[:, tip, :1]


def _motor_gain(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.expand("actuator_gainprm")[:, 0, :1] / batch.model.actuator_gainprm[0, 0]


def _actuator_delay_s(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.expand("actuator_delay")[:, :1]


PRIVILEGED = (
    Privileged("joint_vel", "rad/s", "velocities", _joint_vel),
    Privileged("cube_vel", "m/s", "velocities", _cube_vel),
    Privileged("cube_spin", "rad/s", "velocities", _cube_spin),
    Privileged("fingertip_contact", "1", "contacts", _fingertip_contact),
    Privileged("fingertip_force", "N", "forces", _fingertip_force),
    Privileged("cube_pos", "m", "poses", _cube_pos),
    Privileged("cube_axes", "1", "poses", _cube_axes),
    Privileged("yaw_rate", "rad/s", "task", _yaw_rate),
    Privileged("cube_mass_kg", "kg", "slow_dynamics", _cube_mass_kg),
    Privileged("friction", "1", "slow_dynamics", _friction),
    Privileged("motor_gain", "1", "slow_dynamics", _motor_gain),
    Privileged("actuator_delay_s", "s", "slow_dynamics", _actuator_delay_s),
)
