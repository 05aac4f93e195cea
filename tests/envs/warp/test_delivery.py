"""Latency, jitter, noise, bias and loss on the device behave as those of the batch environment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots import load_robot
from embodied_envs.warp import WarpVectorEnv

LATENCY_S = 0.03


def build_with_deep_history():
    """The Runner, whose engine keeps enough gyro samples for a late gyro."""
    spec = load_robot("Runner").build()
    next(sensor for sensor in spec.sensors if sensor.name == "gyro").nsample = 12
    return spec


def disturbed(**changes):
    """The Runner with only a joint sensor and a gyro, the gyro changed."""
    runner = load_robot("Runner")
    joint, gyro = (next(s for s in runner.sensors if s.key == key) for key in ("joint_pos", "gyro"))
    sensors = (joint, replace(gyro, **changes))
    return replace(runner, build=build_with_deep_history, sensors=sensors, privileged=())


def make(num_lanes: int = 4, **changes: Any):
    return WarpVectorEnv(disturbed(**changes), num_lanes, device="cpu", episode_ticks=200)


def play(env, num_ticks, action=0.3):
    ticks = [env.reset(seed=0)]
    for _ in range(num_ticks):
        observation, *_, info = env.step(torch.full((env.num_envs, 6), action))
        ticks.append((observation, info))
    return ticks


def test_late_samples_are_those_of_the_batch_environment():
    batch = BatchVectorEnv(disturbed(latency_s=LATENCY_S), 4, num_threads=1)
    theirs = [batch.reset(seed=0)[0]] + [batch.step(np.full((4, 6), 0.3))[0] for _ in range(6)]
    for (observation, _), other in zip(play(make(latency_s=LATENCY_S), 6), theirs, strict=True):
        valid = observation["gyro.valid"].numpy()
        np.testing.assert_array_equal(valid, other["gyro.valid"])
        age_s = observation["gyro.age_s"].numpy()
        np.testing.assert_allclose(age_s[valid > 0], other["gyro.age_s"][valid > 0], atol=2e-6)
        assert (age_s[valid > 0] >= LATENCY_S - 1e-6).all()


def test_a_repeated_sample_keeps_its_noise_and_none_is_withdrawn():
    env = make(latency_s=0.01, jitter_s=0.0125, noise_std=0.3, shape=(5, 1))
    newest, seen = np.full(4, -np.inf), {}
    for tick, (observation, _) in enumerate(play(env, 12)):
        for lane in range(4):
            for row in range(5):
                if observation["gyro.valid"][lane, row] == 0:
                    continue
                captured = round((tick * 0.05 - float(observation["gyro.age_s"][lane, row])) / 0.005)
                value = float(observation["gyro"][lane, row, 0])
                assert seen.setdefault((lane, captured), value) == value
            captured = tick * 0.05 - float(observation["gyro.age_s"][lane, -1])
            assert captured >= newest[lane] - 1e-5
            newest[lane] = captured
    assert len(seen) > 100


def test_noise_and_bias_have_their_size_and_their_life_time():
    env = make(64, noise_std=0.2, bias_std=1.0)
    errors = torch.stack([o["gyro"] - i["clean"]["gyro"] for o, i in play(env, 40)[1:]])  # [tick, lane, row, 1]
    bias = errors.mean(dim=(0, 2))[:, 0]
    assert 0.75 < float(bias.std()) < 1.25
    assert float((errors - bias[:, None, None]).std()) == pytest.approx(0.2, rel=0.05)
    again = torch.stack([o["gyro"] - i["clean"]["gyro"] for o, i in play(env, 0)])
    assert torch.equal(again, torch.zeros_like(again))  # at a reset nothing was captured yet


def test_lost_rows_are_lost_at_the_declared_rate():
    ticks = play(make(64, dropout=0.25), 30)[1:]
    valid = torch.stack([observation["gyro.valid"] for observation, _ in ticks])
    assert float(valid.float().mean()) == pytest.approx(0.75, abs=0.02)
    values = torch.stack([observation["gyro"] for observation, _ in ticks])
    assert values[valid == 0].count_nonzero() == 0


def test_too_short_a_history_is_one_line():
    with pytest.raises(ValueError, match="the engine keeps 12 samples, expected at least 14; fix: pass max_delay_s"):
        make(latency_s=0.12)
    late_joint = replace(load_robot("Runner").sensors[0], latency_s=0.01)
    spec = replace(load_robot("Runner"), sensors=(late_joint,), privileged=())
    with pytest.raises(ValueError, match="'joint_pos' has a latency, expected a HistoryRows source"):
        WarpVectorEnv(spec, device="cpu")
