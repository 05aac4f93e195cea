"""Rows, freshness and ages of sensors with rates of their own; what cannot be used is refused in one line."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from counting_env import CountingEnv, make_counting
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from embodied_ssl.errors import SpecError
from embodied_ssl.sources.simulation import TickMaker, stream_spec

CONTROL_HZ = 20.0
NEVER = np.zeros(2, bool)


class RatesEnv(gym.Env):
    """Only its spaces matter: an IMU at four times the control rate, a slow touch sensor, a plain joint, a camera."""

    def __init__(self, with_beside: bool = True) -> None:
        spaces = {
            "imu": gym.spaces.Box(-np.inf, np.inf, (4, 3)),
            "touch": gym.spaces.Box(0, 50, (2,)),
            "joint": gym.spaces.Box(-3, 3, (5,)),
            "camera": gym.spaces.Box(0, 255, (8, 8, 3), np.uint8),
        }
        if with_beside:
            for name, rows in (("imu", (4,)), ("touch", ())):
                spaces[f"{name}.age_s"] = gym.spaces.Box(0, np.inf, rows)
                spaces[f"{name}.valid"] = gym.spaces.MultiBinary(rows or 1)
        self.observation_space = gym.spaces.Dict(spaces)
        self.action_space = gym.spaces.Box(-1, 1, (1,))
        self.metadata = {
            "control_hz": CONTROL_HZ,
            "sensors": {
                "imu": {"rate_hz": 80.0, "unit": "m/s^2", "modality": "imu"},
                "touch": {"rate_hz": 8.0, "unit": "N", "modality": "touch"},
                "camera": {"rate_hz": 2.5, "modality": "camera"},
            },
        }


def make_maker(with_beside=True):
    return TickMaker(SyncVectorEnv([lambda: RatesEnv(with_beside)] * 2))


def observation_of(tick, **changes):
    """A plain observation of two lanes whose values say the tick."""
    observation = {
        "imu": np.full((2, 4, 3), tick, np.float32),
        "touch": np.full((2, 2), tick, np.float32),
        "joint": np.full((2, 5), tick, np.float32),
        "camera": np.full((2, 8, 8, 3), tick % 256, np.uint8),
    }
    return {**observation, **changes}


def play(maker, observations):
    ticks = [maker.reset(observations[0])]
    for observation in observations[1:]:
        ticks += maker.step(np.zeros((2, 1)), observation, np.zeros(2), NEVER, NEVER)
    return ticks


def test_the_spec_is_what_the_env_declares():
    spec = make_maker().spec
    assert [s.name for s in spec.sensors] == sorted(["imu", "touch", "joint", "camera"])
    assert spec.control_hz == CONTROL_HZ
    assert spec.action_size == 1
    assert spec["imu"].shape == (3,)
    assert (spec["imu"].rate_hz, spec["imu"].unit, spec["imu"].modality) == (80.0, "m/s^2", "imu")
    assert (spec["joint"].rate_hz, spec["joint"].low, spec["joint"].high) == (CONTROL_HZ, -3, 3)
    assert spec["camera"].is_image


def test_without_ages_every_sensor_fires_at_its_own_rate():
    ticks = play(make_maker(with_beside=False), [observation_of(t) for t in range(41)])
    for name, period in (("joint", 1), ("touch", 2.5), ("camera", 8)):
        fired = [t for t, tick in enumerate(ticks) if tick.fresh[name].all()]
        assert fired == sorted({int(np.ceil(k * period)) for k in range(41) if np.ceil(k * period) <= 40}), name
    assert all(tick.fresh["imu"].all() for tick in ticks)
    np.testing.assert_allclose(ticks[5].age_s["imu"][0], np.array([3, 2, 1, 0]) / 80, atol=1e-6)
    assert (ticks[0].age_s["joint"] == 0).all()


def test_a_held_reading_is_fresh_once():
    maker = make_maker()
    age = np.float32(0.01)
    observations = [observation_of(0, **{"touch.age_s": np.full(2, age + 0.05 * t)}) for t in range(4)]
    observations.append(observation_of(9, **{"touch.age_s": np.full(2, age)}))
    ticks = play(maker, observations)
    assert [bool(t.fresh["touch"].all()) for t in ticks] == [True, False, False, False, True]
    assert [bool(t.fresh["touch"].any()) for t in ticks] == [True, False, False, False, True]
    np.testing.assert_allclose(ticks[-1].rows["touch"][:, 0], 9)
    np.testing.assert_allclose(ticks[-1].age_s["touch"], age)


def test_rows_that_are_not_valid_are_dropped_and_come_later_with_their_age():
    maker = make_maker()
    valid = np.ones((2, 4), np.int8)
    valid[1, 2:] = 0
    lost = {"touch.valid": np.zeros((2, 1), np.int8), "imu.valid": valid}
    late = {"touch.age_s": np.full(2, 0.06, np.float32)}
    ticks = play(maker, [observation_of(0), observation_of(1), observation_of(2, **lost), observation_of(3, **late)])
    assert not ticks[2].fresh["touch"].any()
    assert np.array_equal(ticks[2].fresh["imu"], valid.astype(bool))
    assert not ticks[2].rows["imu"][1, 2:].any()
    assert ticks[3].fresh["touch"].all()
    np.testing.assert_allclose(ticks[3].age_s["touch"], 0.06)


def test_a_new_episode_begins_fresh_whatever_came_before():
    maker = make_maker()
    play(maker, [observation_of(t) for t in range(6)])
    tick = maker.reset(observation_of(0, **{"touch.age_s": np.full(2, 0.3, np.float32)}), None, np.array([True, False]))
    assert tick.lanes.tolist() == [0]
    assert tick.fresh["touch"].all()
    assert tick.is_first.all()


def test_rows_that_are_not_finite_are_rejected_and_counted():
    maker = make_maker()
    imu, joint = np.ones((2, 4, 3), np.float32), np.ones((2, 5), np.float32)
    imu[0, 1, 2], joint[1, 0] = np.nan, np.inf
    ticks = play(maker, [observation_of(0), observation_of(1, imu=imu, joint=joint), observation_of(2)])
    assert maker.num_rejected_rows == {"camera": 0, "imu": 1, "joint": 1, "touch": 0}
    assert ticks[1].fresh["imu"].tolist() == [[True, False, True, True], [True] * 4]
    assert ticks[1].fresh["joint"].tolist() == [[True], [False]]
    assert all(np.isfinite(rows).all() for rows in ticks[1].rows.values())
    assert all(fresh.all() for name, fresh in ticks[2].fresh.items() if name in ("imu", "joint"))


def test_ticks_do_not_share_memory_with_the_env():
    maker = make_maker()
    observation = observation_of(7)
    tick = maker.reset(observation)
    for array in observation.values():
        array[:] = 0
    assert all((rows == 7).all() for rows in tick.rows.values())


def test_clocks_and_captures_continue_after_a_restore():
    maker, alike = make_maker(), make_maker()
    observations = [observation_of(t, **{"touch.age_s": np.full(2, 0.05 * (t % 3), np.float32)}) for t in range(20)]
    play(maker, observations[:9])
    alike.load_state(maker.state())
    for observation in observations[9:]:
        step = (np.zeros((2, 1)), observation, np.zeros(2), NEVER, NEVER)
        (tick,), (same,) = maker.step(*step), alike.step(*step)
        for name, fresh in tick.fresh.items():
            assert np.array_equal(fresh, same.fresh[name])


class OddEnv(CountingEnv):
    """A counting env with a space that has no stream form."""

    def __init__(self, observation_space=None, action_space=None):
        super().__init__(0, as_dict=False)
        self.observation_space = observation_space or self.observation_space
        self.action_space = action_space or self.action_space


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        ({"action_space": gym.spaces.Discrete(3)}, "Box of continuous actions"),
        ({"observation_space": gym.spaces.Discrete(3)}, "'observation'"),
        ({"observation_space": gym.spaces.Dict({"a": gym.spaces.Discrete(2)})}, "'a'"),
        ({"observation_space": gym.spaces.Dict({"a.valid": gym.spaces.Box(0, 1, (1,))})}, "at least one sensor"),
    ],
)
def test_spaces_without_a_stream_form_are_one_line(spaces, message):
    with pytest.raises(SpecError, match=message) as error:
        stream_spec(SyncVectorEnv([lambda: OddEnv(**spaces)]))
    assert "\n" not in str(error.value)


def test_a_single_env_is_refused_with_the_way_out():
    with pytest.raises(SpecError, match="make_vec"):
        stream_spec(CountingEnv(0, as_dict=True))  # pyright: ignore[reportArgumentType]


def test_another_env_than_the_learners_is_refused():
    with pytest.raises(SpecError, match="env it was built for"):
        TickMaker(make_counting(AutoresetMode.NEXT_STEP), stream_spec(SyncVectorEnv([RatesEnv])))


def test_a_burst_beyond_the_declared_room_is_refused():
    maker = make_maker()
    with pytest.raises(SpecError, match="'imu' sent 9 rows"):
        maker.reset(observation_of(0, imu=np.zeros((2, 9, 3), np.float32)))


def test_a_fast_camera_is_a_camera():
    env = RatesEnv(False)
    env.observation_space = gym.spaces.Dict({"eye": gym.spaces.Box(0, 255, (3, 8, 8, 3), np.uint8)})
    env.metadata = {"control_hz": 10.0, "sensors": {"eye": {"rate_hz": 30.0, "modality": "camera"}}}
    spec = stream_spec(SyncVectorEnv([lambda: env]))
    assert spec["eye"].is_image
    assert spec["eye"].shape == (8, 8, 3)


def test_an_action_with_one_legal_value_is_read_as_zero():
    bounds = gym.spaces.Box(np.array([-1, 3], np.float32), np.array([1, 3], np.float32))
    maker = TickMaker(SyncVectorEnv([lambda: OddEnv(action_space=bounds)]))
    action = maker.to_env(np.array([[0.5, 0.7]], np.float32))
    np.testing.assert_allclose(action, [[0.5, 3.0]])
    maker.reset(np.zeros((1, 3)))
    (tick,) = maker.step(action, np.zeros((1, 3)), np.zeros(1), NEVER[:1], NEVER[:1])
    np.testing.assert_allclose(tick.action, [[0.5, 0.0]])
