"""cartpole-swingup: a pole hangs from a cart; swing it up and balance it, with the cart at the centre."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.robot_spec import Privileged, RobotSpec, Step
from embodied_envs.suite.model_files import read_domain
from embodied_envs.suite.state_sensor import pixels, privileged_qvel, qvel, state_sensor
from embodied_envs.suite.tolerance import tolerance

__all__ = ["SWINGUP", "swingup_reward"]

CONTROL_HZ = 100.0
START_STD = 0.01
VELOCITY_UNIT = "m/s, rad/s"


def build() -> mujoco.MjSpec:
    """Return the suite's model, unchanged."""
    return read_domain("cartpole")


def reset_lane(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write a pole that hangs almost still below a cart almost at the centre."""
    noise = START_STD * generator.standard_normal(4)
    batch.bind("qpos")[lane] = noise[:2] + np.array([0.0, np.pi])
    batch.bind("qvel")[lane] = noise[2:]


def position(batch: Batch) -> np.ndarray:
    """Return the cart's position in m and the pole's cosine and sine, 0 rad = upright, [lane, 3]."""
    cart_m, angle_rad = batch.bind("qpos").T
    return np.stack([cart_m, np.cos(angle_rad), np.sin(angle_rad)], axis=1)


def swingup_reward(cart_m: np.ndarray, cosine: np.ndarray, spin: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Return upright times (mostly) small control, small angular velocity and a centred cart, all [lane]."""
    upright = (1.0 + cosine) / 2.0
    gentle = (4.0 + tolerance(control, margin=1.0, value_at_margin=0.0, shape="quadratic")) / 5.0
    slow = (1.0 + tolerance(spin, margin=5.0)) / 2.0
    centred = (1.0 + tolerance(cart_m, margin=2.0)) / 2.0
    return upright * gentle * slow * centred


def reward(step: Step) -> np.ndarray:
    """Return the reward [lane] at the new state, for the action that led there."""
    qpos, spin = step.batch.bind("qpos"), step.batch.bind("qvel")[:, 1]
    return swingup_reward(qpos[:, 0], np.cos(qpos[:, 1]), spin, step.action[:, 0])


SWINGUP = RobotSpec(
    name="cartpole-swingup",
    summary="control suite: cart with a hanging pole; rewarded for holding it upright at the centre",
    build=build,
    control_hz=CONTROL_HZ,
    episode_ticks=1000,
    sensors=(
        state_sensor("position", "m, 1, 1", CONTROL_HZ, 3, position),
        state_sensor("velocity", VELOCITY_UNIT, CONTROL_HZ, 2, qvel),
        pixels("fixed", CONTROL_HZ),
    ),
    privileged=(
        privileged_qvel(VELOCITY_UNIT),
        Privileged("cart_and_pole", "m, 1, 1", "poses", lambda batch, clean: position(batch)),
    ),
    lane_fields=(),
    reset_lane=reset_lane,
    reward=reward,
)
