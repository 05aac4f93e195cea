"""The learner on real envs: any Gymnasium vector env, and nothing privileged reaches it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import gymnasium as gym
import numpy as np
import pytest
import torch
from learners import assert_bits_equal, small_config, tensors_of

from embodied_ssl.config import EncoderConfig
from embodied_ssl.errors import ConfigError
from embodied_ssl.learner.online import OnlineLearner

RUNNER = "embodied_envs:Embodied/Runner-v0"


def learn(learner, envs, num_steps, change_info=lambda info: info, seed=0):
    """The loop of the design, with random actions; returns the embeddings of the last tick."""
    stream, rng = learner.stream(envs), np.random.default_rng(seed)
    observation, info = envs.reset(seed=seed)
    stream.reset(observation, change_info(info))
    for _ in range(num_steps):
        action = stream.ticks.to_env(rng.uniform(-1, 1, (envs.num_envs, learner.spec.action_size)))
        *outcome, info = envs.step(action)
        stream.observe(action, *outcome, change_info(info))
        learner.update()
    return stream.embed()


@pytest.mark.parametrize(
    "options",
    [{}, {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}}],
)
def test_any_gymnasium_env_teaches(options):
    envs = gym.make_vec("Pendulum-v1", num_envs=3, **options)
    learner = OnlineLearner.from_env(
        envs, objectives=["temporal_contrast", "forward_prediction", "spread"], config=small_config(publish_every=2)
    )
    embedding = learn(learner, envs, 60)
    assert embedding.shape == (3, 8)
    assert torch.isfinite(embedding).all()
    assert learner.num_updates > 8
    metrics = learner.read_metrics()
    assert np.isfinite(list(metrics.values())).all()
    assert metrics["bad"] == 0
    assert learner.snapshot.version > 0
    envs.close()


class PixelEnv(gym.Env):
    """Only a picture: a bright column that the action moves."""

    metadata = {"control_hz": 10.0}  # noqa: RUF012

    def __init__(self):
        self.observation_space = gym.spaces.Box(0, 255, (16, 16, 3), np.uint8)
        self.action_space = gym.spaces.Box(-1, 1, (1,))
        self.place = 0

    def _picture(self):
        picture = np.zeros((16, 16, 3), np.uint8)
        picture[:, self.place] = 255
        return picture

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(16))
        return self._picture(), {}

    def step(self, action):
        self.place = (self.place + (1 if action[0] > 0 else -1)) % 16
        return self._picture(), 0.0, False, False, {}


def test_an_env_of_pictures_only_teaches():
    envs = gym.vector.SyncVectorEnv([PixelEnv] * 3)
    config = dataclasses.replace(small_config(), encoder=EncoderConfig(4, 8, 16, 4))
    learner = OnlineLearner.from_env(envs, objectives=["temporal_contrast", "spread"], config=config)
    assert torch.isfinite(learn(learner, envs, 50)).all()
    assert learner.num_updates > 5


def test_the_objectives_of_the_config_hold_unless_given():
    envs = gym.make_vec("Pendulum-v1", num_envs=2)
    config = small_config()
    assert list(OnlineLearner.from_env(envs, config=config).model.objectives) == list(config.objectives)
    learner = OnlineLearner.from_env(envs, objectives={"spread": {"weight": 0.5}}, config=config)
    assert learner.update_step.weights == {"spread": 0.5}
    envs.close()


def test_a_device_that_is_not_here_is_one_line():
    with pytest.raises(ConfigError, match="device is 'cuda:99'") as error:
        OnlineLearner.from_env(
            gym.make_vec("Pendulum-v1", num_envs=1), config=dataclasses.replace(small_config(), device="cuda:99")
        )
    assert "\n" not in str(error.value)


def runner_weights(privileged=True, change_info=lambda info: info):
    envs = gym.make_vec(RUNNER, num_envs=3, cameras=False, num_threads=1, episode_ticks=20, privileged=privileged)
    learner = OnlineLearner.from_env(envs, config=small_config(publish_every=2))
    embedding = learn(learner, envs, 40, change_info)
    envs.close()
    assert learner.num_updates > 4
    return {**tensors_of(learner), "embedding": embedding}


def garbage(value):
    """The same structure with other numbers everywhere."""
    if isinstance(value, Mapping):
        return {key: garbage(inner) for key, inner in value.items()}
    return np.full_like(np.asarray(value, np.float64), np.nan)


def test_nothing_privileged_reaches_weights_or_embeddings():
    plain = runner_weights()
    assert_bits_equal(plain, runner_weights(privileged=False))

    def change(info):
        assert {"privileged", "clean"} <= info.keys()
        return {**info, "privileged": garbage(info["privileged"]), "clean": garbage(info["clean"])}

    assert_bits_equal(plain, runner_weights(change_info=change))
