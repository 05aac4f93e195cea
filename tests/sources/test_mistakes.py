"""What a caller of the Python API can get wrong ends in one clear line."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from embodied_ssl.errors import ConfigError, SpecError
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.sources.simulation import TickMaker, stream_spec


class Picture(gym.Env):
    """A picture under any modality, and metadata that can be wrong."""

    observation_space = gym.spaces.Dict({"cam": gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)})
    action_space = gym.spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, sensors):
        self.metadata = {"sensors": sensors}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return {"cam": np.zeros((8, 8, 3), np.uint8)}, {}

    def step(self, action):
        return self.reset()[0], 0.0, False, False, {}


def vector(**sensors):
    return SyncVectorEnv([lambda: Picture(sensors)] * 3)


@pytest.mark.parametrize("modality", ["image", "camera", "rgb"])
def test_a_picture_is_a_picture_whatever_its_modality_is_called(modality):
    assert stream_spec(vector(cam={"modality": modality, "rate_hz": 0.5}))["cam"].is_image


def test_a_sensor_that_is_not_observed_names_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'cam'"):
        stream_spec(vector(camm={"rate_hz": 5}))


def step(maker, action, lanes=3):
    picture, none = {"cam": np.zeros((lanes, 8, 8, 3), np.uint8)}, np.zeros(lanes, bool)
    return maker.step(action, picture, np.zeros(lanes), none, none)


def test_wrong_shapes_and_orders_are_said():
    env = vector()
    maker = TickMaker(env)
    with pytest.raises(SpecError, match="before reset"):
        step(maker, np.zeros((3, 2)))
    maker.reset(*env.reset())
    with pytest.raises(SpecError, match=r"shape \(3, 1\), expected \(3, 2\)"):
        step(maker, np.zeros((3, 1)))
    with pytest.raises(SpecError, match="not finite"):
        step(maker, np.full((3, 2), np.nan))
    with pytest.raises(SpecError, match="has 2 lanes, expected 3"):
        step(maker, np.zeros((3, 2)), lanes=2)


def test_objectives_and_config_of_the_wrong_kind_are_said():
    with pytest.raises(ConfigError, match="expected a list of names"):
        OnlineLearner.from_env(vector(), objectives="spread")
    with pytest.raises(ConfigError, match="load_config"):
        OnlineLearner.from_env(vector(), config="file.yaml")  # pyright: ignore[reportArgumentType]
