"""The pilot: steps read from windows, their weights, its schedule, and what it acts on."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from learners import feed, make_learner
from streams import TickSource

from embodied_ssl.config import AgentConfig
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.rl.pilot import Pilot, inclusion_weight, steps_of

AGENT = AgentConfig(
    noise_lanes=1,
    learning_starts=60,
    updates_per_step=0.5,
    batch_size=20,
    minibatches=3,
    hidden_dim=8,
    encoder_grad="ssl",
)


def filled(num_ticks: int, seed: int = 0) -> OnlineLearner:
    learner = make_learner(seed)
    feed(learner, TickSource(3, seed, end_chance=0.06), num_ticks)
    return learner


def all_windows(learner: OnlineLearner):
    """Return lanes, ends, the newest ticks of their episodes, and the gathered windows."""
    lanes, ends = learner.buffer.indices[learner.shape].all_legal()
    _, last = learner.buffer.table.bounds(lanes, ends)
    windows = learner.buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), learner.shape.length)
    return lanes, ends, torch.from_numpy(last), windows


def counts_by_step(learner: OnlineLearner) -> dict[tuple[int, int], int]:
    """Count, one by one, in how many legal windows the step that reached each (lane, tick) lies."""
    counts: dict[tuple[int, int], int] = {}
    for lane, end in zip(*learner.buffer.indices[learner.shape].all_legal(), strict=True):
        for tick in range(end - learner.shape.horizon + 1, end + 1):
            counts[lane, tick] = counts.get((lane, tick), 0) + 1
    return counts


def test_weights_are_one_over_the_number_of_windows_that_hold_a_step():
    learner = filled(100)
    counts = counts_by_step(learner)
    lanes, _, last, windows = all_windows(learner)
    horizon = learner.shape.horizon
    weight = inclusion_weight(windows, last, learner.shape.context, horizon)
    reached = windows.tick[:, learner.shape.context :]
    expected = torch.tensor(
        [[1 / counts[lane, t] for t in row] for lane, row in zip(lanes, reached.tolist(), strict=True)]
    )
    assert set(counts.values()) == set(range(1, horizon + 1))
    torch.testing.assert_close(weight, expected / expected.mean())
    assert float(weight.mean()) == pytest.approx(1.0)


def test_when_the_ring_has_wrapped_only_the_episode_being_forgotten_is_weighed_too_little():
    learner = filled(400)
    counts = counts_by_step(learner)
    lanes, _, last, windows = all_windows(learner)
    reached = windows.tick[:, learner.shape.context :]
    weight = inclusion_weight(windows, last, learner.shape.context, learner.shape.horizon)
    share = weight * torch.tensor(
        [[counts[lane, t] for t in row] for lane, row in zip(lanes, reached.tolist(), strict=True)]
    )
    usual = share.max()
    oldest = torch.tensor([int(windows.start[torch.from_numpy(lanes == lane)].min()) for lane in range(3)])
    forgotten = (windows.start == oldest[windows.lane])[:, None].expand_as(share)
    torch.testing.assert_close(share[~forgotten], usual.expand_as(share[~forgotten]))
    assert (share[forgotten] < 0.99 * usual).sum() <= 3 * learner.shape.horizon**2


def chi_square(learner: OnlineLearner, weighted: bool) -> tuple[float, int]:
    """Draw windows, one step of each, accept it in proportion to its weight; compare with uniform over steps."""
    rng, shape = np.random.default_rng(1), learner.shape
    lanes, ends = learner.buffer.draw(shape, 60_000, rng)
    _, last = learner.buffer.table.bounds(lanes, ends)
    windows = learner.buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), shape.length)
    weight = inclusion_weight(windows, torch.from_numpy(last), shape.context, shape.horizon).numpy()
    rows, column = np.arange(len(lanes)), rng.integers(shape.horizon, size=len(lanes))
    chance = weight[rows, column] / weight.max() if weighted else np.ones(len(lanes))
    taken = rng.random(len(lanes)) < chance
    ticks = windows.tick[:, shape.context :].numpy()[rows, column]
    steps = sorted(counts_by_step(learner))
    place = {step: number for number, step in enumerate(steps)}
    found = np.bincount([place[step] for step in zip(lanes[taken], ticks[taken], strict=True)], minlength=len(steps))
    expected = taken.sum() / len(steps)
    return float(((found - expected) ** 2 / expected).sum()), len(steps) - 1


def test_weighted_draws_are_uniform_over_the_steps_of_episodes_and_unweighted_are_not():
    learner = filled(60)
    statistic, freedom = chi_square(learner, weighted=True)
    assert freedom > 100
    assert abs(statistic - freedom) < 4 * math.sqrt(2 * freedom)
    statistic, _ = chi_square(learner, weighted=False)
    assert statistic > freedom + 40 * math.sqrt(2 * freedom)


def test_steps_are_those_of_a_plain_loop_also_across_an_episode_start():
    learner = filled(80)
    context, length = learner.shape.context, learner.shape.length
    ends = np.arange(12, 80)  # any end, not only legal ones: episodes begin anywhere in these windows
    lanes = np.zeros_like(ends)
    windows = learner.buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends), length)
    positions = length - context + 1
    now = torch.arange(len(ends) * positions * 2.0).view(len(ends), positions, 2)
    then = -now.clone().requires_grad_()
    steps = steps_of(windows, now, then, context)
    assert not steps.next_embedding.requires_grad
    masked = 0
    for b in range(len(ends)):
        start = int(windows.start[b])
        for p in range(positions - 1):
            tick = int(ends[b]) - (positions - 1) + p  # the tick whose embedding stands at position p
            assert torch.equal(steps.embedding[b, p], now[b, p])
            assert torch.equal(steps.next_embedding[b, p], then[b, p + 1])
            one = learner.buffer.gather(torch.tensor([0]), torch.tensor([tick + 1]), 1)
            # The step tick -> tick + 1 exists if both lie in the episode of the window's end.
            exists = tick >= start
            assert bool(steps.mask[b, p]) == exists
            masked += not exists
            if exists:
                assert torch.equal(steps.action[b, p], one.action[0, 0])
                assert steps.reward[b, p] == one.reward[0, 0]
                assert steps.terminated[b, p] == one.terminated[0, 0]
    assert 0 < masked < len(ends) * (positions - 1)
    assert steps.terminated.any()


@pytest.mark.parametrize(
    ("env_steps", "num_updates", "due"),
    [
        (0, 0, 0),
        (60, 0, 0),  # learning starts after this step
        (65, 0, 0),  # 2 updates allowed, a set has 3
        (66, 0, 1),
        (71, 0, 1),  # 5 allowed
        (72, 0, 2),
        (72, 3, 1),
        (72, 6, 0),
        (72, 60, 0),  # ahead, after a change of settings
        (1060, 0, 166),
    ],
)
def test_num_due_is_whole_sets_of_the_updates_that_the_ratio_allows(env_steps, num_updates, due):
    pilot = object.__new__(Pilot)
    buffer = SimpleNamespace(num_legal=lambda shape: 1)
    pilot.learner = SimpleNamespace(env_steps=env_steps, buffer=buffer, shape=None)  # pyright: ignore[reportAttributeAccessIssue]
    pilot.config, pilot.num_updates = AGENT, num_updates
    assert pilot.num_due == due
    pilot.config = dataclasses.replace(AGENT, name="none")
    assert pilot.num_due == 0
    pilot.config, buffer.num_legal = AGENT, lambda shape: 0
    assert pilot.num_due == 0


def test_an_update_is_a_set_of_minibatches_of_one_encode_by_the_newest_version():
    learner = filled(60)
    pilot = Pilot(learner, AGENT, seed=0)
    encoded = []
    pilot._encoder.register_forward_hook(lambda module, inputs, output: encoded.append(output.shape))
    before = pilot.published
    learner.update(max_updates=1)
    learner.publish()
    pilot.update()
    # 20 transitions x 3 minibatches out of windows of 4 steps.
    assert encoded == [(15, learner.shape.num_positions, 8)]
    assert pilot.published is not before
    assert set(pilot.read_metrics()) == set(pilot.agent.metric_names)
    assert pilot.read_metrics() == {}


def test_it_acts_by_noise_first_then_by_the_published_policy_in_all_lanes_but_those_of_the_noise():
    learner = filled(10)
    pilot = Pilot(learner, AGENT, seed=0)
    twin = Pilot(learner, AGENT, seed=0)
    embedding = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    stream = SimpleNamespace(embed=lambda: embedding)
    assert learner.env_steps < AGENT.learning_starts
    action = pilot.act(stream)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(action, twin.noise.sample())
    feed(learner, TickSource(3, 5), 20)
    explore = twin.noise.sample()
    noise = torch.from_numpy(twin.action_rng.standard_normal((3, 2), dtype=np.float32))
    action = pilot.act(stream)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(action[:1], explore[:1])
    np.testing.assert_array_equal(action[1:], twin.agent.act(embedding, noise).numpy()[1:])
    assert action.shape == (3, 2)
    assert np.abs(action).max() <= 1
