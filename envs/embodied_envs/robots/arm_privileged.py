"""What probes, rewards and scripts may know of an arm: poses, velocities, contacts, the goal, and a lane's dynamics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.arm_gripper import SIDES
from embodied_envs.robots.arm_model import JOINTS
from embodied_envs.robots.robot_spec import Privileged, Readings

__all__ = [
    "arm_privileged",
    "bind_fields",
    "finger_forces",
    "goal_position",
    "grip_position",
    "object_axes",
    "object_position",
]

_FIRST_OBJECT = len(JOINTS) + len(SIDES)  # of qpos and qvel
_CONTACT_N = 0.2
_FIELDS = ("site_xpos", "site_xmat", "cvel", "subtree_com", "sensordata")


def bind_fields(batch: Batch) -> None:
    """Bind the derived fields that are read here: a field is filled only by calls made after it was bound."""
    for name in _FIELDS:
        batch.bind(name)


def grip_position(batch: Batch) -> np.ndarray:
    """Return the point between the pads, in m, [lane, 3]."""
    return batch.bind("site_xpos")[:, batch.model.site("grip").id]


def grip_axes(batch: Batch) -> np.ndarray:
    """Return the hand's rotation [lane, 3, 3]; its columns: across the pads, the fingers' travel, the approach."""
    return batch.bind("site_xmat")[:, batch.model.site("grip").id].reshape(-1, 3, 3)


def grip_velocity(batch: Batch) -> np.ndarray:
    """Return velocity in m/s and angular velocity in rad/s of the point between the pads, [lane, 6]."""
    hand = batch.model.body("hand").id
    twist = batch.bind("cvel")[:, hand]  # angular first, about the arm's centre of mass
    arm = grip_position(batch) - batch.bind("subtree_com")[:, batch.model.body_rootid[hand]]
    return np.concatenate([twist[:, 3:] + np.cross(twist[:, :3], arm), twist[:, :3]], axis=1)


def goal_position(batch: Batch) -> np.ndarray:
    """Return the goal in m, [lane, 3]."""
    return batch.bind("mocap_pos")[:, 0]


def object_position(batch: Batch) -> np.ndarray:
    """Return the object's centre in m, [lane, 3]."""
    return batch.bind("qpos")[:, _FIRST_OBJECT : _FIRST_OBJECT + 3]


def object_axes(batch: Batch) -> np.ndarray:
    """Return the object's rotation matrix [lane, 3, 3]."""
    w, x, y, z = batch.bind("qpos")[:, _FIRST_OBJECT + 3 : _FIRST_OBJECT + 7].T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def finger_forces(batch: Batch) -> np.ndarray:
    """Return the net contact force on each finger in N, [lane, 2]: by the object, or by anything if there is none."""
    starts = [batch.model.sensor(f"{side}_finger_contact").adr[0] for side in SIDES]
    sensed = batch.bind("sensordata")
    return np.stack([np.linalg.norm(sensed[:, start + 1 : start + 4], axis=1) for start in starts], axis=1)


def _ratio(batch: Batch, field: str, column: int) -> np.ndarray:
    """Return one joint's value relative to the nominal model's, [lane, 1]: all joints of a lane share the factor."""
    nominal = getattr(batch.model, field).reshape(len(getattr(batch.model, field)), -1)[column, 0]
    return batch.expand(field).reshape(batch.nsim, len(getattr(batch.model, field)), -1)[:, column, :1] / nominal


def _geom_friction(batch: Batch, geom: str) -> np.ndarray:
    return batch.expand("geom_friction")[:, batch.model.geom(geom).id, :1]


def _mass(batch: Batch, body: str) -> np.ndarray:
    body_id = batch.model.body(body).id
    return batch.expand("body_mass")[:, body_id : body_id + 1]


def arm_privileged(
    has_object: bool, goal_distance: Callable[[Batch], np.ndarray], grips: bool = False
) -> tuple[Privileged, ...]:
    """Return the privileged entries of a task.

    Args:
        has_object: whether there is an object.
        goal_distance: batch -> distance to the goal in m, [lane].
        grips: whether the pads' friction matters, and varies.
    """
    return (
        *_arm_entries(),
        Privileged("goal_distance", "m", "task", lambda batch, _: goal_distance(batch)[:, None]),
        *_dynamics_entries(),
        *(_object_entries(grips) if has_object else _payload_entries()),
    )


def _arm_entries() -> tuple[Privileged, ...]:
    return (
        Privileged("joint_vel", "rad/s", "velocities", lambda batch, _: batch.bind("qvel")[:, : len(JOINTS)]),
        Privileged("grip_vel", "m/s, rad/s", "velocities", lambda batch, _: grip_velocity(batch)),
        Privileged("joint_pos_clean", "rad", "poses", lambda batch, _: batch.bind("qpos")[:, : len(JOINTS)]),
        Privileged("grip_pos", "m", "poses", lambda batch, _: grip_position(batch)),
        Privileged("grip_axes", "1", "poses", _two_axes),
        Privileged("goal_pos", "m", "task", lambda batch, _: goal_position(batch)),
        Privileged("finger_contact", "1", "contacts", lambda batch, _: finger_forces(batch) > _CONTACT_N),
        Privileged("finger_force", "N", "forces", lambda batch, _: finger_forces(batch)),
    )


def _two_axes(batch: Batch, clean: Readings) -> np.ndarray:
    """Return the fingers' direction of travel and the approach, unit vectors [lane, 6]."""
    return np.concatenate([grip_axes(batch)[:, :, 1], grip_axes(batch)[:, :, 2]], axis=1)


def _dynamics_entries() -> tuple[Privileged, ...]:
    return (
        Privileged("joint_damping", "1", "slow_dynamics", lambda batch, _: _ratio(batch, "dof_damping", 0)),
        Privileged("motor_gain", "1", "slow_dynamics", lambda batch, _: _ratio(batch, "actuator_gainprm", 0)),
        Privileged("action_latency", "s", "slow_dynamics", lambda batch, _: batch.expand("actuator_delay")[:, :1]),
    )


def _payload_entries() -> tuple[Privileged, ...]:
    return (Privileged("payload_kg", "kg", "slow_dynamics", lambda batch, _: _mass(batch, "payload")),)


def _object_entries(grips: bool) -> tuple[Privileged, ...]:
    """Return what there is to know of the object; two of its axes give its attitude."""
    where = slice(_FIRST_OBJECT, _FIRST_OBJECT + 6)
    entries = (
        Privileged("object_pos", "m", "poses", lambda batch, _: object_position(batch)),
        Privileged("object_axes", "1", "poses", lambda batch, _: object_axes(batch)[:, :, ::2].reshape(-1, 6)),
        Privileged("object_from_grip", "m", "poses", lambda batch, _: object_position(batch) - grip_position(batch)),
        Privileged("object_vel", "m/s, rad/s", "velocities", lambda batch, _: batch.bind("qvel")[:, where]),
        Privileged("object_kg", "kg", "slow_dynamics", lambda batch, _: _mass(batch, "object")),
        Privileged("object_half_size", "m", "slow_dynamics", _object_half_size),
        Privileged("table_friction", "1", "slow_dynamics", lambda batch, _: _geom_friction(batch, "ground")),
    )
    pads = Privileged("pad_friction", "1", "slow_dynamics", lambda batch, _: _geom_friction(batch, "left_pad"))
    return (*entries, pads) if grips else entries


def _object_half_size(batch: Batch, clean: Readings) -> np.ndarray:
    return batch.expand("geom_size")[:, batch.model.geom("object").id, :1]
