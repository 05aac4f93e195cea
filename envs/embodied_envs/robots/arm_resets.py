"""How an arm's episode starts: joints, goal, object, and the lane's dynamics."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mujoco.batch import Batch

from embodied_envs.native_history import RING_HEADER
from embodied_envs.robots.arm_gripper import SIDES
from embodied_envs.robots.arm_model import HOME_RAD, JOINTS
from embodied_envs.robots.arm_privileged import bind_fields

__all__ = ["OBJECT_FIELDS", "REACH_FIELDS", "Start", "reset_arm"]

Range = tuple[float, float]

START_RAD = 0.12
DAMPING_RANGE = (0.5, 2.0)
GAIN_RANGE = (0.7, 1.3)
LATENCY_RANGE_S = (0.0, 0.03)
PAYLOAD_RANGE_KG = (0.05, 1.5)
OBJECT_RANGE_KG = (0.10, 0.40)
OBJECT_SCALE_RANGE = (0.75, 1.0)
TABLE_FRICTION_RANGE = (0.3, 0.9)
PAD_FRICTION_RANGE = (0.7, 1.3)

REACH_FIELDS = (
    "dof_damping", "actuator_gainprm", "actuator_biasprm", "actuator_delay", "body_mass", "body_inertia",
)  # fmt: skip
OBJECT_FIELDS = (*REACH_FIELDS, "geom_friction", "geom_size")


@dataclass(frozen=True)
class Start:
    """Where a task puts things, in m in the frame of the arm's foot, uniformly.

    Attributes:
        goal_m: low and high corner of the goal's box.
        opening_m: each finger's position.
        object_m: low and high corner (x, y) of the object's centre; None: there is no object.
        apart_m: least horizontal distance from object to goal.
        turned_rad: largest turn of the object about the vertical.
    """

    goal_m: tuple[tuple[float, float, float], tuple[float, float, float]]
    opening_m: float
    object_m: tuple[Range, Range] | None = None
    apart_m: float = 0.0
    turned_rad: float = 0.0


def reset_arm(start: Start, batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write one lane's start: an arm at rest near home that has been commanded to stay, and new dynamics."""
    bind_fields(batch)
    pose = np.concatenate([HOME_RAD + generator.uniform(-START_RAD, START_RAD, len(JOINTS)), [start.opening_m] * 2])
    batch.bind("qpos")[lane, : len(pose)] = pose
    _randomise_motors(batch, lane, generator)
    _command(batch, lane, pose)
    goal = generator.uniform(*start.goal_m)
    batch.bind("mocap_pos")[lane, 0] = goal
    if start.object_m is None:
        _randomise_mass(batch, lane, "payload", generator.uniform(*PAYLOAD_RANGE_KG), 1.0)
    else:
        _place_object(start, batch, lane, goal, generator)


def _randomise_motors(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    model = batch.model
    batch.expand("dof_damping")[lane, : len(JOINTS)] = model.dof_damping[: len(JOINTS)] * generator.uniform(
        *DAMPING_RANGE
    )
    gain = generator.uniform(*GAIN_RANGE)
    joints = slice(0, len(JOINTS))
    batch.expand("actuator_gainprm")[lane, joints, 0] = gain * model.actuator_gainprm[joints, 0]
    batch.expand("actuator_biasprm")[lane, joints, 1] = gain * model.actuator_biasprm[joints, 1]
    batch.expand("actuator_delay")[lane] = generator.uniform(*LATENCY_RANGE_S)


def _command(batch: Batch, lane: int, pose: np.ndarray) -> None:
    """Set the servos' targets, and the commands that are still on their way: a reset makes those 0 rad."""
    model = batch.model
    batch.bind("ctrl")[lane] = pose[: model.nu]
    for actuator, target in enumerate(pose[: model.nu]):
        samples = int(model.actuator_history[actuator, 0])
        first = int(model.actuator_historyadr[actuator]) + RING_HEADER + samples
        batch.bind("history")[lane, first : first + samples] = target


def _place_object(start: Start, batch: Batch, lane: int, goal: np.ndarray, generator: np.random.Generator) -> None:
    """Stand the object on the table, apart from the goal, with a new size, mass and friction."""
    assert start.object_m is not None, "a task without an object places none"
    model, geom = batch.model, batch.model.geom("object").id
    scale = generator.uniform(*OBJECT_SCALE_RANGE)
    batch.expand("geom_size")[lane, geom] = size = scale * model.geom_size[geom]
    _randomise_mass(batch, lane, "object", generator.uniform(*OBJECT_RANGE_KG), scale)
    frictions = batch.expand("geom_friction")
    frictions[lane, model.geom("ground").id, 0] = generator.uniform(*TABLE_FRICTION_RANGE)
    frictions[lane, [model.geom(f"{side}_pad").id for side in SIDES], 0] = generator.uniform(*PAD_FRICTION_RANGE)
    height = size[2] if size[2] > 0 else size[1]  # a cylinder has radius and half height
    angle = generator.uniform(-start.turned_rad, start.turned_rad) / 2.0
    where = _apart_from(goal, start, generator)
    batch.bind("qpos")[lane, -7:] = [*where, height, np.cos(angle), 0.0, 0.0, np.sin(angle)]


def _apart_from(goal: np.ndarray, start: Start, generator: np.random.Generator) -> np.ndarray:
    """Return a place for the object; the goal's box is so much larger than `apart_m` that few draws suffice."""
    assert start.object_m is not None, "a task without an object places none"
    (x_low, x_high), (y_low, y_high) = start.object_m
    while True:
        where = generator.uniform((x_low, y_low), (x_high, y_high))
        if np.linalg.norm(where - goal[:2]) >= start.apart_m:
            return where


def _randomise_mass(batch: Batch, lane: int, body: str, mass_kg: float, scale: float) -> None:
    """Write mass, and inertia with it; the nominal body has 1 kg at scale 1."""
    body_id = batch.model.body(body).id
    batch.expand("body_mass")[lane, body_id] = mass_kg
    batch.expand("body_inertia")[lane, body_id] = batch.model.body_inertia[body_id] * mass_kg * scale**2
