import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from embodied_envs.batch_vector_env import BatchVectorEnv


def test_collect_is_the_physics_of_step(make_envs, actions):
    collected, stepped = make_envs(3, episode_ticks=40), make_envs(3, episode_ticks=40)
    for envs in (collected, stepped):
        envs.reset(seed=0)
    played = actions[:12, :3]
    record = collected.collect(played.transpose(1, 0, 2))
    ends = []
    for action in played:
        stepped.step(action)
        ends.append(stepped._simulation.qpos.copy())
    np.testing.assert_array_equal(record.values["qpos"][:, 9::10], np.stack(ends, axis=1))
    assert record.values["accelerometer"].shape == (3, 120, 3)
    assert record.valid.all()
    np.testing.assert_allclose(np.diff(record.values["time"], axis=1), 0.005, atol=1e-9)
    # And both go on alike.
    for action in actions[12:20, :3]:
        a, b = (envs.step(action) for envs in (collected, stepped))
        np.testing.assert_array_equal(a[4]["clean"]["joint_pos"], b[4]["clean"]["joint_pos"])
        np.testing.assert_array_equal(a[4]["clean"]["touch"], b[4]["clean"]["touch"])


def test_collect_ends_where_the_episode_ends(make_envs, actions):
    envs = make_envs(2, episode_ticks=6)
    with pytest.raises(ResetNeeded):
        envs.collect(actions[:6, :2].transpose(1, 0, 2))
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="at most the 6 that the episode has left"):
        envs.collect(actions[:7, :2].transpose(1, 0, 2))
    envs.collect(actions[:6, :2].transpose(1, 0, 2))
    with pytest.raises(ResetNeeded):
        envs.collect(actions[:1, :2].transpose(1, 0, 2))
    observation, reward, _, truncated, _ = envs.step(actions[0, :2])
    assert not observation["gyro.valid"].any()
    assert (reward == 0).all()
    assert not truncated.any()


def test_a_broken_lane_is_marked_from_there_on(make_envs, actions):
    envs = make_envs(2, episode_ticks=30)
    envs.reset(seed=0)
    played = actions[:6, :2].transpose(1, 0, 2).copy()
    played[1, 2] = np.nan
    valid = envs.collect(played).valid
    assert valid[0].all()
    assert valid[1, :20].all()
    assert not valid[1, 20:].any()


def test_unknown_names_and_shapes_are_refused(make_envs, actions):
    envs = make_envs(2)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="did you mean 'gyro'"):
        envs.collect(actions[:2, :2].transpose(1, 0, 2), names=["gyr"])
    with pytest.raises(ValueError, match=r"expected \(2, T, 6\)"):
        envs.collect(actions[0, :2])


def test_cameras_fire_as_in_step(make_envs, actions):
    """After a collection the held frame is the one that stepping would have left, and so is its age."""
    collected, stepped = (make_envs(2, cameras=True, episode_ticks=40) for _ in range(2))
    for envs in (collected, stepped):
        envs.reset(seed=0)
    collected.collect(actions[:18, :2].transpose(1, 0, 2))
    for action in actions[:18, :2]:
        stepped.step(action)
    a, b = (envs.step(actions[18, :2])[0] for envs in (collected, stepped))
    for key in ("camera", "camera.age_s"):
        np.testing.assert_array_equal(a[key], b[key])
    assert collected.observation_space.contains(a)


def test_a_fall_ends_the_record():
    envs = BatchVectorEnv("Quadruped", 2, cameras=False, num_threads=1)
    envs.reset(seed=0)
    envs.batch.bind("qpos")[1, 3:7] = [0.0, 1.0, 0.0, 0.0]  # on its back
    valid = envs.collect(np.zeros((2, 3, 12))).valid
    assert valid[0].all()
    assert valid[1].tolist() == [True] * 4 + [False] * 8
    assert (envs.step(np.zeros((2, 12)))[1][1]) == 0.0  # the reset of that lane
