"""Scripted policies for the arm's tasks, from privileged state: references for returns, and demonstrations.

Each is a function `batch -> action [lane, 7]` without memory: what to do next follows from where things are. The hand
is steered by damped least squares on its pose error, with the fingers pointing down. They use positions only: those
are right whenever they are called, while the engine's contact values are not once a camera has been drawn by rays.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.arm import STEPS
from embodied_envs.robots.arm_model import JOINTS
from embodied_envs.robots.arm_privileged import (
    goal_position,
    grip_axes,
    grip_position,
    object_axes,
    object_position,
)

__all__ = ["pick_action", "push_action", "reach_action", "steer"]

DAMPING = 0.05
TURN_WEIGHT_M = 0.15  # metres of error that one radian counts as
SPEED_M = 0.04  # largest approach per tick
TRAVEL_Z_M = 0.15
PRESSING_M = 0.013
_GRIPPER = len(JOINTS)
DOWN = np.array([0.0, 0.0, -1.0])


def steer(batch: Batch, target_m: np.ndarray, opening: np.ndarray, travel: np.ndarray | None = None) -> np.ndarray:
    """Return the action that moves the point between the pads towards a target.

    Args:
        batch: the simulation.
        target_m: [lane, 3].
        opening: the gripper's action [lane], -1 closes.
        travel: direction [lane, 3] that the fingers' travel is turned to, as a line; None: any.
    """
    error = target_m - grip_position(batch)
    length = np.linalg.norm(error, axis=1, keepdims=True)
    error = error * np.minimum(1.0, SPEED_M / np.maximum(length, 1e-9))
    axes = grip_axes(batch)
    turn = np.cross(axes[:, :, 2], DOWN)
    if travel is not None:
        turn = turn + _turn_onto(axes[:, :, 1], travel)
    wanted = batch.bind("qpos")[:, : len(JOINTS)] + _joint_step(batch, error, turn)
    # Servos lag behind their targets: the increment is counted from the present target.
    increments = (wanted - batch.bind("ctrl")[:, : len(JOINTS)]) / STEPS[: len(JOINTS)]
    return np.concatenate([np.clip(increments, -1.0, 1.0), opening[:, None]], axis=1)


def _turn_onto(axis: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Return the rotation vector [lane, 3] that turns `axis` onto the line, the shorter way round."""
    sign = np.sign(np.einsum("li,li->l", axis, line) + 1e-9)[:, None]
    return np.cross(axis, sign * line)


def _joint_step(batch: Batch, error_m: np.ndarray, turn_rad: np.ndarray) -> np.ndarray:
    """Return damped least squares joint steps [lane, joint]."""
    along, about = batch.jac(batch.model.body("hand").id, grip_position(batch))
    jacobian = np.concatenate([along, TURN_WEIGHT_M * about], axis=1)[:, :, : len(JOINTS)]
    goal = np.concatenate([error_m, TURN_WEIGHT_M * turn_rad], axis=1)
    square = jacobian @ jacobian.transpose(0, 2, 1) + DAMPING**2 * np.eye(6)
    return (jacobian.transpose(0, 2, 1) @ np.linalg.solve(square, goal[:, :, None]))[:, :, 0]


def reach_action(batch: Batch) -> np.ndarray:
    """Go straight to the goal."""
    return steer(batch, goal_position(batch), np.zeros(batch.nsim))


def push_action(batch: Batch) -> np.ndarray:
    """Go over the puck to its far side, down, and push it with closed fingers towards the goal."""
    puck, grip = object_position(batch), grip_position(batch)
    radius = batch.expand("geom_size")[:, batch.model.geom("object").id, :1]
    gap = (goal_position(batch) - puck) * [1.0, 1.0, 0.0]
    distance = np.linalg.norm(gap, axis=1, keepdims=True)
    ahead = gap / np.maximum(distance, 1e-9)
    behind = puck - ahead * (radius + 0.035)
    low = grip[:, 2:] < 0.06
    ready = _is_behind(grip - behind, ahead, low)
    target = np.where(ready & low, puck - ahead * (radius + 0.008 - np.minimum(distance, 0.05)), behind)
    target[:, 2] = np.where(ready[:, 0], 0.035, TRAVEL_Z_M)
    # First straight up, then across: what is dragged over the puck takes it along.
    rising = ~ready & (grip[:, 2:] < TRAVEL_Z_M - 0.04)
    target[:, :2] = np.where(rising, grip[:, :2], target[:, :2])
    return steer(batch, np.where(distance < 0.01, grip, target), -np.ones(batch.nsim))


def _is_behind(offset_m: np.ndarray, ahead: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return whether the hand may go down, or push on, at `offset_m` [lane, 3] from behind the puck, [lane, 1]."""
    offset = offset_m * [1.0, 1.0, 0.0]
    forward = np.einsum("li,li->l", offset, ahead)[:, None]
    sideways = np.linalg.norm(offset - ahead * forward, axis=1, keepdims=True)
    return (sideways < np.where(low, 0.020, 0.012)) & (forward < np.where(low, 0.05, 0.012))


def pick_action(batch: Batch) -> np.ndarray:
    """Go over the box with open fingers along its faces, down, close, and carry it to the goal."""
    box, grip = object_position(batch), grip_position(batch)
    between = np.linalg.norm(grip - box, axis=1)
    over = np.linalg.norm((grip - box)[:, :2], axis=1) < 0.012
    # The servo presses when its target lies well inside of where the fingers are stopped.
    carry = (between < 0.02) & (batch.bind("qpos")[:, _GRIPPER] - batch.bind("ctrl")[:, _GRIPPER] > PRESSING_M)
    target = box.copy()
    target[:, 2] += np.where(over, 0.0, 0.10)
    target = np.where(carry[:, None], grip + goal_position(batch) - box, target)
    return steer(batch, target, np.where((between < 0.012) | carry, -1.0, 1.0), object_axes(batch)[:, :, 1])
