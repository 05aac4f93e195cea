from collections.abc import Callable, Iterator

import gymnasium as gym
import numpy as np
import pytest

from embodied_envs.batch_vector_env import BatchVectorEnv

RUNNER = "embodied_envs:Embodied/Runner-v0"


@pytest.fixture
def make_envs() -> Iterator[Callable[..., BatchVectorEnv]]:
    """Makes vector environments (no camera unless asked, ray back end) and closes them afterwards."""
    made = []

    def make(num_envs: int = 3, **kwargs) -> BatchVectorEnv:
        defaults = {"cameras": False, "camera_backend": "ray", "num_threads": 2, "episode_ticks": 20}
        envs = gym.make_vec(RUNNER, num_envs=num_envs, **(defaults | kwargs))
        assert isinstance(envs, BatchVectorEnv)
        made.append(envs)
        return envs

    yield make
    for envs in made:
        envs.close()


@pytest.fixture
def actions() -> np.ndarray:
    """Fifty ticks of random actions for eight lanes: [tick, lane, action]."""
    return np.random.default_rng(0).uniform(-1, 1, (50, 8, 6)).astype(np.float32)


@pytest.fixture
def run() -> Callable[..., list]:
    """Plays actions [tick, lane, action]; returns per tick (observation, reward, terminated, truncated, info)."""

    def play(envs, actions, seed=None):
        ticks = []
        if seed is not None:
            observation, info = envs.reset(seed=seed)
            ticks.append((observation, None, None, None, info))
        return ticks + [envs.step(action) for action in actions]

    return play


@pytest.fixture
def assert_same() -> Callable[..., None]:
    """Asserts that two nested structures of arrays hold the same bits."""

    def check(a, b):
        assert type(a) is type(b)
        if isinstance(a, dict):
            assert a.keys() == b.keys()
            for key in a:
                check(a[key], b[key])
        elif isinstance(a, list | tuple):
            assert len(a) == len(b)
            for x, y in zip(a, b, strict=True):
                check(x, y)
        else:
            np.testing.assert_array_equal(a, b)

    return check
