"""What probes may read of the quadruped: base motion and pose, contacts, pushes, and each lane's dynamics."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.quadruped_model import FEET_AT_M, STIFFNESS_NM_RAD, TRUNK
from embodied_envs.robots.quadruped_terrain import ground_height
from embodied_envs.robots.robot_spec import Privileged, Readings

__all__ = ["CONTACT_FORCE_N", "PRIVILEGED", "feet_on_map_m", "upright"]

CONTACT_FORCE_N = 5.0


def _clearance_m(batch: Batch) -> np.ndarray:
    """Return the height of the trunk's centre above the mean ground under its feet in the stance, [lane]."""
    qpos = batch.bind("qpos")
    return qpos[:, 2] - ground_height(feet_on_map_m(qpos[:, :2], _yaw(qpos[:, 3:7]))).mean(axis=-1)


def feet_on_map_m(centre_m: np.ndarray, yaw_rad: np.ndarray) -> np.ndarray:
    """Return the points [..., leg, 2] where the feet stand under a trunk at `centre_m` [..., 2]."""
    cos, sin = np.cos(yaw_rad)[..., None], np.sin(yaw_rad)[..., None]
    x, y = FEET_AT_M.T
    return centre_m[..., None, :] + np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _yaw(quat: np.ndarray) -> np.ndarray:
    w, x, y, z = quat.T
    return np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def upright(batch: Batch) -> np.ndarray:
    """Return the z component of the trunk's up direction, [lane]: 1 level, 0 on its side, -1 on its back."""
    x, y = batch.bind("qpos")[:, 4:6].T
    return 1.0 - 2.0 * (x * x + y * y)


def _base_vel(batch: Batch, clean: Readings) -> np.ndarray:
    """Linear velocity turned into the trunk's frame; the engine's angular velocity already is in it."""
    qvel = batch.bind("qvel")
    return np.concatenate([_into_body(batch.bind("qpos")[:, 3:7], qvel[:, :3]), qvel[:, 3:6]], axis=1)


def _into_body(quat: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Rotate world vectors [lane, 3] by the inverse of the unit quaternions [lane, 4]."""
    scalar, axis = quat[:, :1], -quat[:, 1:]
    twice = 2.0 * np.cross(axis, vectors)
    return vectors + scalar * twice + np.cross(axis, twice)


def _joint_vel(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.bind("qvel")[:, 6:]


def _contact(batch: Batch, clean: Readings) -> np.ndarray:
    return clean["foot_force"] > CONTACT_FORCE_N


def _contact_force(batch: Batch, clean: Readings) -> np.ndarray:
    return clean["foot_force"]


def _base_pose(batch: Batch, clean: Readings) -> np.ndarray:
    """Clearance, roll and pitch; x, y and yaw are left out, as nothing on the robot measures them."""
    w, x, y, z = batch.bind("qpos")[:, 3:7].T
    roll = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
    return np.stack([_clearance_m(batch), roll, pitch], axis=1)


def _joint_pos(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.bind("qpos")[:, 7:]


def _push(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.bind("xfrc_applied")[:, TRUNK, :2]


def _friction(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.expand("geom_friction")[:, batch.model.geom("ground").id, :1]


def _payload_kg(batch: Batch, clean: Readings) -> np.ndarray:
    payload = batch.model.body("payload").id
    return batch.expand("body_mass")[:, payload : payload + 1]


def _action_delay_s(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.expand("actuator_delay")[:, :1]


def _motor_gain(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.expand("actuator_biasprm")[:, 0, 1:2] / -STIFFNESS_NM_RAD


PRIVILEGED = (
    Privileged("base_vel", "m/s, m/s, m/s, rad/s, rad/s, rad/s", "velocities", _base_vel),
    Privileged("joint_vel", "rad/s", "velocities", _joint_vel),
    Privileged("contact", "1", "contacts", _contact),
    Privileged("contact_force", "N", "forces", _contact_force),
    Privileged("push_force", "N", "forces", _push),
    Privileged("base_pose", "m, rad, rad", "poses", _base_pose),
    Privileged("joint_pos_clean", "rad", "poses", _joint_pos),
    Privileged("friction", "1", "slow_dynamics", _friction),
    Privileged("payload_kg", "kg", "slow_dynamics", _payload_kg),
    Privileged("action_delay_s", "s", "slow_dynamics", _action_delay_s),
    Privileged("motor_gain", "1", "slow_dynamics", _motor_gain),
)
