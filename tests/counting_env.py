"""A tiny real Gymnasium env whose observation says which episode and tick it is, for tests of sources and streams."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv


class CountingEnv(gym.Env):
    """Observation ``[lane, episode, tick]``; episodes of ``2 + (lane + episode) % 4`` ticks end in turn both ways."""

    metadata = {"control_hz": 10.0}  # noqa: RUF012

    def __init__(self, lane: int, as_dict: bool) -> None:
        box = gym.spaces.Box(-1e3, 1e3, (3,), np.float32)
        self.observation_space = gym.spaces.Dict({"count": box, "twice": box}) if as_dict else box
        self.action_space = gym.spaces.Box(np.array([-2, 0], np.float32), np.array([2, 10], np.float32))
        self.lane, self.episode, self.tick, self.as_dict = lane, -1, 0, as_dict

    def _observation(self):
        count = np.array([self.lane, self.episode, self.tick], np.float32)
        return {"count": count, "twice": 2 * count} if self.as_dict else count

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.tick = self.episode + 1, 0
        return self._observation(), {}

    def step(self, action):
        self.tick += 1
        ended = self.tick >= 2 + (self.lane + self.episode) % 4
        cut = ended and self.episode % 2 == 1
        return self._observation(), float(self.tick + action[0]), ended and not cut, cut, {}


def make_counting(mode: AutoresetMode, num_envs: int = 3, as_dict: bool = True) -> SyncVectorEnv:
    return SyncVectorEnv([lambda i=i: CountingEnv(i, as_dict) for i in range(num_envs)], autoreset_mode=mode)


def action_of(num_envs: int, observation) -> np.ndarray:
    """An action that depends on the observation only, so that all modes play the same episodes."""
    count = observation["count"] if isinstance(observation, dict) else observation
    return np.stack([np.sin(count[:, 2] + count[:, 1]) * 2, 5 + 5 * np.cos(count[:, 2])], 1).astype(np.float32)


def play(envs: SyncVectorEnv, mode: AutoresetMode, num_steps: int, reset, observe) -> None:
    """Step ``envs`` and hand everything to ``reset(observation, info, mask)`` and ``observe(action, *outcome)``."""
    observation, info = envs.reset(seed=0)
    reset(observation, info, None)
    for _ in range(num_steps):
        action = action_of(envs.num_envs, observation)
        observation, reward, terminated, truncated, info = envs.step(action)
        observe(action, observation, reward, terminated, truncated, info)
        ended = terminated | truncated
        if mode == AutoresetMode.DISABLED and ended.any():
            observation, info = envs.reset(options={"reset_mask": ended})
            reset(observation, info, ended)
