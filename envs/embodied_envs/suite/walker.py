"""walker-walk: a planar biped; stand upright and walk at 1 m/s or more."""

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
from embodied_envs.suite.tolerance import tolerance

__all__ = ["WALK", "walk_reward"]

CONTROL_HZ = 40.0
STANDING_HEIGHT_M = 1.2
WALKING_SPEED = 1.0
VELOCITY_UNIT = "m/s, m/s, " + ", ".join(["rad/s"] * 7)
TORSO = 1  # body number; the world is 0
XX, XZ, ZZ = 0, 2, 8  # elements of a row-major rotation matrix


def build() -> mujoco.MjSpec:
    """Return the suite's model, unchanged."""
    return read_domain("walker")


def reset_lane(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write a random pose in the air, in any pitch."""
    batch.bind("qpos")[lane] = random_joints(batch.model, generator)


def orientations(batch: Batch) -> np.ndarray:
    """Return each body's cosine and sine of its pitch, body after body, [lane, 14]."""
    rotations = batch.bind("xmat")[:, TORSO:]
    return rotations.reshape(batch.nsim, -1, 9)[:, :, [XX, XZ]].reshape(batch.nsim, -1)


def height(batch: Batch) -> np.ndarray:
    """Return the torso's height in m, [lane]."""
    return batch.bind("xpos")[:, TORSO, 2]


def uprightness(batch: Batch) -> np.ndarray:
    """Return the cosine between the torso and the vertical, [lane]."""
    return batch.bind("xmat")[:, TORSO].reshape(batch.nsim, 9)[:, ZZ]


def speed(batch: Batch) -> np.ndarray:
    """Return the forward speed of the centre of mass, m/s, [lane]: the x of the model's only sensor."""
    return batch.bind("sensordata")[:, 0]


def walk_reward(height_m: np.ndarray, uprightness: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """Return standing, in four parts height to one upright, times one sixth plus five sixths of walking, [lane]."""
    tall = tolerance(height_m, low=STANDING_HEIGHT_M, high=np.inf, margin=STANDING_HEIGHT_M / 2)
    standing = (3.0 * tall + (1.0 + uprightness) / 2.0) / 4.0
    walking = tolerance(
        speed, low=WALKING_SPEED, high=np.inf, margin=WALKING_SPEED / 2, value_at_margin=0.5, shape="linear"
    )  # fmt: skip
    return standing * (5.0 * walking + 1.0) / 6.0


def reward(step: Step) -> np.ndarray:
    """Return the reward [lane] at the new state."""
    return walk_reward(height(step.batch), uprightness(step.batch), speed(step.batch))


WALK = RobotSpec(
    name="walker-walk",
    summary="control suite: planar biped; rewarded for standing upright and walking at 1 m/s",
    build=build,
    control_hz=CONTROL_HZ,
    episode_ticks=1000,
    sensors=(
        state_sensor("orientations", "1", CONTROL_HZ, 14, orientations, limit=1.0),
        state_sensor("height", "m", CONTROL_HZ, 1, lambda batch: height(batch)[:, None]),
        state_sensor("velocity", VELOCITY_UNIT, CONTROL_HZ, 9, qvel),
        pixels("side", CONTROL_HZ),
    ),
    privileged=(
        privileged_qvel(VELOCITY_UNIT),
        Privileged("orientations", "1", "poses", lambda batch, clean: orientations(batch)),
        Privileged("height", "m", "poses", lambda batch, clean: height(batch)[:, None]),
        Privileged("speed", "m/s", "task", lambda batch, clean: speed(batch)[:, None]),
    ),
    lane_fields=(),
    reset_lane=reset_lane,
    reward=reward,
    stage=mujoco.mjtStage.mjSTAGE_VEL,
)
