from __future__ import annotations

import numpy as np
import pytest
from distributions import assert_follows
from streams import SPEC, TickSource

from embodied_ssl.buffer.sampling.recent import Recent, truncated_geometric
from embodied_ssl.buffer.sampling.uniform import Uniform
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.errors import BufferFullError

SHAPE = WindowShape(context=5, horizon=3)


def filled(seed, num_lanes=3, capacity=40, num_appends=110, end_chance=0.08):
    source = TickSource(num_lanes, seed, end_chance=end_chance)
    buffer = StreamBuffer(SPEC, num_lanes, capacity, (SHAPE,), guard_ticks=2)
    for _ in range(num_appends):
        some = source.rng.permutation(num_lanes)[: source.rng.integers(1, num_lanes + 1)]
        buffer.append(source.tick(np.sort(some)))
    return buffer


def plain_weights(buffer, half_life, share):
    """The definition, window by window."""
    lanes, ends = buffer.indices[SHAPE].all_legal()
    newest = buffer.newest(np.arange(buffer.num_lanes))
    recent = np.array([2.0 ** (-(newest[lane] - end) / half_life) for lane, end in zip(lanes, ends, strict=True)])
    return lanes, ends, share / len(lanes) + (1 - share) * recent / recent.sum()


@pytest.mark.parametrize(("half_life", "share"), [(1.0, 0.0), (4.0, 0.3), (30.0, 0.0), (1000.0, 0.5)])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("siblings", [1, 4])
def test_recent_draws_have_the_half_life_asked_for(half_life, share, seed, siblings):
    buffer = filled(seed)
    sampler = Recent(buffer, SHAPE, half_life, share)
    expected = plain_weights(buffer, half_life, share)
    for got, wanted in zip(sampler.weights(), expected, strict=True):
        np.testing.assert_allclose(got, wanted)
    lanes, ends = sampler.draw(20_000 * siblings, np.random.default_rng(seed), siblings)
    # Windows of a group depend on each other, so one place of the groups is counted: the first, and the last.
    assert_follows(lanes[::siblings], ends[::siblings], expected)
    assert_follows(lanes[siblings - 1 :: siblings], ends[siblings - 1 :: siblings], expected)


@pytest.mark.parametrize("sampler", [lambda b: Recent(b, SHAPE, 8.0, 0.25), lambda b: Uniform(b, SHAPE)])
def test_groups_are_of_one_episode_and_legal(sampler):
    buffer = filled(3)
    made = sampler(buffer)
    lanes, ends = made.draw(400, np.random.default_rng(0), 4)
    keys = made.episodes(lanes, ends).reshape(100, 4)
    assert (keys == keys[:, :1]).all()
    legal = set(zip(*(a.tolist() for a in buffer.indices[SHAPE].all_legal()), strict=True))
    assert set(zip(lanes.tolist(), ends.tolist(), strict=True)) <= legal


def test_uniform_is_the_buffers_own_draw():
    buffer = filled(4)
    first = Uniform(buffer, SHAPE).draw(32, np.random.default_rng(1), 4)
    second = buffer.draw(SHAPE, 32, np.random.default_rng(1), 4)
    np.testing.assert_array_equal(first, second)
    lanes, ends = Uniform(buffer, SHAPE).draw(20_000, np.random.default_rng(2))
    assert_follows(lanes, ends, Uniform(buffer, SHAPE).weights())


def test_short_episodes_cost_proposals_but_stay_exact():
    buffer = filled(5, capacity=90, num_appends=300, end_chance=0.2)  # most ticks end no window
    lanes, ends = Recent(buffer, SHAPE, 20.0).draw(20_000, np.random.default_rng(0))
    assert_follows(lanes, ends, plain_weights(buffer, 20.0, 0.0))


def test_a_very_short_half_life_draws_the_newest_windows_only():
    buffer = filled(6)
    lanes, ends = Recent(buffer, SHAPE, 0.01).draw(200, np.random.default_rng(0))
    legal, at = buffer.indices[SHAPE].all_legal()
    age = buffer.newest(legal) - at
    assert set((buffer.newest(lanes) - ends).tolist()) == {age.min()}


def test_nothing_to_draw_is_one_clear_line():
    buffer = StreamBuffer(SPEC, 2, 24, (SHAPE,))
    with pytest.raises(BufferFullError, match="no legal window of 8 ticks"):
        Recent(buffer, SHAPE, 10.0).draw(4, np.random.default_rng(0))


def test_truncated_geometric_is_the_inverse_of_its_distribution():
    uniform = (np.arange(100_000) + 0.5) / 100_000
    for size, decay in ((1, -0.5), (7, -0.01), (7, -1.0), (50, -0.2)):
        counts = np.bincount(truncated_geometric(decay, np.array(size), uniform), minlength=size)
        wanted = np.exp(decay * np.arange(size))
        np.testing.assert_allclose(counts / 100_000, wanted / wanted.sum(), atol=2e-5)
