"""A plain class with the interface that mjlab and Isaac Lab document, on torch, behind the adapter."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from host_copies import watched
from learners import small_config

from embodied_ssl.errors import SpecError
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.sources.observation_groups import ObservationGroupsEnv
from embodied_ssl.sources.simulation import TickMaker, stream_spec

LANES = 4


class PointMass:
    """Unit masses pushed along a line; `auto_reset` as in mjlab. Episodes end at |x| > 1, or after 6 + lane ticks."""

    def __init__(self, auto_reset=True, concatenated=False, names=("policy", "critic")):
        self.cfg = SimpleNamespace(auto_reset=auto_reset)
        self.num_envs, self.step_dt, self.device = LANES, 0.02, "cpu"
        self.single_action_space: Any = SimpleNamespace(shape=(1,))  # mjlab's spaces are its own classes
        self.concatenated, self.names = concatenated, names
        self.generator = torch.Generator().manual_seed(0)
        self.x, self.v = torch.zeros(LANES), torch.zeros(LANES)
        self.tick, self.episode = torch.zeros(LANES), torch.full((LANES,), -1.0)
        self.closed = False

    def observations(self) -> Any:
        terms = {"position": self.x[:, None].clone(), "count": torch.stack([self.episode, self.tick], 1)}
        truth = {"velocity": self.v[:, None].clone()}
        groups = (torch.cat(list(terms.values()), 1), truth["velocity"]) if self.concatenated else (terms, truth)
        return dict(zip(self.names, groups, strict=True))

    def reset(self, *, seed=None, env_ids=None, options=None):
        env_ids = torch.arange(LANES) if env_ids is None else env_ids
        if seed is not None:
            self.generator.manual_seed(seed)
        self.x[env_ids] = 0.2 * torch.rand(len(env_ids), generator=self.generator)
        self.v[env_ids], self.tick[env_ids] = 0.0, 0.0
        self.episode[env_ids] += 1
        return self.observations(), {"log": {}}

    def step(self, action):
        assert isinstance(action, torch.Tensor)
        self.v += self.step_dt * 20 * action[:, 0]
        self.x += self.step_dt * self.v
        self.tick += 1
        terminated = self.x.abs() > 1
        truncated = (self.tick >= 6 + torch.arange(LANES)) & ~terminated
        reward = self.tick.clone()
        ended = terminated | truncated
        if self.cfg.auto_reset and ended.any():
            self.reset(env_ids=ended.nonzero().squeeze(1))
        return self.observations(), reward, terminated, truncated, {"log": {}}

    def close(self):
        self.closed = True


def ticks_of(env, num_steps=60):
    maker = TickMaker(env)
    ticks = [maker.reset(*env.reset(seed=0))]
    for step in range(num_steps):
        action = torch.sin(torch.arange(LANES) + 0.1 * step)[:, None]
        ticks += maker.step(action, *env.step(action))
    return maker, ticks


def test_terms_become_sensors_and_other_groups_stay_out():
    env = ObservationGroupsEnv(PointMass(), sensors={"policy/position": {"unit": "m", "modality": "joint"}})
    spec = stream_spec(env)
    assert [sensor.name for sensor in spec.sensors] == ["policy/count", "policy/position"]
    assert spec.control_hz == pytest.approx(50.0)
    assert (spec["policy/position"].unit, spec["policy/position"].modality) == ("m", "joint")
    assert spec.action_size == 1
    observation, info = env.reset(seed=0)
    assert not any("critic" in key for key in observation)
    assert info["privileged"]["critic/velocity"].shape == (LANES, 1)
    *_, info = env.step(torch.ones(LANES, 1))
    assert info["privileged"]["critic/velocity"].min() > 0
    env.close()
    assert env.env.closed


def test_concatenated_groups_are_one_sensor_each():
    env = ObservationGroupsEnv(PointMass(concatenated=True, names=("actor", "critic")))
    assert [(sensor.name, sensor.shape) for sensor in stream_spec(env).sensors] == [("actor", (3,))]
    both = ObservationGroupsEnv(PointMass(concatenated=True), observed=["critic", "policy"])
    assert {sensor.name for sensor in stream_spec(both).sensors} == {"policy", "critic"}
    assert both.reset()[1]["privileged"] == {}


@pytest.mark.parametrize("auto_reset", [True, False])
def test_no_reward_or_ending_is_lost_and_nothing_is_made_up(auto_reset):
    env = ObservationGroupsEnv(PointMass(auto_reset))
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    _, ticks = ticks_of(env)
    history = {lane: [] for lane in range(LANES)}
    for tick in ticks:
        for place, lane in enumerate(tick.lanes):
            fresh = bool(tick.fresh["policy/count"][place, 0])
            count = tuple(tick.rows["policy/count"][place, 0].tolist()) if fresh else None
            ended = bool(tick.terminated[place] | tick.truncated[place])
            history[lane].append((count, bool(tick.is_first[place]), float(tick.reward[place]), ended))
    num_ends = 0
    for lane in range(LANES):
        episode, tick = history[lane][0][0][0], -1
        for count, is_first, reward, ended in history[lane]:
            episode, tick = (episode + 1, 0) if is_first and tick >= 0 else (episode, tick + 1)
            assert is_first == (tick == 0)
            assert reward == (0 if is_first else tick)
            lost = ended and auto_reset
            assert count == (None if lost else (episode, tick))
            num_ends += ended
    assert num_ends > 10


def test_an_env_that_does_not_reset_itself_resets_only_what_ended():
    env = ObservationGroupsEnv(PointMass(auto_reset=False))
    _, ticks = ticks_of(env)
    sizes = {len(tick.lanes) for tick in ticks}
    assert sizes >= {LANES, 1}


def test_a_learner_learns_from_it_and_no_row_is_read_on_the_host():
    env = ObservationGroupsEnv(PointMass(), sensors={"policy/position": {"rate_hz": 25.0}})
    learner = OnlineLearner.from_env(env, config=small_config(learning_starts=40, horizon_ticks=3))
    stream = learner.stream(env)
    stream.reset(*env.reset(seed=0))
    for step in range(60):
        action = torch.full((LANES, 1), 0.3 * np.cos(step))
        with watched() as reads:
            stream.observe(action, *env.step(action))
        assert {dtype for dtype, _ in reads} == {torch.bool}
        assert max(size for _, size in reads) <= LANES
    assert learner.update()
    assert stream.embed().isfinite().all()


def one_line(error):
    assert "\n" not in str(error.value)


def test_mistakes_are_one_line():
    class Lanes(PointMass):
        def observations(self):
            return {"policy": torch.zeros(LANES + 1, 2)}

    class Bare(PointMass):
        def observations(self):
            return torch.zeros(LANES, 2)

    cases = [
        (lambda: ObservationGroupsEnv(object()), "object has no .*'num_envs'.* expected an mjlab or Isaac Lab"),
        (lambda: ObservationGroupsEnv(PointMass(names=("a", "b"))), r"none of the groups \['a', 'b'\].*observed="),
        (lambda: ObservationGroupsEnv(PointMass(), observed=["critik"]), "'critik'; did you mean 'critic'"),
        (lambda: ObservationGroupsEnv(PointMass(), observed="critic"), "expected a list of groups"),
        (lambda: ObservationGroupsEnv(PointMass(), sensors={"policy/positon": {}}), "did you mean 'policy/position'"),
        (lambda: ObservationGroupsEnv(Lanes()), r"'policy' is of shape \(5, 2\), expected a tensor of 4 lanes"),
        (lambda: ObservationGroupsEnv(Bare()), "none of the groups"),
    ]
    for make, message in cases:
        with pytest.raises(SpecError, match=message) as error:
            make()
        one_line(error)


def test_a_gymnasium_box_keeps_its_bounds():
    env = PointMass()
    env.single_action_space = gym.spaces.Box(-3.0, 5.0, (1,))
    adapted = ObservationGroupsEnv(env)
    maker = TickMaker(adapted)
    assert maker.to_env(torch.tensor([[1.0]])).item() == pytest.approx(5.0)
