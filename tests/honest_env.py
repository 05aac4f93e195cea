"""An env that keeps the whole contract, for tests that break one part of it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

EPISODE_TICKS = 9


class HonestEnv(VectorEnv):
    """Control at 10 Hz; `fast` samples at 30 Hz and `slow` at 5 Hz, of a random walk per lane that actions push."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.metadata: dict[str, Any] = {
            "autoreset_mode": AutoresetMode.NEXT_STEP,
            "control_hz": 10.0,
            "sensors": {"fast": {"rate_hz": 30.0}, "slow": {"rate_hz": 5.0}},
        }
        box = gym.spaces.Box
        self.single_observation_space = gym.spaces.Dict(
            {
                "fast": box(-100, 100, (3, 2), np.float32),
                "fast.age_s": box(0, 1, (3,), np.float32),
                "fast.valid": box(0, 1, (3,), np.int8),
                "slow": box(-100, 100, (1,), np.float32),
                "slow.age_s": box(0, 1, (), np.float32),
            }
        )
        self.single_action_space = box(-1, 1, (2,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: Any = None, options: Any = None):
        seeds = [seed + lane for lane in range(self.num_envs)] if isinstance(seed, int) else seed
        self.generators = [np.random.default_rng(one) for one in seeds]
        self.ticks, self.walk = np.zeros(self.num_envs, int), np.zeros((self.num_envs, 2))
        self.ended = np.zeros(self.num_envs, bool)
        self.held = np.zeros((self.num_envs, 1), np.float32)
        self.start(np.ones(self.num_envs, bool))
        return self.observe(), {}

    def start(self, lanes: np.ndarray) -> None:
        self.ticks[lanes] = 0
        for lane in np.flatnonzero(lanes):
            self.walk[lane] = self.generators[lane].normal(size=2)

    def step(self, actions: np.ndarray):
        resetting = self.ended
        moves = np.stack([generator.normal(size=2) for generator in self.generators])
        self.walk = np.clip(self.walk + np.where(resetting[:, None], 0, moves + np.clip(actions, -1, 1)), -99, 99)
        self.ticks = self.ticks + 1
        self.start(resetting)
        reward = np.where(resetting, 0.0, self.walk[:, 0])
        self.ended = self.ticks >= EPISODE_TICKS
        return self.observe(), reward, np.zeros(self.num_envs, bool), self.ended.copy(), {}

    def observe(self) -> dict[str, np.ndarray]:
        due = self.ticks % 2 == 0
        self.held = np.where(due[:, None], self.walk[:, :1], self.held).astype(np.float32)
        age_s = np.tile(np.array([2 / 30, 1 / 30, 0], np.float32), (self.num_envs, 1))
        return {
            "fast": np.repeat(self.walk[:, None], 3, axis=1).astype(np.float32),
            "fast.age_s": age_s,
            "fast.valid": (age_s <= self.ticks[:, None] / 10 + 1e-6).astype(np.int8),
            "slow": self.held.copy(),
            "slow.age_s": (self.ticks % 2 / 10).astype(np.float32),
        }
