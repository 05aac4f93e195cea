from collections.abc import Callable

import numpy as np
import pytest

from embodied_envs.distractors import DISTRACTORS

ALL = {name: {} for name in DISTRACTORS} | {"shift": {"at_step": 4}}


@pytest.fixture
def everything() -> dict:
    """All distractors at once; the dynamics shift early."""
    return ALL


@pytest.fixture
def history(make_envs, actions) -> Callable[..., dict[str, np.ndarray]]:
    """Plays `ticks` random actions; returns `section/key` -> [tick, lane, ...], and reward."""

    def play(num_envs: int = 3, ticks: int = 30, seed: int = 0, **kwargs) -> dict[str, np.ndarray]:
        envs = make_envs(num_envs, **({"episode_ticks": 1000} | kwargs))
        observation, info = envs.reset(seed=seed)
        rows = [(observation, info["privileged"], np.zeros(num_envs))]
        generator = np.random.default_rng(1)
        for _ in range(ticks):
            action = generator.uniform(-1.0, 1.0, (8, 6))[:num_envs]
            observation, reward, _, _, info = envs.step(action)
            rows.append((observation, info["privileged"], reward))
        assert envs.observation_space.contains(observation)
        told = {f"observation/{key}": np.stack([row[0][key] for row in rows]) for key in rows[0][0]}
        told |= {f"privileged/{key}": np.stack([row[1][key] for row in rows]) for key in rows[0][1]}
        return told | {"reward": np.stack([row[2] for row in rows])}

    return play
