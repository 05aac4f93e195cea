"""The contract check passes for honest envs and names, in one line, what a dishonest one does."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from counting_env import make_counting
from gymnasium.vector import AutoresetMode
from honest_env import HonestEnv

from embodied_ssl.errors import SpecError
from embodied_ssl.sources.env_contract import check_stream_env


class Changed(HonestEnv):
    """Changes observations and info in place by `change(observation, reward, info)`, which returns rewards."""

    change: Any = None

    def step(self, actions):
        observation, reward, terminated, truncated, info = super().step(actions)
        reward, info = self.change(observation, reward, info), info
        return observation, reward, terminated, truncated, info


def changed(change) -> type[Changed]:
    return type("Changed", (Changed,), {"change": change})


def test_an_honest_env_passes_and_the_report_says_what_was_checked():
    report = check_stream_env(HonestEnv, num_ticks=60)
    for line in ("5 keys, 61 ticks of 3 lanes", "by ages: fast, slow", "NEXT_STEP: 18 episode ends"):
        assert line in report
    assert "same seed, same bits" in report
    assert "lanes alone and together: same bits" in report


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_every_autoreset_mode_is_understood(mode):
    report = check_stream_env(lambda num_lanes: make_counting(mode, num_lanes), num_ticks=30)
    assert f"autoreset {mode.name}" in report
    assert "no episode ended" not in report


def test_any_gymnasium_env_passes():
    report = check_stream_env(lambda num_lanes: gym.make_vec("Pendulum-v1", num_envs=num_lanes), num_ticks=210)
    assert "NEXT_STEP: 3 episode ends" in report


def narrow_range(env, observation, reward, info):
    observation["fast"][0, 0, 0] = 101
    return reward


def wrong_type(env, observation, reward, info):
    observation["slow"] = observation["slow"].astype(np.float64)
    return reward


def missing_key(env, observation, reward, info):
    del observation["slow"]
    return reward


def not_a_number(env, observation, reward, info):
    observation["slow"][1] = np.nan
    return reward


def infinite_reward(env, observation, reward, info):
    return reward / np.where(env.ticks == 3, 0, 1)


def newest_first(env, observation, reward, info):
    observation["fast.age_s"] = observation["fast.age_s"][:, ::-1].copy()
    return reward


def from_the_future(env, observation, reward, info):
    observation["fast.age_s"] -= np.float32(0.01)
    return reward


def too_slow(env, observation, reward, info):
    observation["slow.age_s"] = (env.ticks % 4 / 10).astype(np.float32)
    return reward


def wrong_mode(env, observation, reward, info):
    if env.ended.any():
        info["final_obs"] = observation
    return reward


def reward_at_reset(env, observation, reward, info):
    return reward + 1


def of_no_seed(env, observation, reward, info):
    observation["slow"] += np.float32(np.random.default_rng().normal())
    return reward


def of_the_neighbour(env, observation, reward, info):
    observation["slow"][0] = np.clip(observation["slow"].mean(), -99, 99)
    return reward


def copied_to_lane_1(env, observation, reward, info):
    observation["slow"][1:2] = observation["slow"][0]
    return reward


def copied_to_the_last(env, observation, reward, info):
    observation["slow"][-1] = observation["slow"][0]
    return reward


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (narrow_range, r"tick 1: 'fast' holds 101, expected \[-100, 100\]"),
        (wrong_type, r"tick 1: 'slow' is \(3, 1\) float64, expected \(3, 1\) float32"),
        (missing_key, r"keys \['slow'\] are in the observation or in its space, not in both"),
        (not_a_number, r"'slow' holds nan"),
        (infinite_reward, r"rewards are \[.*inf.*\], expected finite"),
        (newest_first, r"rows of 'fast' have ages .* expected oldest first"),
        (from_the_future, r"'fast.age_s' holds -0.01"),
        (too_slow, r"'slow' delivers 2\.\d+ rows/s.* declared are 5 Hz"),
        (wrong_mode, r"'final_obs', which belongs to SAME_STEP; metadata declares NEXT_STEP"),
        (reward_at_reset, r"earns a reward in the step that resets it"),
        (of_no_seed, r"another observation 'slow' at tick 1; fix: draw everything from generators"),
        (copied_to_lane_1, r"lane 1 with the same seed gives another observation 'slow'"),
        (copied_to_the_last, r"lane 2 with the same seed gives another observation 'slow'"),
        (of_the_neighbour, r"lane 0 with the same seed gives another observation 'slow'"),
    ],
)
def test_a_breach_is_named_in_one_line(change, message):
    with np.errstate(divide="ignore", invalid="ignore"), pytest.raises(SpecError, match=message) as caught:
        check_stream_env(changed(change), num_ticks=40)
    assert "\n" not in str(caught.value)


class Overwriting(HonestEnv):
    def observe(self):
        if not hasattr(self, "shown"):
            self.shown = super().observe()
        for key, values in super().observe().items():
            self.shown[key][...] = values
        return self.shown


class ActsAtReset(HonestEnv):
    """Resets at once but says NEXT_STEP, so the action of the 'reset' step moves it."""

    def step(self, actions):
        _, reward, terminated, truncated, info = super().step(actions)
        self.walk += 0.1 * np.clip(actions, -1, 1)
        return self.observe(), reward, terminated, truncated, info


class Undeclared(HonestEnv):
    def __init__(self, num_envs):
        super().__init__(num_envs)
        del self.metadata["autoreset_mode"]


class Fragile(HonestEnv):
    def step(self, actions):
        if (np.abs(actions) > 1).any():
            raise ArithmeticError("too strong")
        return super().step(actions)


class NeverAlone(HonestEnv):
    def step(self, actions):
        if self.num_envs == 1:
            raise ValueError("needs\nneighbours")
        return super().step(actions)


class Broken(HonestEnv):
    def reset(self, *, seed=None, options=None):
        raise AssertionError("no start")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (NeverAlone, r"step with 1 lane raises ValueError: needs neighbours"),
        (Broken, r"reset with 3 lanes raises AssertionError: no start"),
        (Overwriting, r"step overwrites the observation 'fast' it returned before"),
        (ActsAtReset, r"ignore actions in steps that reset a lane"),
        (Undeclared, r"metadata\['autoreset_mode'\] is None, expected"),
        (Fragile, r"actions out of bounds raise ArithmeticError: too strong; fix: clip them"),
    ],
)
def test_a_breach_of_behaviour_is_named_in_one_line(make, message):
    with pytest.raises(SpecError, match=message):
        check_stream_env(make, num_ticks=40)


def test_an_env_without_lane_seeds_is_not_blamed():
    class OneSeed(HonestEnv):
        def reset(self, *, seed=None, options=None):
            if isinstance(seed, list):
                raise TypeError("one seed only")
            return super().reset(seed=seed, options=options)

    assert "takes no list of seeds" in check_stream_env(OneSeed, num_ticks=20)
