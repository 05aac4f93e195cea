"""What holds for every registered robot and task, with few lanes and short episodes."""

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from embodied_envs import ENV_IDS, SUITE_IDS
from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_ssl.sources.env_contract import check_stream_env

EVERY_ENV = pytest.mark.parametrize("env_id", ENV_IDS + SUITE_IDS)
EPISODE_TICKS = 7
ARGUMENTS: dict[str, Any] = {"camera_backend": "ray", "episode_ticks": EPISODE_TICKS}


@pytest.fixture(autouse=True)
def _installed(request):
    env_id = request.node.callspec.params["env_id"] if hasattr(request.node, "callspec") else ""
    if env_id.startswith("DMC/"):
        pytest.importorskip("dm_control", reason="the control suite's models come with the extra `dmc`")


def make(env_id: str, num_envs: int = 2, **kwargs) -> BatchVectorEnv:
    arguments: dict[str, Any] = ARGUMENTS | {"num_threads": 1} | kwargs
    envs = gym.make_vec(f"embodied_envs:{env_id}", num_envs=num_envs, **arguments)
    assert isinstance(envs, BatchVectorEnv)
    return envs


def actions_of(envs: BatchVectorEnv, num_ticks: int, seed: int = 0) -> np.ndarray:
    assert envs.action_space.shape is not None
    shape = (num_ticks, *envs.action_space.shape)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def flat_bits(tree, prefix="") -> dict[str, np.ndarray]:
    if isinstance(tree, dict):
        return {name: a for key, value in tree.items() for name, a in flat_bits(value, f"{prefix}/{key}").items()}
    return {prefix: np.array(tree)}


def play(envs: BatchVectorEnv, actions: np.ndarray) -> list[dict[str, np.ndarray]]:
    names = ("observation", "reward", "terminated", "truncated", "info")
    return [flat_bits(dict(zip(names, envs.step(action), strict=True))) for action in actions]


def assert_same_bits(runs: list[dict[str, np.ndarray]], others: list[dict[str, np.ndarray]]) -> None:
    assert len(runs) == len(others)
    for one, other in zip(runs, others, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)


@EVERY_ENV
def test_gymnasium_checker(env_id):
    env = gym.make(f"embodied_envs:{env_id}", **ARGUMENTS).unwrapped
    check_env(env, skip_render_check=True)
    env.close()


@EVERY_ENV
def test_own_contract(env_id):
    num_lanes, num_ticks = 3, 3 * EPISODE_TICKS
    report = check_stream_env(lambda lanes: make(env_id, lanes), num_lanes, num_ticks)
    # Two ends fit into three episodes' ticks, as each reset takes a tick; terminations only add to them.
    assert "same seed, same bits" in report
    assert "lanes alone and together: same bits" in report
    assert int(report.split("NEXT_STEP: ")[1].split()[0]) >= 2 * num_lanes


def test_own_contract_on_warp():
    """Warp has no seeds of single lanes, so lanes are not compared; its other tests lie in `tests/envs/warp`."""
    pytest.importorskip("mujoco_warp", reason="needs the extra `warp`")
    arguments = {"device": "cpu", "cameras": False, "episode_ticks": EPISODE_TICKS}
    report = check_stream_env(
        lambda lanes: gym.make_vec("embodied_envs:Warp/Runner-v0", num_envs=lanes, **arguments), 2, 2 * EPISODE_TICKS
    )
    assert "same seed, same bits" in report
    assert "NEXT_STEP: 2 episode ends" in report
    assert "reset takes no list of seeds" in report


class OneValueArrays(gym.ObservationWrapper):
    """Readings of shape (), such as ages, as (1,): SB3's checker calls `np.where` on them, which NumPy 2 refuses."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        spaces = env.observation_space
        assert isinstance(spaces, gym.spaces.Dict)
        self.observation_space = gym.spaces.Dict({key: self._widened(space) for key, space in spaces.items()})

    @staticmethod
    def _widened(space: gym.Space) -> gym.Space:
        assert isinstance(space, gym.spaces.Box)
        return space if space.shape else gym.spaces.Box(space.low[None], space.high[None], dtype=space.dtype.type)

    def observation(self, observation):
        return {key: np.atleast_1d(values) for key, values in observation.items()}


@EVERY_ENV
def test_stable_baselines_checker(env_id):
    """Its warnings are about what it would convert (small pictures, rows of readings): they break nothing."""
    checker = pytest.importorskip("stable_baselines3.common.env_checker", reason="needs the extra `sb3`")
    env = OneValueArrays(gym.make(f"embodied_envs:{env_id}", **ARGUMENTS).unwrapped)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="stable_baselines3")
        checker.check_env(env, skip_render_check=True)
    env.close()


@EVERY_ENV
@pytest.mark.parametrize("ticks_before", [4, EPISODE_TICKS])
def test_resumes_with_the_same_bits(env_id, ticks_before):
    source, target = make(env_id), make(env_id)
    actions = actions_of(source, ticks_before + 2 * EPISODE_TICKS)
    source.reset(seed=3)
    play(source, actions[:ticks_before])
    state = source.get_state()
    target.reset(seed=4)
    play(target, actions[-2:])
    target.set_state(state)
    assert_same_bits(play(target, actions[ticks_before:]), play(source, actions[ticks_before:]))
    source.close()
    target.close()


@EVERY_ENV
def test_same_bits_at_any_thread_count(env_id):
    runs = []
    for num_threads in (1, 2):
        envs = make(env_id, num_envs=4, num_threads=num_threads)
        first = flat_bits(dict(zip(("observation", "info"), envs.reset(seed=5), strict=True)))
        runs.append([first, *play(envs, actions_of(envs, EPISODE_TICKS + 2))])
        envs.close()
    assert_same_bits(*runs)


@EVERY_ENV
def test_cameras_see_something(env_id):
    kinds = {"cameras": True, "camera_kinds": ["rgb", "depth", "segmentation"], "episode_ticks": 60}
    envs = make(env_id, num_envs=1, **kinds)
    sensors = envs.metadata["sensors"]
    spread = {"camera": 5.0, "depth": 0.005}  # a camera may see one body only: no demand on segmentation
    pictures = [key for key, sensor in sensors.items() if sensor["modality"] in spread]
    assert pictures
    frames: dict[str, list[np.ndarray]] = {key: [] for key in pictures}
    envs.reset(seed=0)
    for action in actions_of(envs, 20):
        observation = envs.step(action)[0]
        for key in pictures:
            if observation.get(f"{key}.valid", np.ones(1))[0]:
                frames[key].append(observation[key][0])
    envs.close()
    for key in pictures:
        assert np.stack(frames[key]).astype(np.float64).std(axis=(1, 2)).mean() > spread[sensors[key]["modality"]], key
