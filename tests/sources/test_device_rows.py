"""Tensors in place of arrays: the same ticks, the same buffer, and no row read on the host."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from host_copies import watched

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import SpecError
from embodied_ssl.sources.simulation import TickMaker

LANES, PX = 5, 8
SHAPE = WindowShape(context=4, horizon=2)


class Source(gym.vector.VectorEnv):
    """What a vector env of a joint sensor, a fast IMU with ages and a slow camera returns, made up from a seed."""

    num_envs = LANES

    def __init__(self, mode):
        self.metadata = {
            "control_hz": 20.0,
            "autoreset_mode": mode,
            "sensors": {"imu": {"rate_hz": 60.0}, "camera": {"rate_hz": 5.0}},
        }
        box = gym.spaces.Box
        self.single_action_space = box(np.array([-2, 0], np.float32), np.array([2, np.inf], np.float32))
        self.single_observation_space = gym.spaces.Dict(
            {
                "joint": box(-9, 9, (2,), np.float32),
                "imu": box(-9, 9, (3, 2), np.float32),
                "camera": box(0, 255, (PX, PX, 3), np.uint8),
            }
        )
        self.rng = np.random.default_rng(0)

    def observation(self):
        rng = self.rng
        joint = rng.normal(size=(LANES, 2)).astype(np.float32)
        joint[rng.random(LANES) < 0.1] = np.nan
        return {
            "joint": joint,
            "imu": rng.normal(size=(LANES, 3, 2)).astype(np.float32),
            "imu.age_s": np.tile(np.array([2, 1, 0], np.float32) / 60, (LANES, 1)),
            "imu.valid": (rng.random((LANES, 3)) < 0.8).astype(np.int8),
            "camera": rng.integers(0, 255, (LANES, PX, PX, 3)).astype(np.uint8),
        }

    def outcome(self):
        rng = self.rng
        reward = rng.normal(size=LANES)
        reward[rng.random(LANES) < 0.1] = np.inf
        ended = rng.random((2, LANES)) < 0.06
        action = rng.uniform(-3, 3, (LANES, 2)).astype(np.float32)
        return action, self.observation(), reward, *ended, {"final_obs": self.observation()}


def as_tensors(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: as_tensors(value) for key, value in tree.items()}
    return torch.from_numpy(tree.copy()) if isinstance(tree, np.ndarray) else tree


def record(mode, convert, num_steps=40):
    """Return the ticks, the maker and a buffer filled with them."""
    source = Source(mode)
    maker = TickMaker(source)
    buffer = StreamBuffer(maker.spec, LANES, 30, (SHAPE,))
    ticks = [maker.reset(convert(source.observation()))]
    for _ in range(num_steps):
        arguments = [convert(part) for part in source.outcome()]
        ticks += maker.step(*arguments)
        if mode == AutoresetMode.DISABLED and maker._ended.any():
            ticks.append(maker.reset(convert(source.observation()), {}, maker._ended.copy()))
    for tick in ticks:
        buffer.append(tick)
    return ticks, maker, buffer


def windows_of(buffer):
    lanes, ends = buffer.indices[SHAPE].all_legal()
    return buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), SHAPE.length)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_tensors_give_the_ticks_and_windows_of_arrays(mode):
    arrays, array_maker, array_buffer = record(mode, lambda tree: tree)
    tensors, tensor_maker, tensor_buffer = record(mode, as_tensors)
    assert len(arrays) == len(tensors) > 40
    for one, other in zip(arrays, tensors, strict=True):
        for flag in ("lanes", "is_first", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(one, flag), getattr(other, flag))
        np.testing.assert_allclose(one.action, np.asarray(other.action), atol=1e-6)
        np.testing.assert_allclose(one.reward, np.asarray(other.reward), rtol=1e-6)
        for name, fresh in one.fresh.items():
            assert isinstance(other.rows[name], torch.Tensor)
            np.testing.assert_array_equal(fresh, other.fresh[name])
            np.testing.assert_array_equal(one.rows[name][fresh], other.rows[name].numpy()[fresh])
            np.testing.assert_array_equal(one.age_s[name], other.age_s[name])
    assert array_maker.num_rejected_rows == tensor_maker.num_rejected_rows
    assert array_maker.num_rejected_rows["joint"] > 0
    assert array_maker.num_rejected_rewards == tensor_maker.num_rejected_rewards > 0
    one, other = windows_of(array_buffer), windows_of(tensor_buffer)
    assert len(one.lane) > 20
    for name in one.rows:
        assert torch.equal(one.rows[name].values, other.rows[name].values)
    frames = one.frames["camera"].mask
    assert torch.equal(frames, other.frames["camera"].mask)
    assert frames.any()
    assert torch.equal(one.frames["camera"].values, other.frames["camera"].values)


def test_the_host_reads_flags_and_ages_only():
    source = Source(AutoresetMode.SAME_STEP)
    maker = TickMaker(source)
    buffer = StreamBuffer(maker.spec, LANES, 30, (SHAPE,))
    with watched() as reads:
        buffer.append(maker.reset(as_tensors(source.observation())))
        for _ in range(10):
            for tick in maker.step(*(as_tensors(part) for part in source.outcome())):
                buffer.append(tick)
    allowed = {torch.bool: LANES * 3, torch.int8: LANES * 3, torch.float32: LANES * 3 * 4}  # flags, valid, age_s
    assert reads
    for dtype, size in reads:
        assert size <= allowed[dtype], (dtype, size)
    assert all(size == LANES * 3 * 4 for dtype, size in reads if dtype == torch.float32)  # the imu's ages, nothing else


def test_tensor_actions_are_scaled_and_checked_as_arrays():
    maker = TickMaker(Source(AutoresetMode.NEXT_STEP))
    action = np.random.default_rng(0).uniform(-1, 1, (LANES, 2)).astype(np.float32)
    scaled = maker.to_env(torch.from_numpy(action))
    assert isinstance(scaled, torch.Tensor)
    np.testing.assert_allclose(scaled.numpy(), maker.to_env(action), atol=1e-6)
    source = Source(AutoresetMode.NEXT_STEP)
    maker.reset(as_tensors(source.observation()))
    never = torch.zeros(LANES, dtype=torch.bool)
    with pytest.raises(SpecError, match=r"shape \(5, 3\), expected \(5, 2\)"):
        maker.step(torch.zeros(LANES, 3), as_tensors(source.observation()), torch.zeros(LANES), never, never)
    scaled[2, 0] = torch.nan
    with pytest.raises(SpecError, match=r"lanes \[2\] is not finite"):
        maker.step(scaled, as_tensors(source.observation()), torch.zeros(LANES), never, never)
