"""Lanes of an arm without an environment around them, and two policies that know nothing."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied_envs.native_history import NativeHistory
from embodied_envs.robots.arm_gripper import TAXELS
from embodied_envs.robots.arm_sensors import CONTROL_HZ
from embodied_envs.robots.robot_spec import RobotSpec, Step
from embodied_envs.tactile import tactile_images

SUBSTEPS = 10


@dataclass
class Arms:
    """Lanes of an arm, without an environment around them."""

    robot: RobotSpec
    num_lanes: int
    seed: int = 0

    def __post_init__(self):
        self.batch = Batch(self.robot.build().compile(), self.num_lanes, 1)
        for field in self.robot.lane_fields:
            self.batch.expand(field)
        self.batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
        for lane in range(self.num_lanes):
            self.robot.reset_lane(self.batch, lane, np.random.default_rng((self.seed, lane)))
        self.batch.set_const()
        self.batch.forward()

    def act(self, action: np.ndarray) -> np.ndarray:
        """One tick; returns rewards [lane]."""
        action = np.clip(action, -1.0, 1.0)
        before = self.batch.bind("qpos").copy()
        self.batch.bind("ctrl")[:] = self.robot.control(self.batch, action)
        self.batch.step(nstep=SUBSTEPS, stage=self.robot.stage)
        return self.robot.reward(Step(self.batch, before, action, 1.0 / CONTROL_HZ))

    def play(self, policy, num_ticks: int) -> np.ndarray:
        """Returns rewards [tick, lane]."""
        rewards = np.array([self.act(policy(self.batch)) for _ in range(num_ticks)])
        assert not self.batch.warning[:, :, 1].any()
        return rewards

    def images(self, side: str) -> np.ndarray:
        """The newest tactile image of every lane."""
        samples = NativeHistory(self.batch, (f"{side}_tactile",)).read()[1]
        return tactile_images(TAXELS, samples)[:, -1]

    def privileged(self) -> dict[str, np.ndarray]:
        return {entry.key: np.asarray(entry.read(self.batch, {})) for entry in self.robot.privileged}


def still(batch: Batch) -> np.ndarray:
    return np.zeros((batch.nsim, 7))


def flail(seed: int = 0):
    rng = np.random.default_rng(seed)
    return lambda batch: rng.uniform(-1.0, 1.0, (batch.nsim, 7))
