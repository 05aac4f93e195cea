"""Tensors of an env as arrays; everything else untouched."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from counting_env import make_counting
from gymnasium.vector import AutoresetMode, VectorWrapper

from embodied_ssl.sources.host_env import on_host
from embodied_ssl.sources.simulation import stream_spec


class Tensors(VectorWrapper):
    """The counting env with tensors where it has numeric arrays."""

    def reset(self, **options) -> Any:
        observation, _ = self.env.reset(**options)
        return {key: torch.from_numpy(value.copy()) for key, value in observation.items()}, {
            "truth": {"x": torch.ones(3)}
        }

    def step(self, actions) -> Any:
        observation, reward, *flags, info = self.env.step(actions)
        observation = {key: torch.from_numpy(value.copy()) for key, value in observation.items()}
        return observation, torch.from_numpy(reward), *map(torch.from_numpy, flags), info


def test_tensors_become_the_arrays_that_they_hold():
    plain = make_counting(AutoresetMode.NEXT_STEP)
    env = on_host(Tensors(make_counting(AutoresetMode.NEXT_STEP)))
    assert stream_spec(env) == stream_spec(plain)
    assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    observation, info = env.reset(seed=0)
    assert isinstance(info["truth"]["x"], np.ndarray)
    expected, _ = plain.reset(seed=0)
    for _ in range(10):
        for key, value in expected.items():
            assert isinstance(observation[key], np.ndarray)
            np.testing.assert_array_equal(observation[key], value)
        observation, *rest = env.step(np.ones((3, 2)))
        expected, *other = plain.step(np.ones((3, 2)))
        for one, two in zip(rest[:3], other[:3], strict=True):
            assert isinstance(one, np.ndarray)
            np.testing.assert_array_equal(one, two)
