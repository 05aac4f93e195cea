"""cheetah-run: a planar two-legged runner; run at 10 m/s."""

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

__all__ = ["RUN", "run_reward"]

CONTROL_HZ = 100.0
TARGET_SPEED = 10.0
SETTLING_STEPS = 200
VELOCITY_UNIT = "m/s, m/s, " + ", ".join(["rad/s"] * 7)
POSITION_UNIT = "m, " + ", ".join(["rad"] * 7)


def build() -> mujoco.MjSpec:
    """Return the suite's model with the total mass that its file asks for.

    The file asks by `settotalmass`, which MuJoCo 4 deprecates with a warning; scaled densities give the same masses.
    """
    spec = read_domain("cheetah")
    total_kg = spec.compiler.settotalmass
    spec.compiler.settotalmass = -1
    scale = total_kg / spec.compile().body_mass.sum()
    for geom in spec.geoms:
        geom.density *= scale
    return spec


def reset_lane(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    """Write a random pose that has fallen onto the ground and come to rest, two seconds without control."""
    model, qpos = batch.model, batch.bind("qpos")
    limited = model.jnt_limited == 1
    qpos[lane, limited] = generator.uniform(*model.jnt_range[limited].T)
    batch.step([lane], nstep=SETTLING_STEPS)
    batch.bind("time")[lane] = 0.0


def position(batch: Batch) -> np.ndarray:
    """Return height, pitch and joint angles [lane, 8]; the way travelled is left out."""
    return batch.bind("qpos")[:, 1:]


def speed(batch: Batch) -> np.ndarray:
    """Return the forward speed of the centre of mass, m/s, [lane]: the x of the model's only sensor."""
    return batch.bind("sensordata")[:, 0]


def run_reward(speed: np.ndarray) -> np.ndarray:
    """Return the share of 10 m/s, at most 1, [lane]."""
    return tolerance(
        speed, low=TARGET_SPEED, high=np.inf, margin=TARGET_SPEED, value_at_margin=0.0, shape="linear"
    )  # fmt: skip


def reward(step: Step) -> np.ndarray:
    """Return the reward [lane] at the new state."""
    return run_reward(speed(step.batch))


RUN = RobotSpec(
    name="cheetah-run",
    summary="control suite: planar runner with six motors; rewarded for forward speed up to 10 m/s",
    build=build,
    control_hz=CONTROL_HZ,
    episode_ticks=1000,
    sensors=(
        state_sensor("position", POSITION_UNIT, CONTROL_HZ, 8, position),
        state_sensor("velocity", VELOCITY_UNIT, CONTROL_HZ, 9, qvel),
        pixels("side", CONTROL_HZ),
    ),
    privileged=(
        privileged_qvel(VELOCITY_UNIT),
        Privileged("pose", POSITION_UNIT, "poses", lambda batch, clean: position(batch)),
        Privileged("speed", "m/s", "task", lambda batch, clean: speed(batch)[:, None]),
    ),
    lane_fields=(),
    reset_lane=reset_lane,
    reward=reward,
    stage=mujoco.mjtStage.mjSTAGE_VEL,
)
