import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from embodied_envs.batch_vector_env import BatchVectorEnv

RUNNER = "embodied_envs:Embodied/Runner-v0"


def test_import_loads_neither_engine_nor_learner():
    code = "import sys, embodied_envs; print([m for m in ('mujoco', 'torch', 'OpenGL', 'cv2') if m in sys.modules])"
    path = next(p for p in sys.path if p.endswith("envs"))
    printed = subprocess.run([sys.executable, "-c", code], cwd=path, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_single_env_passes_the_gymnasium_checker():
    env = gym.make(RUNNER, camera_backend="ray").unwrapped
    check_env(env, skip_render_check=True)
    env.close()


def test_render_gives_a_picture_without_the_camera_sensor():
    env = gym.make(RUNNER, camera_backend="ray", cameras=False, render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    assert frame.shape == (64, 64, 3)
    assert frame.std() > 10
    env.close()


def test_make_vec_uses_the_batched_environment():
    envs = gym.make_vec(RUNNER, num_envs=3, camera_backend="ray")
    assert isinstance(envs, BatchVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert envs.metadata["control_hz"] == 20.0
    observation, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(observation)
    envs.close()


def test_metadata_belongs_to_the_instance():
    envs = gym.make_vec(RUNNER, num_envs=1, cameras=False)
    assert "camera" not in envs.metadata["sensors"]
    assert "sensors" not in BatchVectorEnv.metadata
    envs.close()


def test_gymnasium_sync_vectorisation_works_too():
    envs = gym.make_vec(RUNNER, num_envs=2, vectorization_mode="sync", cameras=False)
    observation, info = envs.reset(seed=4)
    assert observation["accelerometer"].shape == (2, 4, 2)
    assert info["privileged"]["root_vel"].shape == (2, 3)
    envs.close()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"robot": "Cat"}, "expected one of"),
        ({"camera_backend": "vulkan"}, "expected one of"),
        ({"episode_ticks": 0}, "episode_ticks=0, expected a whole number of at least 1"),
        ({"episode_ticks": 2.5}, "episode_ticks=2.5, expected a whole number of at least 1"),
        ({"num_envs": 0}, "num_envs=0, expected a whole number of at least 1"),
        ({"num_envs": 2.0}, "num_envs=2.0, expected a whole number of at least 1"),
        ({"num_threads": -3}, "num_threads=-3, expected a whole number of at least 1"),
        ({"camera_px": "abc"}, "camera_px='abc', expected a whole number of at least 1"),
        ({"camera_px": 4}, "camera_px=4, expected at least 8"),
        ({"camera_kinds": ["dept"]}, "did you mean 'depth'"),
        ({"camera_preset": "qualty"}, "did you mean 'quality'"),
        ({"sensors": ["giro"]}, "did you mean 'gyro'"),
        ({"distractors": ["backgroud"]}, "did you mean 'background'"),
        ({"action_repeat": 2}, "fix: use it with the DMC tasks"),
        ({"render_mode": "human"}, "expected None or 'rgb_array'"),
    ],
)
def test_wrong_values_are_refused_in_one_line(kwargs, message):
    with pytest.raises(ValueError, match=message) as caught:
        BatchVectorEnv(**kwargs)
    assert "\n" not in str(caught.value)


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="episode_tick"):
        gym.make_vec(RUNNER, num_envs=1, episode_tick=3)
    with pytest.raises(TypeError, match="episode_tick"):
        gym.make(RUNNER, episode_tick=3)
