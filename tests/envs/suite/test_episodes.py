"""The tasks as environments."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.single_env import SingleLaneEnv
from embodied_envs.suite import ACTION_REPEAT, SUITE

pytestmark = pytest.mark.usefixtures("needs_models")


@pytest.fixture
def make_envs():
    made = []

    def make(task, num_envs=2, **kwargs):
        made.append(BatchVectorEnv(task, num_envs, **({"cameras": False, "camera_backend": "ray"} | kwargs)))
        return made[-1]

    yield make
    for envs in made:
        envs.close()


def actions(envs, ticks, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (ticks, *envs.action_space.shape)).astype(np.float32)


@pytest.mark.parametrize("task", SUITE)
def test_the_gymnasium_checker_is_content(task):
    env = SingleLaneEnv(task, cameras=False, camera_backend="ray")
    check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("task", SUITE)
def test_observations_are_the_states_and_nothing_else(task, make_envs):
    envs = make_envs(task)
    observation, info = envs.reset(seed=0)
    for action in actions(envs, 5):
        observation, _, terminated, truncated, info = envs.step(action)
        assert not terminated.any()
        assert not truncated.any()
    assert envs.observation_space.contains(observation)
    for key, values in observation.items():  # neither ages nor noise: every reading is of now
        np.testing.assert_array_equal(values, info["clean"][key])
    np.testing.assert_allclose(observation["velocity"], info["privileged"]["joint_vel"])


@pytest.mark.parametrize("repeat", [1, ACTION_REPEAT["cartpole-swingup"]])
def test_an_episode_is_a_thousand_control_periods(repeat, make_envs):
    envs = make_envs("cartpole-swingup", action_repeat=repeat, privileged=False)
    envs.reset(seed=0)
    ended = [envs.step(action)[3].all() for action in actions(envs, 1000 // repeat)]
    assert ended[-1]
    assert not any(ended[:-1])


def test_repeated_actions_sum_their_rewards(make_envs):
    single, repeated = make_envs("cheetah-run"), make_envs("cheetah-run", action_repeat=4)
    single.reset(seed=3)
    repeated.reset(seed=3)
    observation = {}
    for action in actions(repeated, 10):
        rewards = [single.step(action)[1] for _ in range(4)]
        observation, total, *_ = repeated.step(action)
        np.testing.assert_allclose(total, np.sum(rewards, axis=0), atol=1e-12)
    assert observation["position"].shape == (2, 8)


@pytest.mark.parametrize("task", SUITE)
def test_the_first_reward_needs_no_sensor(task, make_envs):
    full, bare = make_envs(task), make_envs(task, sensors=["velocity"], privileged=False)
    action = actions(full, 1)[0]
    rewards = []
    for envs in (full, bare):
        envs.reset(seed=5)
        rewards.append(envs.step(action)[1])
    np.testing.assert_array_equal(*rewards)


@pytest.mark.parametrize("task", SUITE)
def test_cameras_add_pictures_in_which_something_moves(task, make_envs):
    envs = make_envs(task, num_envs=1, cameras=True, camera_px=24)
    first = envs.reset(seed=1)[0]["camera"]
    last = first
    for action in actions(envs, 12):
        last = envs.step(0.2 * action + 0.8)[0]["camera"]
    assert first.shape == (1, 24, 24, 3)
    assert first.std() > 10
    assert (np.abs(last.astype(int) - first.astype(int)).max(axis=-1) > 20).sum() > 3
