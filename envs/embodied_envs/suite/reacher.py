"""reacher-easy: a planar arm of two links; bring the finger tip into a large target."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.robot_spec import Privileged, RobotSpec, Step
from embodied_envs.suite.model_files import read_domain
from embodied_envs.suite.starts import random_joints
from embodied_envs.suite.state_sensor import pixels, privileged_qvel, qvel, state_sensor

__all__ = ["EASY"]

CONTROL_HZ = 50.0
TARGET_RADIUS_M = 0.05
TARGET_DISTANCE_M = (0.05, 0.20)
VELOCITY_UNIT = "rad/s"


def build() -> mujoco.MjSpec:
    """Return the suite's model with the easy task's target size."""
    spec = read_domain("reacher")
    spec.geom("target").size[0] = TARGET_RADIUS_M
    return spec


def reset_lane(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write a random pose and a target in a random direction at a random distance."""
    batch.bind("qpos")[lane] = random_joints(batch.model, generator)
    angle_rad, distance_m = generator.uniform(0.0, 2.0 * np.pi), generator.uniform(*TARGET_DISTANCE_M)
    target = batch.model.geom("target").id
    batch.expand("geom_pos")[lane, target, :2] = distance_m * np.sin(angle_rad), distance_m * np.cos(angle_rad)


def to_target(batch: Batch) -> np.ndarray:
    """Return the vector from finger tip to target in the plane, m, [lane, 2]."""
    positions, model = batch.bind("geom_xpos"), batch.model
    return positions[:, model.geom("target").id, :2] - positions[:, model.geom("finger").id, :2]


def reward(step: Step) -> np.ndarray:
    """Return 1 where tip and target, both spheres, touch or overlap, [lane]."""
    model = step.batch.model
    reach_m = model.geom("target").size[0] + model.geom("finger").size[0]
    return (np.linalg.norm(to_target(step.batch), axis=1) <= reach_m).astype(np.float64)


EASY = RobotSpec(
    name="reacher-easy",
    summary="control suite: planar arm of two links; rewarded while its tip is in the target",
    build=build,
    control_hz=CONTROL_HZ,
    episode_ticks=1000,
    sensors=(
        state_sensor("position", "rad", CONTROL_HZ, 2, lambda batch: batch.bind("qpos")),
        state_sensor("to_target", "m", CONTROL_HZ, 2, to_target, limit=1.0),
        state_sensor("velocity", VELOCITY_UNIT, CONTROL_HZ, 2, qvel),
        pixels("fixed", CONTROL_HZ),
    ),
    privileged=(
        privileged_qvel(VELOCITY_UNIT),
        Privileged("to_target", "m", "task", lambda batch, clean: to_target(batch)),
    ),
    lane_fields=("geom_pos",),
    reset_lane=reset_lane,
    reward=reward,
    stage=mujoco.mjtStage.mjSTAGE_POS,
)
