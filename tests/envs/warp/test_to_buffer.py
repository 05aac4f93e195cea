"""From Warp to embeddings: rows go from the simulation to the buffer without ever being read on the host."""

from __future__ import annotations

import torch
from host_copies import watched
from learners import small_config

from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.sources.observation_groups import ObservationGroupsEnv


def test_a_learner_learns_from_warp_and_the_host_reads_flags_and_ages_only(seeing):
    config = small_config(learning_starts=30, horizon_ticks=3)
    learner = OnlineLearner.from_env(seeing, config=config)
    stream = learner.stream(seeing)
    stream.reset(*seeing.reset(seed=0))
    generator = torch.Generator().manual_seed(0)
    rows_of_a_tick = 4  # of the IMU's sensors, the most of any
    for _ in range(40):
        action = 2 * torch.rand(2, 6, generator=generator) - 1
        with watched() as reads:
            outcome = seeing.step(action)
            stream.observe(action, *outcome)
        assert {dtype for dtype, _ in reads} <= {torch.bool, torch.int8, torch.float32}
        assert max(size for _, size in reads) <= seeing.num_envs * rows_of_a_tick * 4
        assert sum(size for _, size in reads) < 250 * seeing.num_envs
    assert learner.update()
    embedding = stream.embed()
    assert embedding.isfinite().all()
    assert not torch.equal(embedding[0], embedding[1])


class Grouped:
    """The Warp env in the interface of mjlab: groups of terms, resets in the step."""

    def __init__(self, env):
        self.env, self.num_envs, self.device = env, env.num_envs, env.device
        self.step_dt, self.single_action_space = 1.0 / env.metadata["control_hz"], env.single_action_space

    def groups(self, observation, info):
        terms = {key: observation[key] for key in ("joint_pos", "gyro", "touch")}
        return {"policy": terms, "critic": info["privileged"]}

    def reset(self, *, seed=None):
        return self.groups(*self.env.reset(seed=seed)), {}

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        ended = terminated | truncated
        if ended.any():
            observation, info = self.env.reset(options={"reset_mask": ended})
        return self.groups(observation, info), reward, terminated, truncated, {}


def test_warp_behind_observation_groups(blind, actions):
    env = ObservationGroupsEnv(Grouped(blind), sensors={"policy/gyro": {"rate_hz": 80.0, "unit": "rad/s"}})
    config = small_config(learning_starts=30, horizon_ticks=3)
    learner = OnlineLearner.from_env(env, config=config)
    assert learner.spec["policy/gyro"].shape == (1,)
    assert {sensor.name for sensor in learner.spec.sensors} == {"policy/joint_pos", "policy/gyro", "policy/touch"}
    stream = learner.stream(env)
    stream.reset(*env.reset(seed=0))
    for action in actions:
        stream.observe(action, *env.step(action))
    assert learner.buffer.num_ticks == blind.num_envs * (
        len(actions) + 2
    )  # and a first tick, and one more after an end
    assert learner.update()
