"""The contract of a vector environment, as tensors: spaces, autoreset, masked resets, faults, seeds, mistakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from embodied_envs.robots import load_robot
from embodied_envs.sensors import Computed
from embodied_envs.warp import WarpVectorEnv, load_task


def play(env, actions, seed=0):
    observation, info = env.reset(seed=seed)
    return [(observation, None, None, None, info), *(env.step(action) for action in actions)]


def test_everything_per_lane_is_a_tensor_on_the_device(blind, actions):
    for observation, reward, terminated, truncated, info in play(blind, actions)[1:]:
        tensors = [*observation.values(), reward, terminated, truncated, info["engine_fault"]]
        tensors += [*info["privileged"].values(), *info["clean"].values()]
        assert all(isinstance(value, torch.Tensor) and value.device == blind.device for value in tensors)
        assert all(len(value) == blind.num_envs for value in tensors)
        assert reward.dtype == torch.float32
        assert terminated.dtype == truncated.dtype == torch.bool


def test_it_observes_what_the_batch_environment_observes(blind, batch, actions):
    assert blind.single_observation_space == batch.single_observation_space
    assert blind.action_space == batch.action_space
    ours, theirs = dict(blind.metadata), dict(batch.metadata)
    assert ours.pop("render_modes") == []
    theirs.pop("render_modes")
    assert ours == theirs
    assert ours["autoreset_mode"] == AutoresetMode.NEXT_STEP
    for observation, *_ in play(blind, actions):
        assert list(observation) == list(blind.single_observation_space.spaces)
        for key, space in blind.observation_space.spaces.items():
            assert space.contains(observation[key].numpy()), key


def test_ages_and_validity_are_those_of_the_batch_environment(blind, batch, actions):
    batch.reset(seed=0)
    ours = play(blind, actions)
    theirs = [batch.reset(seed=0), *(batch.step(action.numpy()) for action in actions)]
    for (mine, *_), (other, *_) in zip(ours, theirs, strict=True):
        for key in other:
            if key.endswith(".age_s"):
                np.testing.assert_allclose(mine[key].numpy(), other[key], atol=2e-6)
            elif key.endswith(".valid"):
                np.testing.assert_array_equal(mine[key].numpy(), other[key])


def test_the_step_after_the_last_one_resets(blind, actions):
    ticks = play(blind, actions)
    ends = [bool(truncated.all()) for *_, truncated, _ in ticks[1:]]
    assert [index for index, end in enumerate(ends) if end] == [11]  # the thirteenth step is a reset
    first, reward, *_ = ticks[13]
    assert reward.count_nonzero() == 0
    assert ticks[12][1].count_nonzero() == 4
    assert first["gyro.valid"].sum() == 0
    assert first["gyro"].count_nonzero() == 0
    assert ticks[14][0]["gyro.valid"].all()
    friction = [tick[4]["privileged"]["friction"] for tick in (ticks[0], ticks[12], ticks[13])]
    assert torch.equal(friction[0], friction[1])
    assert (friction[1] != friction[2]).all()


def test_a_masked_reset_leaves_the_other_lanes_alone(blind, actions):
    play(blind, actions[:3])
    for action in actions[3:6]:
        blind.step(action)
    expected = blind.physics.bind("qpos").clone()
    play(blind, actions[:3])
    held = blind.step(actions[3])[0]
    mask = torch.tensor([False, True, False, False])
    observation, _ = blind.reset(options={"reset_mask": mask})
    assert torch.equal(observation["joint_pos"][~mask], held["joint_pos"][~mask])
    assert (observation["gyro.valid"].sum(1) == 0).tolist() == mask.tolist()
    for action in actions[4:6]:
        blind.step(action)
    qpos = blind.physics.bind("qpos")
    assert torch.equal(qpos[~mask], expected[~mask])
    assert not torch.equal(qpos[mask], expected[mask])


def test_the_same_seed_gives_the_same_bits(blind, actions):
    first, second, other = (play(blind, actions[:15], seed) for seed in (3, 3, 4))
    for (mine, *_), (same, *_) in zip(first, second, strict=True):
        assert all(torch.equal(mine[key], same[key]) for key in mine)
    assert not torch.equal(first[-1][0]["joint_pos"], other[-1][0]["joint_pos"])


@pytest.mark.parametrize("breakage", ["action", "state"])
def test_a_broken_lane_is_truncated_alone(blind, actions, breakage):
    healthy = play(blind, actions[:4])
    before = play(blind, actions[:2])[-1][0]
    action = actions[2].clone()
    if breakage == "action":
        action[1, 3] = torch.nan
    else:
        blind.physics.bind("qvel")[1] = torch.nan
    observation, reward, _, truncated, info = blind.step(action)
    alone = [False, True, False, False]
    assert truncated.tolist() == info["engine_fault"].tolist() == alone
    assert reward[1] == 0
    assert torch.equal(observation["joint_pos"][1], before["joint_pos"][1])
    assert observation["gyro.valid"][1].sum() == 0
    others = torch.tensor([0, 2, 3])
    assert torch.equal(observation["accelerometer"][others], healthy[3][0]["accelerometer"][others])
    observation, *_, info = blind.step(actions[3])
    assert not info["engine_fault"].any()
    assert all(value.isfinite().all() for value in observation.values())
    assert observation["gyro.valid"].sum(1).tolist() == [4, 0, 4, 4]
    assert torch.equal(info["clean"]["joint_pos"][others], healthy[4][4]["clean"]["joint_pos"][others])


def test_arrays_are_actions_too(blind, actions):
    expected = play(blind, actions[:2])[-1][0]["touch"]
    observation, _ = blind.reset(seed=0)
    for action in actions[:2].numpy():
        observation, *_ = blind.step(action.astype(np.float64))
    assert torch.equal(observation["touch"], expected)


def line_of(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_mistakes_are_one_line(blind):
    with pytest.raises(ValueError, match=r"one integer") as error:
        blind.reset(seed=[1, 2, 3, 4])
    line_of(error)
    with pytest.raises(ValueError, match=r"actions of shape \(4, 5\), expected \(4, 6\)"):
        blind.step(torch.zeros(4, 5))
    with pytest.raises(ValueError, match=r"reset_mask of shape \(3,\)"):
        blind.reset(options={"reset_mask": torch.ones(3, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"device='cuda:7'.*'cpu'"):
        WarpVectorEnv("Runner", device="cuda:7")
    with pytest.raises(ValueError, match="camera_backend='egl'"):
        WarpVectorEnv("Runner", camera_backend="egl")
    with pytest.raises(ValueError, match="did you mean 'gyro'"):
        WarpVectorEnv("Runner", sensors=["gyr"])


def test_a_robot_without_a_task_names_those_that_have_one():
    with pytest.raises(ValueError, match="Stranger has no Warp task, expected one of: Runner") as error:
        WarpVectorEnv(replace(load_robot("Runner"), name="Stranger"))
    line_of(error)


def test_what_only_numpy_code_could_do_is_refused():
    runner, task = load_robot("Runner"), load_task("Runner")
    spec = replace(runner, terminated=lambda batch: np.zeros(batch.nsim, bool))
    with pytest.raises(ValueError, match="uses \\['terminated'\\], which its WarpTask does not have"):
        WarpVectorEnv(spec, task=task)
    never: Any = lambda batch, sensor: None  # noqa: E731
    spec = replace(runner, control=lambda batch, action: 2 * action)
    with pytest.raises(ValueError, match="uses \\['control'\\]"):
        WarpVectorEnv(spec, task=task)
    heard = replace(runner.sensors[0], key="heard", source=Computed(never))
    with pytest.raises(ValueError, match=r"sensor 'heard' is computed by NumPy code"):
        WarpVectorEnv(replace(runner, sensors=(heard,)), task=task, device="cpu")


def test_stepping_before_reset_says_so():
    with pytest.raises(ResetNeeded, match="call reset"):
        WarpVectorEnv("Runner", 1, device="cpu", cameras=False).step(torch.zeros(1, 6))
