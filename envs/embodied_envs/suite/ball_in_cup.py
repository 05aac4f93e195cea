"""ball-in-cup-catch: a ball hangs on a string from a cup that moves in a plane; swing it up and into the cup."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.robot_spec import Privileged, RobotSpec, Step
from embodied_envs.suite.model_files import read_domain
from embodied_envs.suite.starts import draw_until_free
from embodied_envs.suite.state_sensor import pixels, privileged_qvel, qvel, state_sensor

__all__ = ["CATCH"]

CONTROL_HZ = 50.0
BALL_X_M = (-0.2, 0.2)
BALL_Z_M = (0.2, 0.5)
VELOCITY_UNIT = "m/s"
X_AND_Z = [0, 2]


def build() -> mujoco.MjSpec:
    """Return the suite's model, unchanged."""
    return read_domain("ball_in_cup")


def reset_lane(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write a cup at rest and a ball at a random place where it touches nothing."""
    low, high = np.transpose([(0.0, 0.0), (0.0, 0.0), BALL_X_M, BALL_Z_M])
    draw_until_free(batch, lane, lambda: generator.uniform(low, high))


def ball_to_target(batch: Batch) -> np.ndarray:
    """Return x and z from the ball to the middle of the cup, m, [lane, 2].

    Cup and ball only slide, so positions are offsets: no forward pass is needed.
    """
    model, qpos = batch.model, batch.bind("qpos")
    at_zero = model.body("cup").pos + model.site("target").pos - model.body("ball").pos
    return at_zero[X_AND_Z] + qpos[:, :2] - qpos[:, 2:]


def reward(step: Step) -> np.ndarray:
    """Return 1 where the whole ball is inside the cup, [lane]."""
    model = step.batch.model
    room_m = model.site("target").size[X_AND_Z] - model.geom("ball").size[0]
    return (np.abs(ball_to_target(step.batch)) < room_m).all(axis=1).astype(np.float64)


CATCH = RobotSpec(
    name="ball-in-cup-catch",
    summary="control suite: cup with a ball on a string; rewarded while the ball is in the cup",
    build=build,
    control_hz=CONTROL_HZ,
    episode_ticks=1000,
    sensors=(
        state_sensor("position", "m", CONTROL_HZ, 4, lambda batch: batch.bind("qpos")),
        state_sensor("velocity", VELOCITY_UNIT, CONTROL_HZ, 4, qvel),
        pixels("cam0", CONTROL_HZ),
    ),
    privileged=(
        privileged_qvel(VELOCITY_UNIT),
        Privileged("ball_to_target", "m", "task", lambda batch, clean: ball_to_target(batch)),
    ),
    lane_fields=(),
    reset_lane=reset_lane,
    reward=reward,
)
