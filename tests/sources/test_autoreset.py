"""Ticks are the same whatever the env's autoreset mode; final observations are never lost."""

from __future__ import annotations

import numpy as np
import pytest
from counting_env import make_counting, play
from gymnasium.vector import AutoresetMode

from embodied_ssl.errors import SpecError
from embodied_ssl.sources.simulation import TickMaker

MODES = list(AutoresetMode)


def lanes_of(mode, as_dict=True, num_steps=60):
    """Per lane the list of (observation, is_first, terminated, truncated, action, reward) of its ticks."""
    envs = make_counting(mode, as_dict=as_dict)
    maker, lanes = TickMaker(envs), [[] for _ in range(envs.num_envs)]
    name = "count" if as_dict else "observation"

    def take(tick):
        assert tick.fresh[name].all()
        for i, lane in enumerate(tick.lanes):
            flags = (bool(tick.is_first[i]), bool(tick.terminated[i]), bool(tick.truncated[i]))
            lanes[lane].append((tuple(tick.rows[name][i, 0]), flags, tuple(tick.action[i]), float(tick.reward[i])))

    play(envs, mode, num_steps, lambda *r: take(maker.reset(*r)), lambda *s: [take(t) for t in maker.step(*s)])
    envs.close()
    return lanes


@pytest.mark.parametrize("as_dict", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_same_ticks(mode, as_dict):
    for lane, reference in zip(lanes_of(mode, as_dict), lanes_of(AutoresetMode.DISABLED), strict=True):
        common = min(len(lane), len(reference))
        assert common > 40
        assert lane[:common] == reference[:common]


@pytest.mark.parametrize("mode", MODES)
def test_no_tick_of_any_episode_is_lost(mode):
    for lane, ticks in enumerate(lanes_of(mode)):
        expected = [(lane, e, t) for e in range(40) for t in range(3 + (lane + e) % 4)]
        assert [tick[0] for tick in ticks] == expected[: len(ticks)]
        for (_, episode, step), (is_first, terminated, truncated), action, reward in ticks:
            last = step == 2 + (lane + episode) % 4
            assert is_first == (step == 0)
            assert terminated == (last and episode % 2 == 0)
            assert truncated == (last and episode % 2 == 1)
            assert (action == (0, 0) and reward == 0) == is_first


def test_actions_come_back_in_their_own_scale():
    maker = TickMaker(make_counting(AutoresetMode.NEXT_STEP))
    action = np.random.default_rng(0).uniform(-1, 1, (3, 2)).astype(np.float32)
    scaled = maker.to_env(action)
    np.testing.assert_allclose(scaled, action * [2, 5] + [0, 5], rtol=1e-5)
    observation = {"count": np.zeros((3, 3)), "twice": np.zeros((3, 3))}
    maker.reset(observation)
    never = np.zeros(3, bool)
    (tick,) = maker.step(scaled, observation, np.zeros(3), never, never)
    np.testing.assert_allclose(tick.action, action, atol=1e-6)


def test_stepping_an_ended_lane_without_reset_is_one_line():
    envs = make_counting(AutoresetMode.DISABLED)
    maker = TickMaker(envs)
    observation, _ = envs.reset()
    maker.reset(observation)
    ended = np.array([False, True, False])
    arguments = (np.zeros((3, 2)), observation, np.zeros(3), ended, np.zeros(3, bool))
    maker.step(*arguments)
    with pytest.raises(SpecError, match=r"lanes \[1\] ended") as error:
        maker.step(*arguments)
    assert "\n" not in str(error.value)


def test_same_step_without_the_final_observation_is_one_line():
    envs = make_counting(AutoresetMode.SAME_STEP)
    maker = TickMaker(envs)
    observation, _ = envs.reset()
    maker.reset(observation)
    ended = np.array([False, True, False])
    with pytest.raises(SpecError, match="final_obs"):
        maker.step(np.zeros((3, 2)), observation, np.zeros(3), ended, np.zeros(3, bool), {})


def test_resetting_no_lane_is_harmless():
    envs = make_counting(AutoresetMode.DISABLED)
    maker = TickMaker(envs)
    observation, _ = envs.reset()
    maker.reset(observation)
    assert len(maker.reset(observation, {}, np.zeros(3, bool)).lanes) == 0
