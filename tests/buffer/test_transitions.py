"""n-step transitions against a plain walk over lists."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from distributions import assert_follows
from streams import SPEC, TickSource

from embodied_ssl.buffer.sampling.uniform import Uniform
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.transitions import transition_shape, transitions

CONTEXT = 4


def played(seed, num_lanes=3, capacity=40, num_appends=100, end_chance=0.12):
    """A ring, and per lane a list of (first, action, reward, terminated)."""
    source = TickSource(num_lanes, seed, end_chance=end_chance)
    buffer = StreamBuffer(SPEC, num_lanes, capacity, (transition_shape(CONTEXT),), guard_ticks=2)
    history = [[] for _ in range(num_lanes)]
    for _ in range(num_appends):
        tick = source.tick(np.sort(source.rng.permutation(num_lanes)[: source.rng.integers(1, num_lanes + 1)]))
        buffer.append(tick)
        for i, lane in enumerate(tick.lanes):
            first = bool(tick.is_first[i]) or not history[lane]
            history[lane].append((first, tick.action[i], float(tick.reward[i]), bool(tick.terminated[i])))
    return buffer, history


def walk(lane, anchor, n_step, gamma):
    """Return how many steps there are from ``anchor``, what they give, and the discount of what follows."""
    total, steps = 0.0, 0
    while steps < n_step and anchor + steps + 1 < len(lane) and not lane[anchor + steps + 1][0]:
        total += gamma**steps * lane[anchor + steps + 1][2]
        steps += 1
    return steps, total, 0.0 if lane[anchor + steps][3] else gamma**steps


def same_windows(first, second):
    for name, rows in first.rows.items():
        for key, value in vars(rows).items():
            torch.testing.assert_close(value, vars(second.rows[name])[key], rtol=0, atol=1e-6)
    for name, frames in first.frames.items():
        other = second.frames[name]
        each = torch.arange(len(frames.slot))[:, None]
        assert torch.equal(frames.mask, other.mask)
        seen, wanted = frames.values[each, frames.slot], other.values[each, other.slot]
        assert torch.equal(seen[frames.mask], wanted[frames.mask])
    for name in ("action", "action_mask", "reward", "terminated", "valid", "tick", "start", "lane"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_step", [1, 3, 7])
def test_transitions_are_those_of_a_walk(seed, n_step):
    buffer, history = played(seed)
    lanes, ends = buffer.indices[transition_shape(CONTEXT)].all_legal()
    gamma = 0.9
    batch = transitions(buffer, lanes, ends, CONTEXT, n_step, gamma)
    assert batch.mask.all()
    kinds = set()
    for b, (lane, end) in enumerate(zip(lanes.tolist(), ends.tolist(), strict=True)):
        steps, total, discount = walk(history[lane], end - 1, n_step, gamma)
        assert int(batch.num_steps[b]) == steps >= 1
        assert float(batch.reward[b]) == pytest.approx(total, abs=1e-5)
        assert float(batch.discount[b]) == pytest.approx(discount, abs=1e-6)
        np.testing.assert_array_equal(batch.action[b], history[lane][end][1])
        kinds.add((steps, discount == 0.0))
    assert {(1, True), (1, False), (n_step, False)} <= kinds
    at, before, after = (torch.from_numpy(a) for a in (lanes, ends - 1, ends - 1 + batch.num_steps.numpy()))
    same_windows(batch.observation, buffer.gather(at, before, CONTEXT))
    same_windows(batch.next_observation, buffer.gather(at, after, CONTEXT))


@pytest.mark.parametrize("seed", range(4))
def test_every_stored_transition_is_drawn_alike(seed):
    buffer, history = played(seed)
    shape = transition_shape(CONTEXT)
    lanes, ends = buffer.indices[shape].all_legal()
    expected = []
    for lane, ticks in enumerate(history):
        for end in range(len(ticks)):
            start = max(at for at in range(end + 1) if ticks[at][0])
            inside = max(end - shape.length + 1, start) >= len(ticks) - buffer.capacity + 2
            if end > start and inside:
                expected.append((lane, end))
    assert list(zip(lanes.tolist(), ends.tolist(), strict=True)) == expected
    sampler = Uniform(buffer, shape)
    assert_follows(*sampler.draw(20_000, np.random.default_rng(seed)), sampler.weights())


def test_a_transition_that_was_overwritten_is_masked():
    buffer, _ = played(1)
    lanes, ends = buffer.draw(transition_shape(CONTEXT), 16, np.random.default_rng(0))
    source = TickSource(3, 2, end_chance=0.0)
    for _ in range(41):
        buffer.append(source.tick())
    assert not transitions(buffer, lanes, ends, CONTEXT, 3, 0.9).mask.any()
