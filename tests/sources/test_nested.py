"""Dicts in a Dict: one sensor per leaf, called `outer/inner`, in every autoreset mode."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from counting_env import CountingEnv, make_counting, play
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from embodied_ssl.errors import SpecError
from embodied_ssl.sources.nested import flat_observation, flat_spaces
from embodied_ssl.sources.simulation import TickMaker, stream_spec


class NestedEnv(CountingEnv):
    """The counting env with one of its two observations two levels deeper."""

    metadata = {"control_hz": 10.0, "sensors": {"robot/arm/twice": {"rate_hz": 5.0, "unit": "rad"}}}  # noqa: RUF012

    def __init__(self, lane):
        super().__init__(lane, as_dict=True)
        box = gym.spaces.Box(-1e3, 1e3, (3,), np.float32)
        arm = gym.spaces.Dict({"twice": box, "twice.age_s": gym.spaces.Box(0, 1, (), np.float32)})
        self.observation_space = gym.spaces.Dict({"count": box, "robot": gym.spaces.Dict({"arm": arm})})

    def _observation(self) -> Any:
        flat: Any = super()._observation()
        arm = {"twice": flat["twice"], "twice.age_s": np.float32(0.1 * (self.tick % 2))}
        return {"count": flat["count"], "robot": {"arm": arm}}


def make_nested(mode):
    return SyncVectorEnv([lambda i=i: NestedEnv(i) for i in range(3)], autoreset_mode=mode)


def test_leaves_are_sensors_with_their_metadata():
    spec = stream_spec(make_nested(AutoresetMode.NEXT_STEP))
    assert [sensor.name for sensor in spec.sensors] == ["count", "robot/arm/twice"]
    assert (spec["robot/arm/twice"].rate_hz, spec["robot/arm/twice"].unit) == (5.0, "rad")


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_nested_ticks_are_those_of_the_flat_env(mode):
    collected = []
    for envs, name in ((make_counting(mode), "twice"), (make_nested(mode), "robot/arm/twice")):
        maker, ticks = TickMaker(envs), []
        play(
            envs,
            mode,
            40,
            lambda *r, m=maker, t=ticks: t.append(m.reset(*r)),
            lambda *s, m=maker, t=ticks: t.extend(m.step(*s)),
        )
        collected.append([(tick, tick.rows[name], tick.fresh[name]) for tick in ticks])
        envs.close()
    flat, nested = collected
    assert len(flat) == len(nested) > 40
    for (one, rows, _), (other, nested_rows, fresh) in zip(flat, nested, strict=True):
        np.testing.assert_array_equal(one.rows["count"], other.rows["count"])
        np.testing.assert_array_equal(one.terminated, other.terminated)
        np.testing.assert_array_equal(rows[fresh], nested_rows[fresh])
    slow = np.concatenate([fresh.ravel() for *_, fresh in nested])
    assert 0.3 < slow.mean() < 0.8  # its age says that every second reading is an old one


def test_a_flat_observation_is_not_copied():
    observation = {"a": np.zeros(3), "b": np.ones(3)}
    assert flat_observation(observation) is observation


def test_names_that_collide_are_one_line():
    box = gym.spaces.Box(0, 1, (1,))
    space = gym.spaces.Dict({"a/b": box, "a": gym.spaces.Dict({"b": box})})
    with pytest.raises(SpecError, match="'a/b' exists twice") as error:
        flat_spaces(space)
    assert "\n" not in str(error.value)


def test_an_unknown_nested_sensor_names_the_nearest():
    envs = make_nested(AutoresetMode.NEXT_STEP)
    envs.metadata = {**envs.metadata, "sensors": {"robot/arm/twise": {}}}
    with pytest.raises(SpecError, match="did you mean 'robot/arm/twice'"):
        stream_spec(envs)
