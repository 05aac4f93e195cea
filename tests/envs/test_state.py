import json

import numpy as np
import pytest


@pytest.mark.parametrize("ticks_before", [0, 3, 7, 8, 9, 20])
def test_restored_environment_goes_on_with_the_same_bits(make_envs, actions, run, assert_same, ticks_before):
    """Episodes of 8 ticks: before 8 an ordinary state, at 8 the reset is pending, at 9 it just happened."""
    source, target = (make_envs(4, episode_ticks=8, cameras=True) for _ in range(2))
    run(source, actions[:ticks_before, :4], seed=0)
    state = source.get_state()
    continued = run(source, actions[20:40, :4])
    run(target, actions[:5, :4], seed=99)
    target.set_state(state)
    assert_same(run(target, actions[20:40, :4]), continued)


def test_state_is_a_copy(make_envs, actions, run, assert_same):
    envs = make_envs(2, episode_ticks=8)
    run(envs, actions[:3, :2], seed=0)
    state = envs.get_state()
    first = run(envs, actions[3:15, :2])
    envs.set_state(state)
    assert_same(run(envs, actions[3:15, :2]), first)


def test_a_fresh_environment_takes_a_state(make_envs, actions, run, assert_same):
    source = make_envs(2)
    run(source, actions[:3, :2], seed=0)
    fresh = make_envs(2)
    fresh.set_state(source.get_state())
    assert_same(run(fresh, actions[3:9, :2]), run(source, actions[3:9, :2]))


def test_state_is_arrays_and_json(make_envs):
    envs = make_envs(2, cameras=True)
    envs.reset(seed=0)
    state = envs.get_state()
    plain = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
    assert plain.keys() == {"identity", "random"}
    assert json.loads(json.dumps(plain)) == plain
    assert not any(value.dtype == object for value in state.values() if isinstance(value, np.ndarray))


def test_a_state_of_other_lanes_is_refused(make_envs):
    source, target = make_envs(2), make_envs(3)
    source.reset(seed=0)
    with pytest.raises(ValueError, match="expected one of"):
        target.set_state(source.get_state())


def test_a_state_of_other_pictures_says_what_differs(make_envs):
    source, target = (make_envs(2, cameras=True, camera_px=px) for px in (16, 32))
    source.reset(seed=0)
    with pytest.raises(ValueError, match=r"'camera': \[16, 16, 3\].*expected one of") as caught:
        target.set_state(source.get_state())
    assert "episode_ticks" not in str(caught.value)
