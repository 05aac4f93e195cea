"""HalfCheetah-v5 as a RobotSpec: Gymnasium's own model, observation, reward and frame skip, for a fair race."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.readers import Reading
from embodied_envs.robots.robot_spec import RobotSpec, Step
from embodied_envs.sensors import Computed, Sensor

FRAME_SKIP = 5
CONTROL_HZ = 20.0
RESET_NOISE = 0.1
CONTROL_COST = 0.1


def _build() -> mujoco.MjSpec:
    assets = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"
    return mujoco.MjSpec.from_file(str(assets / "half_cheetah.xml"))


@dataclass
class _StateReader:
    qpos: np.ndarray
    qvel: np.ndarray

    def read(self, is_first: np.ndarray, cutoff_s: np.ndarray | None) -> Reading:
        return Reading(np.concatenate([self.qpos[:, 1:], self.qvel], axis=1).astype(np.float32))


def _state_reader(batch: Batch, sensor: Sensor) -> _StateReader:
    return _StateReader(batch.bind("qpos"), batch.bind("qvel"))


def _reset_lane(batch: Batch, lane: int, generator: np.random.Generator) -> None:
    qpos, qvel = batch.bind("qpos")[lane], batch.bind("qvel")[lane]
    qpos += generator.uniform(-RESET_NOISE, RESET_NOISE, qpos.size)
    qvel[:] = RESET_NOISE * generator.standard_normal(qvel.size)


def _reward(step: Step) -> np.ndarray:
    speed = (step.batch.bind("qpos")[:, 0] - step.qpos_before[:, 0]) / step.period_s
    return speed - CONTROL_COST * np.square(step.action).sum(axis=1)


HALF_CHEETAH = RobotSpec(
    name="HalfCheetah-v5",
    summary="Gymnasium's HalfCheetah-v5.",
    build=_build,
    control_hz=CONTROL_HZ,
    episode_ticks=1000,
    sensors=(Sensor("state", "vector", "1", CONTROL_HZ, (17,), 0.0, -np.inf, np.inf, Computed(_state_reader)),),
    privileged=(),
    lane_fields=(),
    reset_lane=_reset_lane,
    reward=_reward,
)
