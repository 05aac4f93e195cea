import dataclasses

import gymnasium as gym
import pytest

from embodied_ssl.config import Config, EncoderConfig, EnvConfig, EvaluationConfig, LearnerConfig
from embodied_ssl.evaluate.probe_set import collect_probe_set
from embodied_ssl.sources.simulation import stream_spec


@pytest.fixture(scope="session")
def config():
    return Config(
        device="cpu",
        env=EnvConfig(num_lanes=2, kwargs={"episode_ticks": 40, "cameras": False, "num_threads": 1}),
        encoder=EncoderConfig(context_ticks=6, features_dim=16, hidden_dim=32),
        learner=LearnerConfig(horizon_ticks=5, batch_size=16, windows_per_episode=4, learning_starts=20),
        objectives={"forward_prediction": {}},
        evaluation=EvaluationConfig(train_episodes=8, test_episodes=4, return_episodes=3, supervised_steps=10),
    )


@pytest.fixture(scope="session")
def spec(config):
    env = gym.make_vec(config.env.id, num_envs=1, **config.env.kwargs)
    try:
        return stream_spec(env)
    finally:
        env.close()


@pytest.fixture(scope="session")
def probe_set(config, spec):
    return collect_probe_set(config.env, spec, 8, 4, 6)


@pytest.fixture(scope="session")
def other_env(config):
    return dataclasses.replace(config.env, num_lanes=5)
