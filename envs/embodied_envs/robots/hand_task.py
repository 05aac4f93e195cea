"""The hand's task: turn the cube about the vertical without dropping it."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.hand_model import (
    CUBE_MASS_KG,
    FINGERS,
    JOINTS,
    MAX_ACTUATOR_DELAY_S,
    PALM_FRICTION,
    PALM_TOP_M,
    TIP_FRICTION,
)
from embodied_envs.robots.robot_spec import Step

__all__ = ["CUBE_POS", "CUBE_QUAT", "LANE_FIELDS", "TARGET_RAD_S", "dropped", "reset_lane", "rotation_reward"]

CUBE_POS = slice(len(JOINTS), len(JOINTS) + 3)  # of the cube in qpos
CUBE_QUAT = slice(len(JOINTS) + 3, len(JOINTS) + 7)

TARGET_RAD_S = 4.0
ACTION_COST = 0.02
OFF_CENTRE_COST = 0.5  # at the edge of reach; it grows with the square of the distance
DROP_COST = 10.0  # more than a still hand ever loses: dropping the cube is no way out
REACH_M = 0.08  # farther from the palm's axis the cube has left the hand

MASS_RANGE_KG = (0.06, 0.18)
FRICTION_RANGE = (0.7, 1.3)  # factor on rubber and plastic alike: a clean or a dusty cube
GAIN_RANGE = (0.8, 1.2)
DELAY_RANGE_S = (0.005, MAX_ACTUATOR_DELAY_S)
LANE_FIELDS = (
    "body_mass", "body_inertia", "geom_friction", "actuator_gainprm", "actuator_biasprm", "actuator_delay",
)  # fmt: skip


def reset_lane(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write one lane's start: the cube near the palm's centre at any angle, fingers near the cradle, new dynamics."""
    qpos = batch.bind("qpos")[lane]
    qpos[: len(JOINTS)] = generator.uniform(-0.05, 0.05, len(JOINTS))
    qpos[CUBE_POS][:2] = generator.uniform(-0.004, 0.004, 2)
    half_turn = 0.5 * generator.uniform(-np.pi, np.pi)
    qpos[CUBE_QUAT] = [np.cos(half_turn), 0.0, 0.0, np.sin(half_turn)]
    _write_cube(batch, lane, generator.uniform(*MASS_RANGE_KG), generator.uniform(*FRICTION_RANGE))
    _write_motors(batch, lane, generator.uniform(*GAIN_RANGE), generator.uniform(*DELAY_RANGE_S))


def _write_cube(batch: Batch, lane: int, mass_kg: float, friction: float) -> None:
    model = batch.model
    cube = model.body("cube").id
    batch.expand("body_mass")[lane, cube] = mass_kg
    batch.expand("body_inertia")[lane, cube] = model.body_inertia[cube] * mass_kg / CUBE_MASS_KG
    sliding = batch.expand("geom_friction")[lane, :, 0]
    sliding[model.geom("cube").id] = PALM_FRICTION * friction
    sliding[[model.geom(f"{finger}_tip").id for finger in FINGERS]] = TIP_FRICTION * friction


def _write_motors(batch: Batch, lane: int, gain: float, delay_s: float) -> None:
    """Scale stiffness and damping of all servos; a command then takes effect `delay_s` after it was given."""
    model = batch.model
    batch.expand("actuator_gainprm")[lane] = model.actuator_gainprm * gain
    batch.expand("actuator_biasprm")[lane] = model.actuator_biasprm * gain
    batch.expand("actuator_delay")[lane] = delay_s


def rotation_reward(step: Step) -> np.ndarray:
    """Return the cube's turning speed about the vertical, as a fraction of the target between -1 and 1, minus costs.

    The costs: mean square of the action, square of the cube's distance from the palm's axis, and a drop.
    """
    qpos = step.batch.bind("qpos")
    speed_rad_s = turned_rad(step.qpos_before[:, CUBE_QUAT], qpos[:, CUBE_QUAT]) / step.period_s
    speed = np.clip(speed_rad_s / TARGET_RAD_S, -1.0, 1.0)
    off_centre = np.square(qpos[:, CUBE_POS][:, :2]).sum(axis=1) / REACH_M**2
    effort = np.square(step.action).mean(axis=1)
    return speed - ACTION_COST * effort - OFF_CENTRE_COST * off_centre - DROP_COST * dropped(step.batch)


def turned_rad(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the vertical part [lane] of the rotation vector that leads from one unit quaternion [lane, 4] to another.

    Unlike a difference of yaw angles it is defined however the cube lies.
    """
    w0, x0, y0, z0 = before.T
    w1, x1, y1, z1 = after.T
    # after * conjugate(before), its scalar and vector parts
    w = w1 * w0 + x1 * x0 + y1 * y0 + z1 * z0
    x = -w1 * x0 + x1 * w0 - y1 * z0 + z1 * y0
    y = -w1 * y0 + x1 * z0 + y1 * w0 - z1 * x0
    z = -w1 * z0 - x1 * y0 + y1 * x0 + z1 * w0
    sine = np.sqrt(x * x + y * y + z * z)
    angle = 2.0 * np.arctan2(sine, np.abs(w))
    return np.sign(w) * angle * z / np.maximum(sine, 1e-12)


def dropped(batch: Batch) -> np.ndarray:
    """Return the lanes [lane] whose cube's centre sank below the palm's surface or left the fingers' reach."""
    position = batch.bind("qpos")[:, CUBE_POS]
    return (position[:, 2] < PALM_TOP_M) | (np.linalg.norm(position[:, :2], axis=1) > REACH_M)
