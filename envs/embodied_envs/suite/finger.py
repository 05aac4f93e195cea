"""finger-spin: a planar finger of two links; keep a free body spinning."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.robots.robot_spec import Privileged, RobotSpec, Step
from embodied_envs.suite.model_files import read_domain
from embodied_envs.suite.starts import draw_until_free, random_joints
from embodied_envs.suite.state_sensor import pixels, privileged_qvel, qvel, state_sensor

__all__ = ["SPIN", "spin_reward"]

CONTROL_HZ = 50.0
SPIN_DAMPING = 0.03
SPIN_SPEED = -15.0
VELOCITY_UNIT = "rad/s, rad/s, rad/s"
SPINNER = 2  # joint number, after the finger's two


def build() -> mujoco.MjSpec:
    """Return the suite's model as the spin task changes it: little friction, and the turn task's marks unseen."""
    spec = read_domain("finger")
    spec.joint("hinge").damping[0] = SPIN_DAMPING
    for name in ("target", "tip"):
        spec.site(name).rgba[3] = 0.0
    return spec


def reset_lane(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write a random pose in which nothing touches."""
    draw_until_free(batch, lane, lambda: random_joints(batch.model, generator))


def position(batch: Batch) -> np.ndarray:
    """Return the finger's two angles in rad, and x and z of the spinner's tip from its hinge in m, [lane, 4]."""
    qpos = batch.bind("qpos")
    length_m = batch.model.site("tip").pos[2]
    angle_rad = qpos[:, SPINNER]
    return np.stack([*qpos[:, :SPINNER].T, -length_m * np.sin(angle_rad), length_m * np.cos(angle_rad)], axis=1)


def touch(batch: Batch) -> np.ndarray:
    """Return log(1 + force in N) of the two touch sensors of the finger tip, [lane, 2].

    As in the suite, forces are those of the last substep: they belong to the state before it.
    """
    first = int(batch.model.sensor("touchtop").adr[0])
    return np.log1p(batch.bind("sensordata")[:, first : first + 2])


def spin_reward(spin: np.ndarray) -> np.ndarray:
    """Return 1 where the spinner turns at 15 rad/s or faster, in its negative direction, [lane]."""
    return (spin <= SPIN_SPEED).astype(np.float64)


def reward(step: Step) -> np.ndarray:
    """Return the reward [lane] at the new state."""
    return spin_reward(step.batch.bind("qvel")[:, SPINNER])


SPIN = RobotSpec(
    name="finger-spin",
    summary="control suite: finger of two links beside a spinner; rewarded while that spins at 15 rad/s",
    build=build,
    control_hz=CONTROL_HZ,
    episode_ticks=1000,
    sensors=(
        state_sensor("position", "rad, rad, m, m", CONTROL_HZ, 4, position),
        state_sensor("velocity", VELOCITY_UNIT, CONTROL_HZ, 3, qvel),
        state_sensor("touch", "log N", CONTROL_HZ, 2, touch),
        pixels("cam0", CONTROL_HZ),
    ),
    privileged=(
        privileged_qvel(VELOCITY_UNIT),
        Privileged("pose", "rad, rad, m, m", "poses", lambda batch, clean: position(batch)),
        Privileged("contact", "1", "contacts", lambda batch, clean: touch(batch) > 0.0),
    ),
    lane_fields=(),
    reset_lane=reset_lane,
    reward=reward,
)
