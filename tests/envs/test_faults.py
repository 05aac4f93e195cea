import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _in_a_scratch_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the engine appends its warnings to a log file in the working folder


@pytest.mark.parametrize("poison", ["action", "velocity"])
def test_a_broken_lane_is_truncated_alone(make_envs, actions, run, poison):
    envs, sound = make_envs(3), make_envs(3)
    before, _ = run(envs, actions[:4, :3], seed=0), run(sound, actions[:4, :3], seed=0)
    action = actions[4, :3].copy()
    if poison == "action":
        action[1] = np.nan
    else:
        envs._simulation.batch.bind("qvel")[1] = 1e30
    observation, reward, terminated, truncated, info = envs.step(action)
    assert truncated.tolist() == info["engine_fault"].tolist() == [False, True, False]
    assert not terminated.any()
    assert reward[1] == 0
    np.testing.assert_array_equal(observation["joint_pos"][1], before[-1][0]["joint_pos"][1])
    assert not observation["gyro.valid"][1].any()
    expected = sound.step(actions[4, :3])[0]
    for key in expected:
        np.testing.assert_array_equal(observation[key][[0, 2]], expected[key][[0, 2]])
    _expect_sound(envs, actions)


def _expect_sound(envs, actions):
    observation, reward, _, truncated, _ = envs.step(actions[5, :3])
    assert reward[1] == 0
    assert not truncated.any()
    assert not observation["gyro.valid"][1].any()
    for action in actions[6:10, :3]:
        observation, reward, _, truncated, info = envs.step(action)
        assert envs.observation_space.contains(observation)
        assert np.isfinite(reward).all()
        assert not info["engine_fault"].any()
        assert not truncated.any()
