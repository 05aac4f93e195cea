"""Arm: a table-top arm of six joints with a soft two-finger gripper, in three tasks: reach, push and pick.

An action moves the targets of position servos: six joint increments, of at most 0.08 rad (arm) or 0.12 rad (wrist) a
tick, and the gripper's, at most 8 mm a finger and tick, positive opens. Targets stay within 0.2 rad of the joints, so a
blocked arm does not wind up. A zero action holds the pose. Between command and motor lies the lane's action latency.

Rewards are bounded per tick and staged; all distances are shaped by 1 - tanh, with a bonus at the goal.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from functools import partial

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.arm_gripper import OPEN_M
from embodied_envs.robots.arm_model import JOINTS, ArmScene
from embodied_envs.robots.arm_privileged import (
    arm_privileged,
    finger_forces,
    goal_position,
    grip_position,
    object_position,
)
from embodied_envs.robots.arm_resets import OBJECT_FIELDS, REACH_FIELDS, Start, reset_arm
from embodied_envs.robots.arm_sensors import ARM_SENSORS, CONTROL_HZ, build_arm
from embodied_envs.robots.robot_spec import RobotSpec, Step

__all__ = ["PICK", "PUSH", "REACH", "STEPS", "arm_control", "lifted_height"]

STEPS = np.array([0.08, 0.08, 0.08, 0.12, 0.12, 0.12, 0.008])  # rad, and m for the gripper, per tick
LEASHES = np.array([0.2] * len(JOINTS) + [0.03])
ACTION_COST = 0.02
NEAR_M = 0.03
HOLD_N = 0.5
LIFTED_M = 0.01


def arm_control(batch: Batch, action: np.ndarray) -> np.ndarray:
    """Return the servos' new targets [lane, 7] from increments in [-1, 1], [lane, 7]."""
    target = batch.bind("ctrl") + action * STEPS
    now = batch.bind("qpos")[:, : len(STEPS)]
    low, high = batch.model.actuator_ctrlrange.T
    return np.clip(np.clip(target, now - LEASHES, now + LEASHES), low, high)


def _near(distance_m: np.ndarray, per_m: float) -> np.ndarray:
    """Return 1 at distance 0, falling to 0."""
    return 1.0 - np.tanh(per_m * distance_m)


def _cost(step: Step) -> np.ndarray:
    return ACTION_COST * np.square(step.action).mean(axis=1)


def reach_distance(batch: Batch) -> np.ndarray:
    """Return how far the point between the pads is from the goal, in m, [lane]."""
    return np.linalg.norm(grip_position(batch) - goal_position(batch), axis=1)


def push_distance(batch: Batch) -> np.ndarray:
    """Return how far the object is from the goal on the table, in m, [lane]."""
    return np.linalg.norm((object_position(batch) - goal_position(batch))[:, :2], axis=1)


def pick_distance(batch: Batch) -> np.ndarray:
    """Return how far the object is from the goal in the air, in m, [lane]."""
    return np.linalg.norm(object_position(batch) - goal_position(batch), axis=1)


def reach_reward(step: Step) -> np.ndarray:
    """Return closeness in [0, 1], plus 1 within 3 cm of the goal, minus the action's cost of at most 0.02, [lane]."""
    distance = reach_distance(step.batch)
    return _near(distance, 4.0) + (distance < NEAR_M) - _cost(step)


def push_reward(step: Step) -> np.ndarray:
    """Return 0.2 for the hand near the object, up to 1 for the object near the goal, 1 within 3 cm of it, [lane]."""
    distance = push_distance(step.batch)
    hand = np.linalg.norm(grip_position(step.batch) - object_position(step.batch), axis=1)
    return 0.2 * _near(hand, 5.0) + _near(distance, 6.0) + (distance < NEAR_M) - _cost(step)


def pick_reward(step: Step) -> np.ndarray:
    """Return up to 2.75: 0.25 for nearness, 0.25 for a grasp, then lifted, up to 1.25 at the goal and 1 on it, [lane].

    Height counts only while both fingers hold the object: throwing it pays nothing.
    """
    batch = step.batch
    hand = np.linalg.norm(grip_position(batch) - object_position(batch), axis=1)
    held = (finger_forces(batch) > HOLD_N).all(axis=1)
    lifted = held & (lifted_height(batch) > LIFTED_M)
    distance = pick_distance(batch)
    carried = 0.25 + _near(distance, 5.0) + (distance < NEAR_M)
    return 0.25 * _near(hand, 6.0) + 0.25 * held + lifted * carried - _cost(step)


def lifted_height(batch: Batch) -> np.ndarray:
    """Return how far the box's centre is above where it is when the box lies on the table, in m, [lane]."""
    half = batch.expand("geom_size")[:, batch.model.geom("object").id, 2]
    return object_position(batch)[:, 2] - half


_REACH_START = Start(goal_m=((0.30, -0.30, 0.08), (0.56, 0.30, 0.40)), opening_m=0.02)
_PUSH_START = Start(
    goal_m=((0.36, -0.20, 0.001), (0.54, 0.20, 0.001)), opening_m=0.0, object_m=((0.36, 0.52), (-0.18, 0.18)),
    apart_m=0.12,
)  # fmt: skip
_PICK_START = Start(
    goal_m=((0.36, -0.18, 0.12), (0.52, 0.18, 0.26)), opening_m=OPEN_M, object_m=((0.36, 0.52), (-0.18, 0.18)),
    turned_rad=np.pi / 2,
)  # fmt: skip
_COMMON = {
    "control_hz": CONTROL_HZ,
    "sensors": ARM_SENSORS,
    "control": arm_control,
    "stage": mujoco.mjtStage.mjSTAGE_VEL,
}

REACH = RobotSpec(
    name="ArmReach",
    summary="Six-joint arm with a gripper; closeness of the fingertips to a marker in the air",
    build=partial(build_arm, ArmScene(object_type=None)),
    episode_ticks=150,
    privileged=arm_privileged(False, reach_distance),
    lane_fields=REACH_FIELDS,
    reset_lane=partial(reset_arm, _REACH_START),
    reward=reach_reward,
    **_COMMON,
)
PUSH = RobotSpec(
    name="ArmPush",
    summary="Six-joint arm; a puck of unknown mass and friction pushed to a spot on the table",
    build=partial(build_arm, ArmScene("cylinder", (0.04, 0.04, 0.03), goal_flat=True)),
    episode_ticks=250,
    privileged=arm_privileged(True, push_distance),
    lane_fields=OBJECT_FIELDS,
    reset_lane=partial(reset_arm, _PUSH_START),
    reward=push_reward,
    **_COMMON,
)
PICK = RobotSpec(
    name="ArmPick",
    summary="Six-joint arm with tactile gripper; a box of unknown mass and size grasped and carried to a marker",
    build=partial(build_arm, ArmScene("box", (0.012, 0.026, 0.024))),
    episode_ticks=250,
    privileged=arm_privileged(True, pick_distance, grips=True),
    lane_fields=OBJECT_FIELDS,
    reset_lane=partial(reset_arm, _PICK_START),
    reward=pick_reward,
    **_COMMON,
)
